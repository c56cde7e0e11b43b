"""The how-to's adapter passes the contract as it stands, and the contract catches what is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hub.errors import HubError, OutcomeUnknown, Retryable
from hub.messages import Applied
from hub.plugins import Plugins
from hub.testing.contract import AdapterContract

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "write-an-adapter.md"
FILE = re.compile(r"^```python (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The files of the how-to, importable."""
    folder = tmp_path_factory.mktemp("warehouse")
    for name, text in FILE.findall(HOW_TO.read_text("utf-8")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    installed = _forgotten()  # somebody may have followed the page and installed what it makes
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    _forgotten()
    sys.modules.update(installed)


def _forgotten() -> dict[str, ModuleType]:
    """The modules of any such package, which are imported anew."""
    names = [name for name in sys.modules if name.partition(".")[0] == "hub_warehouse"]
    return {name: sys.modules.pop(name) for name in names}


def test_the_examples_pass_the_contract(folder: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    command += ["-o", "asyncio_default_fixture_loop_scope=function", "--rootdir", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(
        [*command, str(folder / "tests")],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout and "failed" not in done.stdout


def test_the_loader_takes_it(folder: Path) -> None:
    import hub_warehouse  # type: ignore[import-not-found]

    plugins = Plugins()
    plugins.register("sanyi-hub-warehouse:warehouse", "0.1.0", hub_warehouse)
    assert [(one.adapters, one.failed) for one in plugins.loaded] == [(["warehouse"], "")]


async def _retryable(self: Any, delivery: Any) -> Any:
    try:
        return await type(self).__base__.send(self, delivery)
    except OutcomeUnknown as error:
        raise Retryable("let us just try again") from error


async def _swallow(self: Any, delivery: Any) -> Any:
    try:
        return await type(self).__base__.send(self, delivery)
    except HubError:
        return None


async def _applied(self: Any, delivery: Any) -> Any:
    return Applied()


@pytest.mark.parametrize(
    ("broken", "check", "arguments"),
    [
        ({"send": _retryable}, "test_no_readable_answer_is_an_unknown_outcome", ["lose-reply"]),
        ({"send": _retryable}, "test_no_readable_answer_is_an_unknown_outcome", ["garble"]),
        ({"send": _swallow}, "test_a_refusal_carries_its_reply", []),
        ({"send": _swallow}, "test_nobody_there_is_retryable", []),
        ({"confirm": _applied}, "test_confirm_tells_the_truth", ["lose-request"]),
        ({"kind": "Ware House"}, "test_kind_is_a_plain_name", []),
        ({"kind": "other"}, "test_simulator_is_named_and_of_the_same_kind", []),
        ({"simulator": None}, "test_simulator_is_named_and_of_the_same_kind", []),
    ],
)
async def test_the_contract_catches(
    folder: Path, broken: dict[str, Any], check: str, arguments: list[str]
) -> None:
    contract = _contract(folder, broken)
    with pytest.raises((AssertionError, HubError, pytest.fail.Exception)):
        await getattr(contract, check)(*arguments)
    whole = _contract(folder, {})
    await getattr(whole, check)(*arguments)


async def test_the_contract_catches_settings_that_hide_or_tell_too_much(folder: Path) -> None:
    from hub.adapters import AdapterSettings

    class Loose(AdapterSettings, extra="ignore"):
        app_secret: str = ""

    contract = _contract(folder, {"Settings": Loose})
    checks: list[Callable[[], Any]] = [
        contract.test_every_setting_is_described,
        contract.test_secrets_are_secret,
        contract.test_unknown_settings_are_refused,
    ]
    for check in checks:
        with pytest.raises(AssertionError):
            await check()


async def test_the_contract_catches_forbidden_imports(
    folder: Path,
) -> None:
    contract = _contract(folder, {})
    simulator, adapter = folder / "hub_warehouse" / "simulator.py", folder / "hub_warehouse" / "adapter.py"
    shares, builds = (
        "test_simulator_shares_no_code_with_the_adapter",
        "test_adapter_builds_no_fhir_and_uses_public_names",
    )
    for file, line, check in [
        (simulator, "from hub_warehouse.adapter import Warehouse", shares),
        (simulator, "from . import adapter", shares),
        (adapter, "import hub.store", builds),
        (adapter, "from hub import r4", builds),
    ]:
        before = file.read_text("utf-8")
        file.write_text(f"{line}\n{before}", "utf-8")
        try:
            with pytest.raises(AssertionError):
                await getattr(contract, check)()
        finally:
            file.write_text(before, "utf-8")
        await getattr(contract, check)()


async def test_an_exemption_names_a_check_and_a_reason(folder: Path) -> None:
    for exemptions in ({"test_no_such_thing": "because it is so"}, {"test_check_passes": "no"}):
        contract = _contract(folder, {})
        type(contract).exemptions = exemptions
        with pytest.raises(AssertionError):
            await contract.test_exemptions_name_a_check_and_a_reason()


def _contract(folder: Path, broken: dict[str, Any]) -> AdapterContract:
    """The how-to's contract, on the how-to's adapter with something broken."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("warehouse_contract", folder / "tests" / "test_contract.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    whole = module.TestWarehouse
    adapter = type("Broken", (whole.adapter_class,), broken | {"__module__": "hub_warehouse.adapter"})
    made: AdapterContract = type("Contract", (whole,), {"adapter_class": adapter})()
    return made
