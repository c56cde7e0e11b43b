"""What a fuzz run once broke, each by name; and what expressions from outside may cost."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from hub import r4
from hub.app import Hub
from tests.integration.api.conftest import issue

HEAVY = "where((1 | 2).repeat($this + 1).exists())"
"""It never ends, once there is anything to look at."""


def whole(answer: httpx.Response) -> dict[str, Any]:
    """The first issue of an outcome that is a valid resource itself."""
    r4.decode(answer.content, "OperationOutcome")
    return issue(answer)


@pytest.mark.parametrize(
    "query", ["%01x%0f=a", "name:%02=a", "_has:%03:%04:%05=a", "_sort=%06", "_include=%07"]
)
async def test_control_characters_of_a_name_do_not_come_back(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/fhir/Patient?{query}")
    assert answer.status_code == 400 and whole(answer)


async def test_an_operation_whose_name_has_control_characters_is_unknown(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fhir/$a%12b")
    assert answer.status_code in (400, 404) and whole(answer)


@pytest.mark.parametrize("type_name", ["Binary", "Patient", "Bundle"])
@pytest.mark.parametrize("content", [b'{"a":' * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000])
async def test_json_of_any_depth_is_refused(
    client: httpx.AsyncClient, type_name: str, content: bytes
) -> None:
    for answer in (
        await client.post(f"/fhir/{type_name}", content=content),
        await client.put(f"/fhir/{type_name}/a", content=content),
        await client.post("/fhir", content=content),
    ):
        assert answer.status_code == 400 and whole(answer)
    validated = await client.post(f"/fhir/{type_name}/$validate", content=content)
    assert validated.status_code in (200, 400) and whole(validated)["severity"] in ("error", "fatal")


@pytest.mark.parametrize("name", ["_content", "_text"])
async def test_conditions_on_the_whole_text_are_answered(client: httpx.AsyncClient, name: str) -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml">Zhang Wei</div>'
    person = {"resourceType": "Patient", "id": "a", "text": {"status": "generated", "div": div}}
    await client.put("/fhir/Patient/a", json=person)
    patch = [{"op": "add", "path": "/active", "value": True}]
    headers = {"Content-Type": "application/json-patch+json"}
    answer = await client.patch(f"/fhir/Patient?{name}=Zhang", json=patch, headers=headers)
    assert answer.status_code == 200 and answer.json()["active"] is True
    nobody = await client.patch(f"/fhir/Patient?{name}=Nobody", json=patch, headers=headers)
    assert nobody.status_code == 404 and whole(nobody)


async def test_an_expression_from_outside_runs_within_its_steps_wherever_it_runs(
    client: httpx.AsyncClient, hub: Hub
) -> None:
    parameter = {
        "resourceType": "SearchParameter",
        "url": "http://example.org/heavy",
        "name": "heavy",
        "status": "active",
        "description": "heavy",
        "code": "heavy",
        "base": ["Patient"],
        "type": "token",
        "expression": f"Patient.gender.{HEAVY}",
    }
    posted = await client.post("/fhir/SearchParameter", json=parameter)
    assert posted.status_code == 201, posted.text
    await hub.filler.settled()
    person = {"resourceType": "Patient", "id": "a", "gender": "male"}
    assert (await client.put("/fhir/Patient/a", json=person)).status_code == 201
    assert "entry" not in (await client.get("/fhir/Patient?heavy=male")).json()
    assert len((await client.get("/fhir/Patient?_sort=heavy")).json()["entry"]) == 1
    missing = await client.get("/fhir/Patient?gender=male&heavy:missing=true")
    assert len(missing.json()["entry"]) == 1
    change = await client.put("/fhir/Patient?heavy=male", json={"resourceType": "Patient", "gender": "male"})
    assert change.status_code == 201


async def test_a_patch_with_a_heavy_expression_is_refused(client: httpx.AsyncClient) -> None:
    person = {"resourceType": "Patient", "id": "a", "name": [{"text": "Wang"}]}
    await client.put("/fhir/Patient/a", json=person)
    part = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": f"Patient.name.{HEAVY}"}]
    patch = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": part}]}
    answer = await client.patch("/fhir/Patient/a", json=patch)
    assert (answer.status_code, whole(answer)["code"]) == (422, "processing")


@pytest.mark.parametrize(
    "path",
    ["messages?channel=a%00b", "deliveries?state=%00", "journeys/a%00b", "audit?actor=%00", "messages?x=%00"],
)
async def test_the_character_nul_reaches_no_database(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"/admin/{path}")
    assert answer.status_code in (400, 404, 422)
    paused = await client.post("/admin/channels/none/pause", json={"reason": "a\x00b"})
    assert paused.status_code in (400, 404, 422)
