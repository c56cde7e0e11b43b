# Sanyi Hub. `make help` lists the habits.
SHELL := /bin/sh
# The first of these that is new enough; another: make PYTHON=/opt/python/bin/python3.12 install
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$p -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$p && break; done)
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
BIN := .venv/bin
PIP := "$(BIN)/python" -m pip install --quiet --disable-pip-version-check
STAMP := .venv/.installed
DEV_STAMP := .venv/.installed-dev
FILES := pyproject.toml adapters.txt $(wildcard plugins/*/pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help install demo test check format bench faults fuzz fresh docs wheels clean

help: ## what there is
	@sed -nE 's/^([a-z]+):.*## (.*)/\1|\2/p' Makefile | while IFS='|' read -r name what; do \
	  printf '  make %-8s %s\n' "$$name" "$$what"; done

install: $(STAMP) ## the hub and the adapters of adapters.txt, in .venv

demo: $(STAMP) ## one prescription travels (ARGS="--once --json", ARGS="--messages FILE")
	@"$(BIN)/hub" demo $(ARGS)

test: $(DEV_STAMP) ## the whole suite, on SQLite and on a real PostgreSQL (ARGS="-k ...")
	"$(BIN)/python" -m pytest $(ARGS)

check: $(DEV_STAMP) ## style, types, layers
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .
	"$(BIN)/mypy" hub tools $(wildcard plugins/*/hub_*)
	"$(BIN)/lint-imports"

format: $(DEV_STAMP) ## let ruff arrange the code
	"$(BIN)/ruff" check --fix .
	"$(BIN)/ruff" format .

bench: $(DEV_STAMP) ## measure; figures are printed and recorded in .bench/
	"$(BIN)/python" -m tests.benchmarks.api $(ARGS)
	"$(BIN)/python" -m tests.benchmarks $(ARGS)

faults: $(DEV_STAMP) ## kill the hub in a loop while messages flow (CYCLES=200)
	HUB_FAULT_CYCLES=$(or $(CYCLES),200) "$(BIN)/python" -m pytest tests/faults --timeout=3600 $(ARGS)

fuzz: $(DEV_STAMP) ## whatever may come, on both databases (MINUTES=10, ARGS="--only sqlite --seed 7")
	"$(BIN)/python" -m tests.fuzz --minutes $(or $(MINUTES),10) $(ARGS)

fresh: $(DEV_STAMP) ## clone into a path with a space, then make demo twice and make check there
	HUB_FRESH=1 "$(BIN)/python" -m pytest tests/packaging/test_make.py --timeout=1200 $(ARGS)

docs: $(DEV_STAMP) ## write the reference pages that are made from the code
	"$(BIN)/python" -m tools.build_reference

wheels: $(DEV_STAMP) ## one wheel for the kernel and one per plugin, in dist/
	for part in . plugins/*; do "$(BIN)/python" -m build --no-isolation --wheel --outdir dist "$$part" || exit 1; done

clean: ## remove what was made
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .bench

.venv/bin/python:
	@"$(PYTHON)" -c '$(NEW_ENOUGH)' 2>/dev/null || { \
	  echo "Sanyi Hub needs Python 3.11 or newer, found: $$({ "$(PYTHON)" --version; } 2>/dev/null || echo none)." >&2; \
	  echo "Name another one: make PYTHON=/path/to/python3.12 install" >&2; exit 1; }
	@"$(PYTHON)" -m venv .venv || { rm -rf .venv; exit 1; }

$(STAMP): .venv/bin/python $(FILES)
	@echo "Installing the hub and the adapters of adapters.txt into .venv ..." >&2
	@$(PIP) -e . -r adapters.txt
	@touch "$@"

$(DEV_STAMP): $(STAMP) dev.txt
	@echo "Installing what tests and checks need into .venv ..." >&2
	@$(PIP) -r dev.txt
	@touch "$@"
