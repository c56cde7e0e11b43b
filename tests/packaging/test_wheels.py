"""What the wheels carry, and that they work where no checkout is."""

from __future__ import annotations

import email
import json
import zipfile
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT, run, tracked

pytestmark = pytest.mark.timeout(420)

PLUGINS = sorted(
    folder.name for folder in (ROOT / "plugins").iterdir() if (folder / "pyproject.toml").is_file()
)
NOT_SHIPPED = ("tests/", "tools/", "docs/", "plugins/", ".ci/", "__pycache__")


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        file = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(file))


def test_there_is_one_wheel_for_the_kernel_and_one_for_each_plugin(wheels: dict[str, Path]) -> None:
    assert sorted(wheels) == sorted(["sanyi_hub", *(f"sanyi_hub_{name}" for name in PLUGINS)])


def test_the_kernel_wheel_carries_the_package_the_mappings_and_nothing_else(wheels: dict[str, Path]) -> None:
    shipped = {name for name in names(wheels["sanyi_hub"]) if ".dist-info/" not in name}
    files = tracked()
    package = {name for name in files if name.startswith("hub/")}
    content = {f"hub/_content/{name}" for name in files if name.startswith(("mappings/", "conformance/"))}
    assert shipped == package | content


@pytest.mark.parametrize(
    "part",
    [
        "hub/py.typed",
        "hub/r4/definitions/Patient.json",
        "hub/r4/definitions.sha256",
        "hub/store/migrations/env.py",
        "hub/store/migrations/versions/v0001_resources.py",
        "hub/testing/contract.py",
        "hub/_content/mappings/hl7v2/adt.yaml",
        "hub/_content/mappings/hl7v2/frequency.map.csv",
        "hub/_content/mappings/settlement-nhsa/settle.conversation.yaml",
        "hub/_content/mappings/settlement-nhsa/samples/2207A.json",
        "hub/_content/conformance/package.json",
        "hub/_content/conformance/profiles/patient.json",
        "hub/_content/conformance/testscripts/search.json",
    ],
)
def test_the_kernel_wheel_has(part: str, wheels: dict[str, Path]) -> None:
    assert part in names(wheels["sanyi_hub"])


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_wheel_carries_its_package_with_data_and_nothing_else(
    plugin: str, wheels: dict[str, Path]
) -> None:
    shipped = {name for name in names(wheels[f"sanyi_hub_{plugin}"]) if ".dist-info/" not in name}
    beginning = f"plugins/{plugin}/"
    assert shipped == {
        name.removeprefix(beginning) for name in tracked() if name.startswith(f"{beginning}hub_{plugin}/")
    }
    assert f"hub_{plugin}/py.typed" in shipped


def test_every_wheel_carries_the_licence_and_no_tests(wheels: dict[str, Path]) -> None:
    licence = (ROOT / "LICENSE").read_bytes()
    for wheel in wheels.values():
        with zipfile.ZipFile(wheel) as archive:
            copies = [name for name in archive.namelist() if name.endswith(".dist-info/licenses/LICENSE")]
            assert [archive.read(name) for name in copies] == [licence], wheel.name
        assert metadata(wheel)["License-Expression"] == "Apache-2.0"
        assert not [name for name in names(wheel) if name.startswith(NOT_SHIPPED)]


def test_one_version_for_all(wheels: dict[str, Path]) -> None:
    """A plugin is released with the kernel it was tested with."""
    versions = {metadata(wheel)["Version"] for wheel in wheels.values()}
    assert len(versions) == 1
    for name, wheel in wheels.items():
        if name != "sanyi_hub":
            assert f"sanyi-hub>={versions.copy().pop()}" in metadata(wheel).get_all("Requires-Dist", [])


def test_the_demo_runs_from_the_wheels_alone(installed: Path, tmp_path: Path) -> None:
    where = run([installed / "python", "-c", "import hub; print(hub.__file__)"], tmp_path).strip()
    assert Path(where).is_relative_to(installed.parent), "the checkout is not on the path"
    played = json.loads(run([installed / "hub", "demo", "--once", "--json"], tmp_path, timeout=180))
    assert_complete(played)
    assert list(tmp_path.iterdir()) == [], "the demo writes into a folder of its own"


def assert_complete(played: dict[str, object]) -> None:
    """What the demo's JSON promises, whatever the details of the journey are."""
    journeys, counts, messages, settlements, orders = (
        played[name] for name in ("journeys", "counts", "messages", "settlements", "orders")
    )
    assert isinstance(journeys, list) and isinstance(counts, dict) and isinstance(messages, dict)
    assert isinstance(settlements, dict) and isinstance(orders, dict)
    assert len(journeys) == 3
    for journey in journeys:
        told = {step["step"] for step in journey["steps"]}
        assert told >= {"received", "stored", "settled", "ordered", "shipped", "delivered"}, journey
        assert all(set(step) >= {"step", "system", "resource"} for step in journey["steps"])
    kinds = ("stored", "invalid", "conflict", "duplicate", "rejected")
    assert messages["received"] == sum(messages[kind] for kind in kinds) > 0
    assert settlements["claims"] == settlements["at_insurer"] == counts["Claim"] == 3
    assert settlements["unknown_resolved"] >= 1
    assert orders["lines"] == orders["at_platform"] == orders["received"] > 0


def test_mappings_are_found_and_tested_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = "from hub import content; print(content.mappings())"
    where = Path(run([installed / "python", "-c", code], tmp_path).strip())
    assert where.is_relative_to(installed.parent) and where.parts[-2:] == ("_content", "mappings")
    assert "as expected" in run([installed / "hub", "map", "test"], tmp_path)


def test_testscripts_are_found_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = "from hub import conformance; print(*(one.id for one in conformance.read()))"
    assert {"read", "search", "update"} <= set(run([installed / "python", "-c", code], tmp_path).split())


def test_every_plugin_is_listed_and_every_command_helps(installed: Path, tmp_path: Path) -> None:
    listed = json.loads(run([installed / "hub", "adapter", "list", "--json"], tmp_path))
    assert {row["plugin"].partition(":")[0].replace("-", "_") for row in listed} == {
        f"sanyi_hub_{name}" for name in PLUGINS
    }
    assert all(row["state"] != "FAILED" for row in listed)
    run([installed / "hub", "--help"], tmp_path)
