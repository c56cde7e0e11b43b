"""README's first command, as a newcomer runs it: a fresh clone in a path with a space, twice in a row."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT, run
from tests.packaging.test_wheels import assert_complete

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("git") is None or not (ROOT / ".git").exists() or shutil.which("make") is None,
        reason="needs git, make and a git checkout",
    ),
]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of what is committed."""
    folder = tmp_path_factory.mktemp("a newcomer") / "sanyi hub"
    run(["git", "clone", "--quiet", ROOT, folder], ROOT)
    return folder


def test_make_demo_twice_from_a_fresh_clone(clone: Path) -> None:
    for _ in range(2):
        printed = run(["make", "demo", "ARGS=--once --json"], clone, timeout=280)
        assert_complete(json.loads(printed))
    assert run(["git", "status", "--porcelain"], clone) == "", "the demo leaves no litter in the checkout"


def test_make_install_does_only_the_set_up(clone: Path) -> None:
    assert run(["make", "install"], clone, timeout=280).strip() in (
        "",
        "make: Nothing to be done for 'install'.",
    )
    assert (clone / ".venv" / "bin" / "hub").is_file()


def test_an_old_python_is_told(clone: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit\nexit 1\n')
    old.chmod(0o755)
    shutil.copy(clone / "Makefile", tmp_path)
    with pytest.raises(AssertionError, match=r"needs Python 3\.11 or newer, found: Python 3\.9\.2"):
        run(["make", f"PYTHON={old}", ".venv/bin/python"], tmp_path)


@pytest.mark.skipif("HUB_FRESH" not in os.environ, reason="installs all tools once more: make fresh")
def test_make_check_from_a_fresh_clone(clone: Path) -> None:
    run(["make", "check"], clone, timeout=600)
