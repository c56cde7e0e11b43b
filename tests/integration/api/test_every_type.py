"""All 146 resource types: stored, read, changed, deleted, and found by every search parameter.

The resources are made from the element tables (`instances.py`), the questions from the parameters' published
expressions (`questions.py`).
"""

from __future__ import annotations

import json

import httpx
import pytest

from hub import r4
from tests.integration.api.instances import least, richest
from tests.integration.api.questions import EVERY, wrong_answers

pytestmark = pytest.mark.timeout(600)
VARIANTS = 4
AS_FHIR = {"Accept": "application/fhir+json"}  # a Binary would come as its content
WITHOUT_EFFECT = {"SearchParameter": {"status": "retired"}, "Subscription": {"status": "off"}}
"""Types that would take effect when active, and say so if they cannot."""


async def test_every_type_is_created_read_found_changed_and_deleted(client: httpx.AsyncClient) -> None:
    assert len(r4.TYPES) == 146
    for type_name in r4.TYPES:
        body = {**least(type_name, "one"), **WITHOUT_EFFECT.get(type_name, {})}
        path = f"/fhir/{type_name}/one"
        created = await client.put(path, json=body)
        assert created.status_code == 201, (type_name, created.text)
        stored = (await client.get(path, headers=AS_FHIR)).json()
        assert {name: value for name, value in stored.items() if name != "meta"} == body
        found = (await client.get(f"/fhir/{type_name}?_id=one&_total=accurate")).json()
        assert (found["total"], found["entry"][0]["resource"]) == (1, stored)
        changed = await client.put(path, json={**body, "language": "zh-CN"})
        assert (changed.status_code, changed.headers["etag"]) == (200, 'W/"2"'), (type_name, changed.text)
        assert (await client.delete(path)).status_code == 204
        assert (await client.get(path)).status_code == 410
        assert "entry" not in (await client.get(f"/fhir/{type_name}?_id=one")).json()
        history = (await client.get(f"{path}/_history")).json()
        assert [one["request"]["method"] for one in history["entry"]] == ["DELETE", "PUT", "PUT"]
        assert history["total"] == 3


async def test_every_type_goes_through_xml_and_loses_nothing(client: httpx.AsyncClient) -> None:
    as_xml = {"Content-Type": "application/fhir+xml", "Accept": "application/fhir+xml"}
    for type_name in r4.TYPES:
        for variant in range(2):
            body = richest(type_name, f"v{variant}", variant) | WITHOUT_EFFECT.get(type_name, {})
            path = f"/fhir/{type_name}/v{variant}"
            assert (await client.put(path, json=body)).status_code == 201
            through = await client.get(path, headers=as_xml)
            again = await client.put(path, content=through.content, headers=as_xml)
            assert again.status_code == 200, (type_name, again.text)
            stored = (await client.get(path, headers=AS_FHIR)).json()
            meta = stored.pop("meta")
            assert {**stored, "meta": body["meta"]} == body
            assert {name: meta[name] for name in body["meta"]} == body["meta"]


async def test_every_parameter_of_every_type_finds_what_has_a_value_for_it(client: httpx.AsyncClient) -> None:
    resources = []
    for type_name in r4.TYPES:
        for variant in range(VARIANTS):
            rich = richest(type_name, f"v{variant}", variant) | WITHOUT_EFFECT.get(type_name, {})
            body = json.dumps(rich).encode()
            answer = await client.put(f"/fhir/{type_name}/v{variant}", content=body)
            assert answer.status_code == 201, (type_name, variant, answer.text)
            resources.append((f"{type_name}/v{variant}", body))
    failures, total = await wrong_answers(client, resources)
    assert failures == []
    assert total > 50_000


async def test_control_what_another_resource_has_is_not_found(client: httpx.AsyncClient) -> None:
    """The questions of one body, asked about another: the test above would see it."""
    for variant in range(2):
        body = richest("Observation", f"v{variant}", variant)
        assert (await client.put(f"/fhir/Observation/v{variant}", json=body)).status_code == 201
    swapped = json.dumps(richest("Observation", "v0", 1)).encode()
    failures, _ = await wrong_answers(client, [("Observation/v0", swapped)])
    assert len(failures) > 20 // EVERY + 3
