"""Every plugin has the same files with the same names; every hook has a real plugin that uses it."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import pytest

from hub.hookspecs import Hooks
from hub.plugins import Plugins
from tools import build_reference

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(file.parent for file in (ROOT / "plugins").glob("*/pyproject.toml"))
FILES = ("__init__.py", "adapter.py", "py.typed", "settings.py", "simulator.py", "wire.py")
every_plugin = pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)


@pytest.fixture(scope="module")
def installed() -> Plugins:
    """Ours, whatever else is installed beside them."""
    return build_reference.ours()


@every_plugin
def test_a_plugin_has_the_files_every_plugin_has(plugin: Path) -> None:
    package = plugin / f"hub_{plugin.name}"
    assert [name for name in FILES if not (package / name).is_file()] == []
    assert (plugin / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@every_plugin
def test_a_plugin_keeps_the_contract(plugin: Path) -> None:
    tests = [file.read_text("utf-8") for file in (plugin / "tests").glob("test_*.py")]
    assert any(re.search(r"^class \w+\(AdapterContract\)", text, re.MULTILINE) for text in tests)
    assert (plugin / "tests" / "samples").is_dir(), "a simulator is checked against samples"


@every_plugin
def test_a_plugin_is_named_everywhere_by_its_folder(plugin: Path, installed: Plugins) -> None:
    project = tomllib.loads((plugin / "pyproject.toml").read_text("utf-8"))["project"]
    kind = plugin.name.replace("_", "-")
    assert project["name"] == f"sanyi-hub-{kind}"
    assert project["entry-points"] == {"sanyi_hub": {kind: f"hub_{plugin.name}"}}
    assert installed.adapters[kind].__module__ == f"hub_{plugin.name}.adapter"
    assert f"-e ./plugins/{plugin.name}\n" in (ROOT / "adapters.txt").read_text("utf-8")


def test_every_hook_is_used_by_a_plugin_and_there_are_at_most_six(installed: Plugins) -> None:
    hooks = [name for name, _ in inspect.getmembers(Hooks, inspect.isfunction) if not name.startswith("_")]
    assert 0 < len(hooks) <= 6
    unused = [name for name in hooks if not getattr(installed.manager.hook, name).get_hookimpls()]
    assert unused == []


def test_nothing_failed_to_load(installed: Plugins) -> None:
    assert [(one.name, one.failed) for one in installed.loaded if one.failed] == []
