"""Every import is declared, every dependency has its reason and a licence that goes with ours."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.conftest import ROOT

PAGE = ROOT / "docs" / "reference" / "dependencies.md"
ROW = re.compile(r"^\| `([\w.-]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
COMPATIBLE = {
    "Apache-2.0": r"apache",
    "BSD": r"\bbsd\b|bsd-[23]-clause",
    "MIT": r"\bmit\b|mit-cmu",
    "MPL-2.0": r"mpl|mozilla public",
    "PSF-2.0": r"\bpsf|python software foundation|cnri",
    "PostgreSQL": r"postgresql",
}
PARTS = [ROOT, *sorted(file.parent for file in (ROOT / "plugins").glob("*/pyproject.toml"))]
OURS = {"hub", "tests", "tools", "plugins", *(f"hub_{part.name}" for part in PARTS[1:])}
NOT_IMPORTED = {"greenlet", "httptools", "tzdata"}
"""Used through another library; the page says by which."""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def project(part: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((part / "pyproject.toml").read_text("utf-8"))["project"]
    return found


def required(lines: list[str]) -> set[str]:
    """The names in a list of requirements."""
    found = (re.match(r"[A-Za-z0-9][\w.-]*", line.strip()) for line in lines)
    return {canonical(one.group()) for one in found if one}


def imported(folder: Path) -> set[str]:
    """The distributions whose modules the files below a folder import."""
    modules: set[str] = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {one.name.partition(".")[0] for one in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.partition(".")[0])
    known = packages_distributions()
    beside = {script.stem for script in (ROOT / "tests" / "faults").glob("*.py")}
    outside = modules - sys.stdlib_module_names - OURS - {"hub_warehouse"} - beside
    return {canonical(known.get(module, [module])[0]) for module in outside}


def dev() -> set[str]:
    return required((ROOT / "dev.txt").read_text("utf-8").splitlines())


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_what_is_imported_is_declared_and_the_other_way_round(part: Path) -> None:
    declared = project(part)
    direct = required(declared["dependencies"]) - {"sanyi-hub"}
    optional = required(
        [line for lines in declared.get("optional-dependencies", {}).values() for line in lines]
    )
    package = part / ("hub" if part == ROOT else f"hub_{part.name}")
    assert imported(package) <= direct | optional
    assert direct - imported(package) <= NOT_IMPORTED


def test_what_tests_and_tools_import_is_declared() -> None:
    declared = dev().union(*(required(project(part)["dependencies"]) for part in PARTS))
    for folder in (ROOT / "tests", ROOT / "tools", *(part / "tests" for part in PARTS[1:])):
        assert imported(folder) <= declared, folder


def test_the_page_lists_every_direct_dependency() -> None:
    listed = {canonical(name) for name, _, _ in ROW.findall(PAGE.read_text("utf-8"))}
    direct = dev().union(*(required(project(part)["dependencies"]) for part in PARTS)) - {"sanyi-hub"}
    assert listed == direct


@pytest.mark.parametrize(
    ("name", "licence"), [(row[0], row[1]) for row in ROW.findall(PAGE.read_text("utf-8"))]
)
def test_the_licence_is_as_the_page_says_and_goes_with_apache(name: str, licence: str) -> None:
    try:
        found = told(name)
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed on this platform")
    for one in re.split(r" or | and ", licence):
        assert re.search(COMPATIBLE[one], found, re.IGNORECASE), f"{name} tells {found!r}"


def told(name: str) -> str:
    """What a distribution says of its licence: the expression, else the first line and the classifiers, else
    the licence it carries along."""
    metadata = distribution(name).metadata

    def field(key: str) -> list[str]:
        return metadata.get_all(key) or []

    classifiers = [one for one in field("Classifier") if one.startswith("License ::")]
    first_lines = [one.splitlines()[0] for one in field("License") if one]
    carried = [file.read_text("utf-8") for file in distribution(name).files or () if "LICENSE" in file.name]
    return " ".join(field("License-Expression") or [*first_lines, *classifiers] or carried)
