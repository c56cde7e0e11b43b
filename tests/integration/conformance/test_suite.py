"""Every TestScript passes against the hub, and fails against a server that does the one thing wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from hub import conformance
from hub.conformance import Result
from tests.integration.conformance import spoiling
from tests.integration.conformance.conftest import listening
from tests.integration.conformance.spoiling import Spoil, Spoiled, changed

SCRIPTS = [script.id for script in conformance.read()]
BASE = "http://127.0.0.1:8080/fhir"


def told(result: Result) -> list[str]:
    """Whatever did not simply pass."""
    parts = (result.setup, *result.tests, result.teardown)
    return [
        f"{result.id}, {part.name}: {one.outcome}: {one.label}: {one.message}"
        for part in parts
        for one in part.actions
        if one.outcome != "pass"
    ]


async def test_the_hub_passes_every_script_over_a_socket(app: FastAPI, port: int) -> None:
    async with listening(app, port) as url, conformance.reach(url) as server:
        results = [await conformance.run(script, server) for script in conformance.read()]
    assert [line for one in results for line in told(one)] == []
    assert {one.verdict for one in results} == {"pass"}
    assert all(one.tests for one in results)


async def test_the_suite_passes_twice_and_leaves_nothing_behind(one_app: FastAPI) -> None:
    transport = httpx.ASGITransport(one_app, raise_app_exceptions=False)
    async with conformance.reach(BASE, transport) as server:
        for _ in range(2):
            results = [await conformance.run(script, server) for script in conformance.read()]
            assert {one.verdict for one in results} == {"pass"}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
        for kind in ("Observation", "Patient", "Organization"):
            left = (await client.get(f"/fhir/{kind}?_summary=count")).json()
            assert left["total"] == 0, kind


def otherwise(request: httpx.Request, right: httpx.Response) -> httpx.Response:
    """What R4 leaves to the server, decided another way than the hub does."""
    if right.status_code == 204:
        return changed(right, status=200, body=FINE, media_type="application/fhir+json")
    if right.status_code == 410:
        right = changed(right, status=404)
    if right.status_code == 422:
        right = changed(right, status=400)
    if "location" in right.headers:
        right = changed(right, location=right.headers["location"].removeprefix(f"{BASE}/"))
    right = changed(right, without="Last-Modified")
    if right.headers.get("content-type", "").startswith("application/fhir+json"):
        right = changed(right, media_type="application/fhir+json; charset=UTF-8")
        body = right.json() if right.content else {}
        if body.get("type") == "searchset" and "_summary" not in str(request.url):
            body.pop("total", None)
            return changed(right, body=body)
    return right


FINE = {"resourceType": "OperationOutcome", "issue": [{"severity": "information", "code": "informational"}]}


async def test_a_server_that_decides_otherwise_where_r4_lets_it_passes(one_app: FastAPI) -> None:
    async with conformance.reach(BASE, Spoiled(one_app, otherwise)) as server:
        results = [await conformance.run(script, server) for script in conformance.read()]
    failed = [line for one in results for line in told(one) if ": warning: " not in line]
    assert failed == []


def deleted_stays(request: httpx.Request, right: httpx.Response) -> httpx.Response:
    """A delete that is answered and does nothing would look like this to a reader."""
    return changed(right, status=200, body={"resourceType": "Patient"}) if right.status_code == 410 else right


def lost(*path: str) -> Callable[[dict[str, Any]], object]:
    """Loses one element."""
    return lambda tree: tree.pop(path[0], None)


def first_version(request: httpx.Request, right: httpx.Response) -> httpx.Response:
    """vread answers with a version that was not asked for."""
    if "/_history/" not in request.url.path or right.status_code != 200:
        return right
    body = right.json()
    body["meta"]["versionId"] = "77"
    return changed(right, body=body)


def in_order(body: dict[str, Any]) -> None:
    """Histories and searches come the other way round."""
    body.get("entry", []).reverse()


def in_one_go(body: dict[str, Any]) -> None:
    """No page leads to the next."""
    body["link"] = [link for link in body.get("link", []) if link["relation"] != "next"]


def without_includes(body: dict[str, Any]) -> None:
    body["entry"] = [one for one in body.get("entry", []) if one.get("search", {}).get("mode") != "include"]


def one_less(body: dict[str, Any]) -> None:
    body["entry"] = body.get("entry", [])[1:]


def rounded(request: httpx.Request, right: httpx.Response) -> httpx.Response:
    """Numbers lose their last zero, as a server does that reads them as binary floats."""
    if b"1.50" not in right.content:
        return right
    return httpx.Response(
        right.status_code,
        headers=[(k, v) for k, v in right.headers.multi_items() if k != "content-length"],
        content=right.content.replace(b"1.50", b"1.5"),
    )


def always_json(request: httpx.Request, right: httpx.Response) -> httpx.Response:
    """Says JSON whatever it is."""
    return changed(right, media_type="application/fhir+json") if right.content else right


WRONG: list[tuple[str, str, str, Spoil]] = [
    ("read", "an element is lost", "Read a resource", spoiling.tree(lost("birthDate"), kind="Patient")),
    (
        "read",
        "what is not there is answered 200",
        "Read what is not there",
        spoiling.status(200, instead_of=404),
    ),
    ("read", "vread gives another version", "Read a version", first_version),
    ("create", "201 becomes 200", "Create a resource", spoiling.status(200, instead_of=201)),
    (
        "create",
        "no Location",
        "Create a resource",
        lambda _, right: changed(right, without="Location"),
    ),
    (
        "create",
        "several matches are accepted",
        "Refuse if several match",
        spoiling.status(201, instead_of=412),
    ),
    ("create", "nonsense is accepted", "Refuse what is no JSON", spoiling.status(201, instead_of=400)),
    (
        "update",
        "no ETag",
        "Refuse an update of an old version",
        lambda _, right: changed(right, without="ETag"),
    ),
    (
        "update",
        "old versions are accepted",
        "Refuse an update of an old version",
        spoiling.status(200, instead_of=412),
    ),
    (
        "update",
        "the version stays",
        "Update a resource",
        spoiling.tree(lambda tree: tree["meta"].update(versionId="1"), kind="Patient"),
    ),
    (
        "update",
        "creation is not told",
        "Create by update",
        spoiling.status(200, instead_of=201, method="PUT"),
    ),
    ("delete", "what was deleted is still read", "Delete a resource", deleted_stays),
    (
        "delete",
        "a delete is refused",
        "Delete by criteria",
        spoiling.status(405, instead_of=204, method="DELETE"),
    ),
    (
        "patch",
        "a patch is answered and lost",
        "JSON Patch replaces and adds",
        spoiling.tree(lambda tree: tree.update(gender="female"), kind="Patient"),
    ),
    (
        "patch",
        "an unmet test is ignored",
        "A test of the patch that does not hold",
        spoiling.status(200, instead_of=422),
    ),
    ("patch", "a stale patch is applied", "A patch of an old version", spoiling.status(200, instead_of=412)),
    ("history", "the oldest comes first", "History of a resource", spoiling.tree(in_order, kind="Bundle")),
    ("history", "a version is missing", "History of a resource", spoiling.tree(one_less, kind="Bundle")),
    ("history", "no page leads on", "History by pages", spoiling.tree(in_one_go, kind="Bundle")),
    ("search", "a match is missing", "String", spoiling.tree(one_less, kind="Bundle")),
    ("search", "the order is another", "_sort", spoiling.tree(in_order, kind="Bundle")),
    ("search", "no page leads on", "_count and the link next", spoiling.tree(in_one_go, kind="Bundle")),
    ("search", "includes are left out", "_include", spoiling.tree(without_includes, kind="Bundle")),
    (
        "bundles",
        "the answer is of another type",
        "A transaction",
        spoiling.tree(lambda tree: tree.update(type="batch-response"), kind="Bundle", method="POST"),
    ),
    ("bundles", "an entry is not answered", "A batch", spoiling.tree(one_less, kind="Bundle", method="POST")),
    (
        "bundles",
        "a wrong transaction is accepted",
        "A transaction with one wrong entry",
        spoiling.status(200, instead_of=400),
    ),
    (
        "metadata",
        "it says R5",
        "GET metadata",
        spoiling.tree(lambda tree: tree.update(fhirVersion="5.0.0"), kind="CapabilityStatement"),
    ),
    (
        "metadata",
        "it forgets what it offers",
        "GET metadata",
        spoiling.tree(lambda tree: tree["rest"][0].update(resource=[]), kind="CapabilityStatement"),
    ),
    (
        "validate",
        "everything is fine",
        "A code outside of a required value set",
        spoiling.tree(
            lambda tree: tree.update(issue=[{"severity": "information", "code": "informational"}]),
            kind="OperationOutcome",
            method="POST",
        ),
    ),
    ("formats", "numbers are read as floats", "Write in XML", rounded),
    ("formats", "XML is called JSON", "Read as XML", always_json),
    (
        "formats",
        "any format is acceptable",
        "A format that no server has",
        spoiling.status(200, instead_of=406),
    ),
]


def test_every_script_has_a_negative_control() -> None:
    assert {script for script, *_ in WRONG} == set(SCRIPTS)


@pytest.mark.parametrize(
    ("script", "wrong", "test", "spoil"), WRONG, ids=[f"{one[0]}: {one[1]}" for one in WRONG]
)
async def test_a_wrong_server_fails(
    script: str, wrong: str, test: str, spoil: Spoil, one_app: FastAPI
) -> None:
    async with conformance.reach(BASE, Spoiled(one_app, spoil)) as server:
        (one,) = conformance.read([script])
        result = await conformance.run(one, server)
    assert result.verdict == "fail"
    (part,) = [part for part in result.tests if part.name == test]
    assert part.verdict == "fail", told(result)
    assert any(action.outcome == "fail" for action in part.actions), told(result)
