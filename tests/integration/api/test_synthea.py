"""Synthea's transactions: everything arrives, every link leads somewhere, and it is found again.

They lie in the folder `HUB_TEST_DATA` names (`synthea`); without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

FILES = sorted((Path(os.environ.get("HUB_TEST_DATA", "")) / "synthea").glob("*.json"))
pytestmark = [
    pytest.mark.skipif(
        "HUB_TEST_DATA" not in os.environ or not FILES, reason="HUB_TEST_DATA does not name Synthea's bundles"
    ),
    pytest.mark.timeout(300),
]
SHARED = ("Patient", "Organization", "Practitioner")


def bundle_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


async def post(client: httpx.AsyncClient, bundle: dict[str, Any]) -> list[dict[str, str]]:
    """The response of every entry."""
    answer = await client.post("/fhir", json=bundle)
    assert answer.status_code == 200, answer.text
    return [one["response"] for one in answer.json()["entry"]]


def name_of(response: dict[str, str]) -> str:
    """Type/id of a location."""
    return "/".join(response["location"].partition("/_history")[0].split("/")[-2:])


def references(node: Any) -> Iterator[str]:
    """Every literal reference in a tree."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "reference" and isinstance(value, str):
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for one in node:
            yield from references(one)


async def pages(client: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    """The entries of all pages."""
    found: list[dict[str, Any]] = []
    while path:
        page = (await client.get(path)).json()
        found += page.get("entry", ())
        path = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    return found


def named(entries: list[dict[str, Any]], mode: str = "") -> list[str]:
    return sorted(
        f"{one['resource']['resourceType']}/{one['resource']['id']}"
        for one in entries
        if not mode or one["search"]["mode"] == mode
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_a_patient_arrives_whole_and_is_found_from_every_side(
    client: httpx.AsyncClient, path: Path
) -> None:
    bundle = bundle_of(path)
    responses = await post(client, bundle)
    assert all(one["status"].startswith("201") for one in responses)
    names = {one["fullUrl"]: name_of(new) for one, new in zip(bundle["entry"], responses, strict=True)}
    sent = {names[one["fullUrl"]]: one["resource"] for one in bundle["entry"]}
    links: dict[str, set[str]] = {}
    for name, resource in sent.items():
        stored = (await client.get(f"/fhir/{name}")).json()
        wanted = [names.get(one, one) for one in references(resource)]
        assert list(references(stored)) == wanted, name
        links[name] = {one for one in wanted if not one.startswith("#")}
    await _counts(client, sent)
    await _everything(client, sent, links)
    await _includes(client, links)


async def _counts(client: httpx.AsyncClient, sent: dict[str, Any]) -> None:
    for type_name, many in Counter(name.partition("/")[0] for name in sent).items():
        answer = (await client.get(f"/fhir/{type_name}?_total=accurate&_count=7")).json()
        assert answer["total"] == many
        listed = named(await pages(client, f"/fhir/{type_name}?_count=50"))
        assert listed == sorted(name for name in sent if name.startswith(f"{type_name}/"))


async def _everything(client: httpx.AsyncClient, sent: dict[str, Any], links: dict[str, set[str]]) -> None:
    """What points at the patient, and what that leads to: here that is all there is."""
    (patient,) = (name for name in sent if name.startswith("Patient/"))
    around = {patient} | {name for name, led in links.items() if patient in led}
    assert around | {one for name in around for one in links[name]} == set(sent)
    assert named(await pages(client, f"/fhir/{patient}/$everything")) == sorted(sent)


async def _includes(client: httpx.AsyncClient, links: dict[str, set[str]]) -> None:
    encounters = {name for name in links if name.startswith("Encounter/")}
    seen = {name for name in links if name.startswith("Observation/")}
    found = await pages(client, "/fhir/Encounter?_revinclude=Observation:encounter&_count=1000")
    assert named(found, "match") == sorted(encounters)
    assert named(found, "include") == sorted(name for name in seen if links[name] & encounters)
    found = await pages(client, "/fhir/Observation?_include=Observation:encounter&_include=*&_count=1000")
    assert named(found, "match") == sorted(seen)
    assert named(found, "include") == sorted({one for name in seen for one in links[name]} - seen)


async def test_the_same_bundle_again_creates_nothing_that_is_there(client: httpx.AsyncClient) -> None:
    """Patient, Organization and Practitioner come by identifier: so that all links lead to the first."""
    bundle = bundle_of(min(FILES, key=lambda path: path.stat().st_size))
    for one in bundle["entry"]:
        identifiers = one["resource"].get("identifier", ())
        if one["resource"]["resourceType"] in SHARED and identifiers:
            value = f"{identifiers[0]['system']}|{identifiers[0]['value']}"
            one["request"]["ifNoneExist"] = f"identifier={quote(value, safe='')}"
    first, second = await post(client, bundle), await post(client, bundle)
    for one, before, after in zip(bundle["entry"], first, second, strict=True):
        shared = "ifNoneExist" in one["request"]
        assert before["status"].startswith("201")
        assert after["status"].startswith("200" if shared else "201")
        assert (name_of(before) == name_of(after)) is shared
    patient = next(name_of(one) for one in first if "/Patient/" in one["location"])
    count = sum(one["resource"]["resourceType"] == "Observation" for one in bundle["entry"])
    answer = (await client.get(f"/fhir/Observation?subject={patient}&_summary=count")).json()
    assert answer["total"] == 2 * count


async def test_a_bundle_of_put_entries_makes_no_version_the_second_time(client: httpx.AsyncClient) -> None:
    bundle = bundle_of(min(FILES, key=lambda path: path.stat().st_size))
    for one in bundle["entry"]:
        id = one["fullUrl"].removeprefix("urn:uuid:")
        one["resource"]["id"] = id
        one["request"] = {"method": "PUT", "url": f"{one['resource']['resourceType']}/{id}"}
    first, second = await post(client, bundle), await post(client, bundle)
    assert {one["status"][:3] for one in first} == {"201"}
    assert {(one["status"][:3], one["etag"]) for one in second} == {("200", 'W/"1"')}
    history = (await client.get("/fhir/_history?_count=1000")).json()
    assert len(history["entry"]) == len(bundle["entry"])
