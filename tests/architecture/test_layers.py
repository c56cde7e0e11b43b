"""The picture in docs/explanation/architecture.md is the contract that import-linter keeps (`make check`)."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "architecture.md"


def contracts() -> list[dict[str, Any]]:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    found: list[dict[str, Any]] = linter["contracts"]
    return found


def house() -> dict[str, Any]:
    return next(one for one in contracts() if one["type"] == "layers")


def drawn() -> list[set[str]]:
    """The lines of the picture, without their remarks."""
    found = re.search(r"## The layers.*?```\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    lines = [re.sub(r"\(.*?\)", "", line) for line in found[1].splitlines()]
    return [{name.strip() for name in line.split("|")} for line in lines]


def test_the_picture_is_the_contract() -> None:
    assert drawn() == [{name.strip() for name in line.split("|")} for line in house()["layers"]]


def test_every_module_has_a_layer_and_no_layer_is_empty() -> None:
    modules = {
        one.stem for one in (ROOT / "hub").iterdir() if one.suffix == ".py" or (one / "__init__.py").is_file()
    }
    assert set().union(*drawn()) == modules - {"__init__", *house()["exhaustive_ignores"]}
    assert house()["exhaustive"] is True


def test_no_contract_has_an_ignore_list() -> None:
    assert [one["name"] for one in contracts() if "ignore_imports" in one] == []


def test_every_plugin_is_under_every_contract_about_plugins() -> None:
    packages = {f"hub_{file.parent.name}" for file in (ROOT / "plugins").glob("*/pyproject.toml")}
    for one in contracts():
        if one["type"] != "layers":
            named = {
                module.partition(".")[0]
                for key in ("modules", "source_modules", "forbidden_modules")
                for module in one.get(key, [])
            }
            assert packages <= named, one["name"]


def test_plugins_may_import_what_is_public_and_nothing_else_of_the_hub() -> None:
    """A new module of the hub is closed to plugins until somebody opens it here."""
    public = {"adapters", "clock", "errors", "hookspecs", "messages", "models", "testing"}
    closed = next(one for one in contracts() if one["name"].startswith("Plugins and hub.testing"))
    modules = set().union(*drawn()) | {"testing"}
    assert set(closed["forbidden_modules"]) == {f"hub.{name}" for name in modules - public}
