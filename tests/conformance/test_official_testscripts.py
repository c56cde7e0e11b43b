"""HL7's own example TestScripts, as far as an engine for one server can run them.

They lie in the folder `HUB_TEST_DATA` names (`fhir-r4/testscripts`); without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx
import pytest

from hub import conformance, content, plugins
from hub.app import Hub, create_app
from hub.conformance import Result, scripts
from hub.settings import build

BASE = "http://127.0.0.1:8080/fhir"


def folder() -> Path | None:
    """The folder of the scripts, or None."""
    named = os.environ.get("HUB_TEST_DATA")
    found = Path(named) / "fhir-r4" / "testscripts" if named else None
    return found if found is not None and found.is_dir() else None


pytestmark = pytest.mark.skipif(
    folder() is None, reason="HUB_TEST_DATA names no folder with fhir-r4/testscripts"
)

PROFILES = "the rules of a profile are not checked"
OFFICIAL = {
    ("testscript-example", "Read Patient"): ("skip", PROFILES),
    ("testscript-example-history", "History Patient"): ("skip", PROFILES),
    ("testscript-example-multisystem", "ReadPatient-Destination1"): ("skip", "one is supported"),
    ("testscript-example-multisystem", "ReadPatient-Destination2"): ("skip", "one is supported"),
    ("testscript-example-readtest", "Sprinkler Read Test R001"): ("skip", PROFILES),
    ("testscript-example-readtest", "Sprinkler Read Test R002"): ("pass", ""),
    ("testscript-example-readtest", "Sprinkler Read Test R003"): ("pass", ""),
    # it takes an id with capitals for a malformed one: true of DSTU1, not of R4
    ("testscript-example-readtest", "Sprinkler Read Test R004"): (
        "fail",
        "expected the status 400, came 404",
    ),
    ("testscript-example-search", "Patient Create Search"): ("pass", ""),
    # a person is to enter the names it searches for
    ("testscript-example-search", "Patient Search Dynamic"): ("fail", "has no value"),
    ("testscript-example-update", "Update Patient"): ("pass", ""),
}


async def play(name: str, sqlite_url: str) -> dict[str, Result]:
    """Run every script of a folder against a hub that knows the Patient they take for granted."""
    where = folder()
    assert where is not None
    patient = json.loads((where / "official" / "Patient-example.json").read_text("utf-8"))
    settings = build({"database_url": sqlite_url})
    app = create_app(settings, hub=Hub(settings, found=plugins.load()))
    found = {}
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            conformance.reach(BASE, transport) as server,
            httpx.AsyncClient(transport=transport) as client,
        ):
            for one in conformance.read([str(where / name)]):
                await client.put(
                    f"{BASE}/Patient/example", json=patient, headers={"Content-Type": "application/fhir+json"}
                )
                found[one.id] = await conformance.run(one, server)
    return found


@pytest.fixture(autouse=True)
def without_mappings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "mappings", lambda: tmp_path)


async def test_the_official_examples_run_as_far_as_they_can(sqlite_url: str) -> None:
    found = await play("official", sqlite_url)
    ended = {(id, part.name): (part.verdict, part.reason) for id, one in found.items() for part in one.tests}
    assert ended.keys() == OFFICIAL.keys()
    for key, (verdict, reason) in OFFICIAL.items():
        assert ended[key][0] == verdict and reason in ended[key][1], (key, ended[key])
    assert {one.setup.verdict for one in found.values()} == {"pass"}


async def test_the_ported_examples_run_as_far_as_they_can(sqlite_url: str) -> None:
    """Their second Patient has a birth date that is none, and one expects 200 where a PUT creates."""
    found = await play("testscript-engine", sqlite_url)
    assert {id: one.verdict for id, one in found.items()} == dict.fromkeys(found, "fail")
    read = {part.name: part.verdict for part in found["testscript-example-readtest"].tests}
    assert list(read.values()) == ["skip", "pass", "pass", "fail"]
    assert "expected the status 200, came 400" in found["testscript-example-history"].setup.reason
    assert "expected the status 200, came 400" in found["testscript-example-update"].tests[0].reason
    assert "expected the status 200, came 201" in found["testscript-example"].setup.reason


def test_every_script_of_the_suites_is_read() -> None:
    where = folder()
    assert where is not None
    read = {name: scripts.folder_scripts(where / name) for name in ("official", "testscript-engine")}
    assert {name: len(found) for name, found in read.items()} == {"official": 6, "testscript-engine": 5}
