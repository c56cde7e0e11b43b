"""$validate: http://hl7.org/fhir/R4/resource-operation-validate.html"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.app import Hub
from hub.errors import Issue
from hub.hookspecs import Rule
from hub.validation.rules import Rules
from tests.integration.api.conftest import issue

EXAMPLES = Path(os.environ.get("HUB_TEST_DATA", "")) / "fhir-r4" / "examples"
FAULTY = {
    "MedicationRequest-medrx0301": "MedicationRequest.dispenseRequest.performer.reference",
    "Observation-clinical-gender": "Observation.performer[0].reference",
}
"""Published examples whose reference points at a type that its element does not allow."""
GOOD = {"resourceType": "Patient", "gender": "female", "birthDate": "1950-01-01"}
SCRIPT = '<div xmlns="http://www.w3.org/1999/xhtml"><script>x()</script></div>'


def wrapped(resource: dict[str, Any] | None, **values: str) -> dict[str, Any]:
    parameter: list[dict[str, Any]] = [{"name": "resource", "resource": resource}] if resource else []
    parameter += [
        {"name": name, "valueUri" if name == "profile" else "valueCode": value}
        for name, value in values.items()
    ]
    return {"resourceType": "Parameters", "parameter": parameter}


async def issues(answer: httpx.Response) -> list[tuple[str, str, str]]:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    return [(one["severity"], one["code"], one.get("expression", [""])[0]) for one in body["issue"]]


async def test_sound_content_is_all_ok(client: httpx.AsyncClient) -> None:
    for content in (GOOD, wrapped(GOOD), wrapped(GOOD, mode="create")):
        answer = await client.post("/fhir/Patient/$validate", json=content)
        assert await issues(answer) == [("information", "informational", "")]
    assert (await client.get("/fhir/Patient")).json().get("entry") is None


async def test_every_issue_of_bad_content_is_listed(client: httpx.AsyncClient) -> None:
    content = {
        "resourceType": "Observation",
        "status": "done",
        "subject": {"reference": "Practitioner/1"},
        "effectiveDateTime": "2026-13-45",
        "colour": "red",
        "text": {"status": "generated", "div": SCRIPT},
    }
    found = await issues(await client.post("/fhir/Observation/$validate", json=wrapped(content)))
    assert {place for _, _, place in found} == {
        "Observation.status",
        "Observation.code",
        "Observation.subject.reference",
        "Observation.effective",
        "Observation",
        "Observation.text.div",
    }
    assert {severity for severity, _, _ in found} == {"error"}


async def test_content_of_another_type_is_an_issue(client: httpx.AsyncClient) -> None:
    found = await issues(await client.post("/fhir/Observation/$validate", json=GOOD))
    assert [(severity, code) for severity, code, _ in found] == [("error", "structure")]


async def test_what_is_no_json_cannot_be_judged(client: httpx.AsyncClient) -> None:
    for content in ("{", "", '{"resourceType":"Patient","gender":"male","gender":"female"}', "[]"):
        answer = await client.post("/fhir/Patient/$validate", content=content)
        assert answer.status_code == 400, content
        assert issue(answer)


async def test_references_are_judged_by_form_and_by_mode(client: httpx.AsyncClient) -> None:
    def named(reference: str) -> dict[str, Any]:
        return {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": reference}}

    path = "/fhir/Basic/$validate"
    assert await issues(await client.post(path, json=wrapped(named("#p")))) == [
        ("error", "invariant", "Basic")
    ]
    assert await issues(await client.post(path, json=wrapped(named("nobody knows")))) == [
        ("warning", "value", "Basic.subject.reference")
    ]
    urn = named("urn:uuid:9b3d5c2e-8f1a-4c5e-9d7b-1a2b3c4d5e6f")
    assert (await issues(await client.post(path, json=wrapped(urn))))[0][0] == "information"
    assert await issues(await client.post(path, json=wrapped(urn, mode="create"))) == [
        ("error", "not-found", "Basic")
    ]


async def test_a_profile_that_is_not_known_is_not_supported(client: httpx.AsyncClient) -> None:
    path = "/fhir/Patient/$validate"
    base = "http://hl7.org/fhir/StructureDefinition/Patient"
    for known in (base, f"{base}|4.0.1"):
        found = await issues(await client.post(path, json=wrapped(GOOD, profile=known)))
        assert found == [("information", "informational", "")]
    other = "https://example.org/StructureDefinition/patient"
    found = await issues(await client.post(path, json=wrapped(GOOD, profile=other)))
    assert found == [("error", "not-supported", "")]
    claimed = GOOD | {"meta": {"profile": [base, other]}}
    assert await issues(await client.post(f"{path}?profile={base}", json=claimed)) == [
        ("warning", "not-supported", "Patient.meta.profile[1]")
    ]


async def test_a_stored_resource_is_validated_by_name(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/p1", json=GOOD | {"id": "p1"})
    path = "/fhir/Patient/p1/$validate"
    assert await issues(await client.get(path)) == [("information", "informational", "")]
    profile = wrapped(None, mode="profile", profile="https://example.org/p")
    assert await issues(await client.post(path, json=profile)) == [("error", "not-supported", "")]
    assert (await client.get("/fhir/Patient/nobody/$validate")).status_code == 404
    await client.delete("/fhir/Patient/p1")
    assert (await client.get(path)).status_code == 410


async def test_update_and_delete_are_asked_of_one_resource(client: httpx.AsyncClient, hub: Hub) -> None:
    await client.put("/fhir/Patient/p1", json=GOOD | {"id": "p1"})
    path = "/fhir/Patient/p1/$validate"
    same = wrapped(GOOD | {"id": "p1"}, mode="update")
    assert (await issues(await client.post(path, json=same)))[0][0] == "information"
    other = wrapped(GOOD | {"id": "p2"}, mode="update")
    assert await issues(await client.post(path, json=other)) == [("error", "invalid", "Patient.id")]
    assert (await issues(await client.post(path, json=wrapped(None, mode="delete"))))[0][0] == "information"
    assert (await client.get(f"{path}?mode=delete")).status_code == 200
    assert (await client.get("/fhir/Patient/p1")).json()["meta"]["versionId"] == "1"
    for mode in ("update", "delete", "destroy"):
        answer = await client.post("/fhir/Patient/$validate", json=wrapped(GOOD, mode=mode))
        assert answer.status_code == 400, mode
    assert (await client.post("/fhir/Patient/$validate?strict=1", json=GOOD)).status_code == 400


async def test_another_owner_may_not_change_it(client: httpx.AsyncClient, hub: Hub) -> None:
    from hub.store import resources

    body = json.dumps(GOOD).encode()
    made = resources.draft(hub.store, body, type="Patient", id="theirs", owner="county-hospital")
    await hub.store.write(lambda tx: resources.put(tx, made))
    asked = wrapped(GOOD | {"id": "theirs"}, mode="update")
    found = await issues(await client.post("/fhir/Patient/theirs/$validate", json=asked))
    assert found == [("error", "forbidden", "")]
    assert (await client.put("/fhir/Patient/theirs", json=GOOD | {"id": "theirs"})).status_code == 403


async def test_rules_of_plugins_are_asked(client: httpx.AsyncClient, hub: Hub) -> None:
    def check(tree: dict[str, Any], values: dict[str, Any]) -> list[Issue]:
        return [Issue(code="business-rule", diagnostics="too young", expression="Patient.birthDate")]

    hub.api.rules = Rules([Rule(name="old", resource="Patient", check=check)])
    found = await issues(await client.post("/fhir/Patient/$validate", json=GOOD))
    assert found == [("error", "business-rule", "Patient.birthDate")]


async def test_parameters_are_validated_as_what_they_are(client: httpx.AsyncClient) -> None:
    bare = {"resourceType": "Parameters", "parameter": [{"name": "a", "valueString": "b"}]}
    found = await issues(await client.post("/fhir/Parameters/$validate", json=bare))
    assert found == [("information", "informational", "")]
    found = await issues(await client.post("/fhir/Parameters/$validate", json=wrapped(bare)))
    assert found == [("information", "informational", "")]


async def test_a_narrative_with_active_content_is_not_stored(client: httpx.AsyncClient) -> None:
    bad = GOOD | {"text": {"status": "generated", "div": SCRIPT}}
    answer = await client.post("/fhir/Patient", json=bad)
    assert answer.status_code == 400
    assert issue(answer)["expression"] == ["Patient.text.div"]
    hidden = json.dumps(bad).replace('"div"', '"d\\u0069v"')
    assert (await client.post("/fhir/Patient", content=hidden)).status_code == 400
    plain = GOOD | {"text": {"status": "generated", "div": "<div>no namespace</div>"}}
    assert (await client.post("/fhir/Patient", json=plain)).status_code == 201
    found = await issues(await client.post("/fhir/Patient/$validate", json=plain))
    assert found == [("error", "invariant", "Patient.text.div")]


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="HUB_TEST_DATA does not name the published examples")
async def test_no_published_example_has_an_error(client: httpx.AsyncClient) -> None:
    for file in sorted(EXAMPLES.glob("*.json")):
        content = file.read_bytes()
        kind = json.loads(content)["resourceType"]
        answer = await client.post(f"/fhir/{kind}/$validate", content=content)
        found = await issues(answer)
        errors = [place for severity, _, place in found if severity in ("error", "fatal")]
        assert errors == ([FAULTY[file.stem]] if file.stem in FAULTY else []), f"{file.name}: {answer.text}"
