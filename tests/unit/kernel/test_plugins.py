"""The loader: a broken plugin stops nobody, and says why."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hub import plugins
from hub.adapters import Adapter
from hub.errors import Misconfigured
from hub.hookspecs import Rule, hookimpl

GOOD = """
from hub.adapters import Adapter
from hub.hookspecs import hookimpl

class Fax(Adapter):
    kind = "{kind}"

@hookimpl
def register_adapters():
    return [Fax]
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a module and return an entry point to it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name: str, code: str) -> EntryPoint:
        (tmp_path / f"plugin_{name}.py").write_text(code, "utf-8")
        sys.modules.pop(f"plugin_{name}", None)
        return EntryPoint(name=name, value=f"plugin_{name}", group="sanyi_hub")

    return make


def failures(found: plugins.Plugins) -> dict[str, str]:
    return {one.name: one.failed for one in found.loaded if one.failed}


def test_installed_plugins_are_found() -> None:
    """Ours, whatever else is installed beside them."""
    found = plugins.load()
    ours = {"his-hl7v2", "settlement-nhsa", "procurement-zhejiang"}
    assert ours <= set(found.adapters)
    assert all(":" in one.name for one in found.loaded), "registered as distribution:name"
    assert [one.failed for one in found.loaded if one.name.partition(":")[2] in ours] == ["", "", ""]


def test_a_broken_plugin_is_listed_and_stops_nobody(install: Any) -> None:
    found = plugins.load(
        [install("bad", "raise RuntimeError('no fax line')"), install("good", GOOD.format(kind="fax"))]
    )
    assert set(found.adapters) == {"fax"}
    assert failures(found) == {"local:bad": "RuntimeError: no fax line"}


def test_a_plugin_that_leaves_the_interpreter_is_listed_too(install: Any) -> None:
    found = plugins.load([install("quits", "raise SystemExit(3)"), install("good", GOOD.format(kind="fax"))])
    assert "local:quits" in failures(found) and "fax" in found.adapters


def test_two_plugins_of_one_kind_are_both_named_and_neither_is_used(install: Any) -> None:
    points = [install(name, GOOD.format(kind="fax")) for name in ("one", "two", "three")]
    found = plugins.load(points)
    assert found.adapters == {}
    why = failures(found)
    assert set(why) == {"local:one", "local:two", "local:three"}
    assert "local:one" in why["local:two"] and "'fax'" in why["local:one"]
    with pytest.raises(Misconfigured, match=r"uninstall one of them"):
        found.adapter("fax")


def test_a_misspelt_hook_is_an_error(install: Any) -> None:
    code = GOOD.format(kind="fax").replace("register_adapters", "register_adaptors")
    found = plugins.load([install("typo", code), install("good", GOOD.format(kind="post"))])
    assert "register_adaptors" in failures(found)["local:typo"]
    assert set(found.adapters) == {"post"}


@pytest.mark.parametrize(
    ("returned", "named"),
    [("[1]", "expected a subclass of Adapter"), ("[Adapter]", "expected a subclass of Adapter with a kind")],
)
def test_something_else_than_an_adapter_is_refused(install: Any, returned: str, named: str) -> None:
    code = GOOD.format(kind="fax").replace("return [Fax]", f"return {returned}")
    assert named in failures(plugins.load([install("odd", code)]))["local:odd"]


def test_a_plugin_that_fails_later_leaves_no_rule_behind(install: Any) -> None:
    code = """
from hub.hookspecs import Rule, hookimpl
@hookimpl
def register_rules():
    return [Rule(name="r", resource="Claim", check=lambda tree, values: [])]
@hookimpl
def register_operations():
    raise RuntimeError("later")
"""
    found = plugins.load([install("late", code)])
    assert found.rules == [] and "later" in failures(found)["local:late"]


def test_an_unknown_kind_says_what_is_installed(install: Any) -> None:
    found = plugins.load([install("good", GOOD.format(kind="fax"))])
    with pytest.raises(Misconfigured, match=r"no adapter of kind 'telex'.*installed: fax"):
        found.adapter("telex")


def test_rules_of_plugins_are_collected() -> None:
    found = plugins.Plugins()
    rule = Rule(name="r", resource="Claim", check=lambda tree, values: [])
    found.register("local:x", "1", SimpleNamespace(register_rules=hookimpl(lambda: [rule])))
    assert found.rules == [rule]


def test_a_simulator_is_found_by_its_name() -> None:
    found = plugins.load()
    assert plugins.simulator(found.adapters["his-hl7v2"]).kind == "his-hl7v2"

    class Lonely(Adapter):
        kind = "lonely"

    with pytest.raises(Misconfigured, match="names no simulator"):
        plugins.simulator(Lonely)
