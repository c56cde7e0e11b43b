"""Names come from the field's own vocabulary, and say nothing about the computer they were written on."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EMPTY_WORDS = {
    "handle",
    "handler",
    "handlers",
    "helper",
    "helpers",
    "manage",
    "manager",
    "process",
    "service",
    "services",
}
EMPTY_WORDS |= {"util", "utils"}
GIVEN = {
    "handle",  # Starlette's BaseRoute.handle
    "manager",  # pluggy's PluginManager
    "process_message",  # FHIR's operation $process-message; FHIR's own words are never renamed
}
"""Names that a library or FHIR gives; only attributes, overridden methods and operations may carry them."""
LOCAL = re.compile(r"(?<![\w.*<])/(?:home|root|Users|work|tmp/bash)/|\bC:\\\\Users")


def sources() -> list[Path]:
    """All Python of the hub, the plugins and the tools."""
    folders = [ROOT / "hub", ROOT / "tools", *(ROOT / "plugins").glob("*/hub_*")]
    return sorted(file for folder in folders for file in folder.rglob("*.py"))


def defined(file: Path) -> Iterator[tuple[str, int]]:
    """The public functions, classes and the module of a file."""
    yield file.stem, 0
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        ) and not node.name.startswith("_"):
            yield node.name, node.lineno


def words(name: str) -> set[str]:
    """`HttpSimulator` and `http_simulator` are the words http and simulator."""
    return {one.lower() for one in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)}


@pytest.mark.parametrize("file", sources(), ids=lambda file: file.relative_to(ROOT).as_posix())
def test_no_name_says_nothing(file: Path) -> None:
    empty = [(name, line) for name, line in defined(file) if words(name) & EMPTY_WORDS and name not in GIVEN]
    assert empty == []


def tracked() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "-C", str(ROOT), "-c", "core.quotepath=off", "ls-files", "-z"]
    names = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def test_no_path_of_somebody_s_computer_is_written_down() -> None:
    found = []
    for file in tracked():
        try:
            text = file.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += [(file.relative_to(ROOT).as_posix(), one.group()) for one in LOCAL.finditer(text)]
    assert found == []


def test_nothing_that_is_made_is_kept() -> None:
    made = (".pyc", ".egg-info", ".db", ".log", ".whl", ".orig", ".rej", ".swp")
    assert [file for file in tracked() if file.name.endswith(made) or "__pycache__" in file.parts] == []


def test_test_modules_are_found_by_their_path() -> None:
    """All suites run in one session; with `__init__.py` folders of one name would hide each other."""
    assert (
        list((ROOT / "tests").rglob("__init__.py")) + list((ROOT / "plugins").glob("*/tests/**/__init__.py"))
        == []
    )
