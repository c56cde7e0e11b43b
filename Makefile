# Sanyi Hub. `make help` lists the habits.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
DEV_STAMP := .venv/.installed-dev
FILES := pyproject.toml adapters.txt $(wildcard plugins/*/pyproject.toml)
FULL ?=

.DEFAULT_GOAL := help
.PHONY: help install demo test check format bench faults docs wheels clean

help: ## what there is
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /  make \1|/' | column -t -s '|' 2>/dev/null || grep -hE '^[a-z]+:.*## ' Makefile

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
	"$(BIN)/python" -m tests.benchmarks $(ARGS)

faults: $(DEV_STAMP) ## kill the hub in a loop while messages flow (CYCLES=200)
	HUB_FAULT_CYCLES=$(or $(CYCLES),200) "$(BIN)/python" -m pytest tests/faults --timeout=3600 $(ARGS)

wheels: $(DEV_STAMP) ## one wheel for the kernel and one per plugin, in dist/
	for part in . plugins/*; do "$(BIN)/python" -m build --no-isolation --wheel --outdir dist "$$part" || exit 1; done

clean: ## remove what was made
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .bench

.venv/bin/python:
	$(PYTHON) -m venv .venv

$(STAMP): .venv/bin/python $(FILES)
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check -e .
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check -r adapters.txt
	@touch "$@"

$(DEV_STAMP): $(STAMP) dev.txt
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check -r dev.txt
	@touch "$@"
