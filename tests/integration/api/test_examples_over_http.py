"""HL7's published examples (4.0.1) over HTTP: what is put is what is read, as JSON and through XML, and every
search parameter finds what has a value for it and nothing else.

They lie in the folder `HUB_TEST_DATA` names (`fhir-r4/examples`); without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree

from tests.integration.api.questions import wrong_answers

EXAMPLES = Path(os.environ.get("HUB_TEST_DATA", "")) / "fhir-r4" / "examples"
FAULTY = {"MedicationRequest-medrx0301", "Observation-clinical-gender"}
"""Published with a reference to a type that the element does not allow."""
XML = {"Content-Type": "application/fhir+xml", "Accept": "application/fhir+xml"}

pytestmark = [
    pytest.mark.skipif(
        "HUB_TEST_DATA" not in os.environ or not EXAMPLES.is_dir(),
        reason="HUB_TEST_DATA does not name the published examples",
    ),
    pytest.mark.timeout(600),
]


def examples() -> list[tuple[str, bytes]]:
    """(Type/id, text) of every example that is valid."""
    found = []
    for path in sorted(EXAMPLES.glob("*.json")):
        if path.stem not in FAULTY:
            body = path.read_bytes()
            head = json.loads(body)
            found.append((f"{head['resourceType']}/{head['id']}", body))
    return found


def literal(body: bytes) -> Any:
    """The tree with every number as its text, without id and meta."""
    tree = json.loads(
        body, parse_float=lambda text: ("number", text), parse_int=lambda text: ("number", text)
    )
    return {name: value for name, value in tree.items() if name not in ("id", "meta")}


async def put_all(client: httpx.AsyncClient) -> list[tuple[str, bytes]]:
    """Put every example; what was put."""
    known = examples()
    for name, body in known:
        answer = await client.put(f"/fhir/{name}", content=body)
        assert answer.status_code == 201, (name, answer.text)
    return known


async def test_every_example_comes_back_with_its_literals(client: httpx.AsyncClient) -> None:
    for name, body in await put_all(client):
        answer = await client.get(f"/fhir/{name}")
        assert literal(answer.content) == literal(body), name


async def test_every_example_goes_through_xml_and_loses_nothing(client: httpx.AsyncClient) -> None:
    """The first time the text may change (white space, order of members), the second time nothing does."""
    for name, body in await put_all(client):
        for turn in range(2):
            through = await client.get(f"/fhir/{name}", headers=XML)
            assert through.headers["content-type"].startswith("application/fhir+xml"), name
            again = await client.put(f"/fhir/{name}", content=through.content, headers=XML)
            assert again.status_code == 200, (name, again.text[:300])
            if turn:
                assert again.headers["etag"] == through.headers["etag"], name
        answer = await client.get(f"/fhir/{name}")
        assert shape(literal(answer.content)) == shape(literal(body)), name


def shape(value: Any) -> Any:
    """A tree with its XHTML in canonical form."""
    if isinstance(value, dict):
        return {
            name: etree.canonicalize(inner) if name == "div" else shape(inner)
            for name, inner in value.items()
        }
    return [shape(one) for one in value] if isinstance(value, list) else value


async def test_faulty_examples_are_refused_with_the_place(client: httpx.AsyncClient) -> None:
    for stem in FAULTY:
        body = json.loads((EXAMPLES / f"{stem}.json").read_bytes())
        answer = await client.put(f"/fhir/{body['resourceType']}/{body['id']}", json=body)
        assert answer.status_code == 400
        assert answer.json()["issue"][0]["expression"][0].endswith(".reference")


async def test_every_parameter_finds_the_examples_that_have_a_value_for_it(client: httpx.AsyncClient) -> None:
    failures, total = await wrong_answers(client, await put_all(client))
    assert failures == []
    assert total > 30_000
