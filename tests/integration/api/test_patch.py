"""patch and conditional patch over HTTP, http://hl7.org/fhir/R4/http.html#patch"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import issue

JSON_PATCH = {"Content-Type": "application/json-patch+json"}
OBSERVATION = (
    b'{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"weight"},'
    b'"valueQuantity":{"value":105.00,"unit":"kg"},"referenceRange":[{"low":{"value":1e2}}],'
    b'"extension":[{"url":"http://a.org/x","valueDecimal":12345678901234567890.10}]}'
)


def operation(**parts: Any) -> dict[str, Any]:
    """One operation of a FHIRPath Patch: `type_="add", path=..., value={"valueDate": ...}`."""
    made = []
    for name, value in parts.items():
        if name == "value":
            made.append({"name": "value", **value})
        else:
            kind = (
                "valueInteger" if isinstance(value, int) else "valueCode" if name == "type" else "valueString"
            )
            made.append({"name": name, kind: value})
    return {"name": "operation", "part": made}


def parameters(*operations: dict[str, Any]) -> bytes:
    return json.dumps({"resourceType": "Parameters", "parameter": list(operations)}).encode()


async def patch(client: httpx.AsyncClient, url: str, *operations: dict[str, Any]) -> httpx.Response:
    return await client.patch(url, content=json.dumps(operations), headers=JSON_PATCH)


@pytest.fixture
async def patient(client: httpx.AsyncClient) -> dict[str, Any]:
    """Patient/p1, stored."""
    body = {
        "resourceType": "Patient", "id": "p1", "active": True, "birthDate": "1970-01-02",
        "identifier": [{"system": "urn:s", "value": "1"}], "name": [{"family": "A", "given": ["B", "C"]}],
    }  # fmt: skip
    answer = await client.put("/fhir/Patient/p1", json=body)
    assert answer.status_code == 201
    return body


async def test_json_patch_makes_a_new_version(client: httpx.AsyncClient, patient: dict[str, Any]) -> None:
    answer = await patch(
        client,
        "/fhir/Patient/p1",
        {"op": "test", "path": "/active", "value": True},
        {"op": "replace", "path": "/active", "value": False},
        {"op": "add", "path": "/name/0/given/-", "value": "D"},
    )
    assert answer.status_code == 200
    assert answer.headers["etag"] == 'W/"2"'
    assert answer.headers["location"].endswith("/fhir/Patient/p1/_history/2")
    body = answer.json()
    assert (body["active"], body["name"][0]["given"], body["meta"]["versionId"]) == (
        False,
        ["B", "C", "D"],
        "2",
    )
    assert (await client.get("/fhir/Patient/p1")).json() == body
    found = await client.get("/fhir/Patient?active=false")
    assert found.json()["entry"][0]["resource"]["id"] == "p1"


async def test_literals_that_a_patch_does_not_touch_go_out_as_they_came(client: httpx.AsyncClient) -> None:
    assert (await client.put("/fhir/Observation/o1", content=OBSERVATION)).status_code == 201
    answer = await patch(
        client, "/fhir/Observation/o1", {"op": "replace", "path": "/valueQuantity/unit", "value": "g"}
    )
    assert answer.status_code == 200
    assert b'"value":105.00' in answer.content.replace(b" ", b"")
    for literal in (b"1e2", b"12345678901234567890.10", b"105.00"):
        assert literal in answer.content
    content = parameters(operation(type="replace", path="Observation.code.text", value={"valueString": "w"}))
    answer = await client.patch("/fhir/Observation/o1", content=content)
    assert answer.status_code == 200, answer.text
    for literal in (b"1e2", b"12345678901234567890.10", b"105.00"):
        assert literal in answer.content


async def test_numbers_in_a_patch_keep_their_literal(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Observation/o1", content=OBSERVATION)
    content = b'[{"op":"replace","path":"/valueQuantity/value","value":7.10e1}]'
    answer = await client.patch("/fhir/Observation/o1", content=content, headers=JSON_PATCH)
    assert b"7.10e1" in answer.content


async def test_a_patch_that_changes_nothing_makes_no_version(
    client: httpx.AsyncClient, patient: dict[str, Any]
) -> None:
    for operations in (
        [{"op": "replace", "path": "/active", "value": True}],
        [{"op": "test", "path": "/active", "value": True}],
        [],
        [{"op": "remove", "path": "/active"}, {"op": "add", "path": "/active", "value": True}],
    ):
        answer = await patch(client, "/fhir/Patient/p1", *operations)
        assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"1"'), operations


async def test_fhirpath_patch_takes_all_five_operations(
    client: httpx.AsyncClient, patient: dict[str, Any]
) -> None:
    content = parameters(
        operation(type="replace", path="Patient.birthDate", value={"valueDate": "1971-02-03"}),
        operation(type="add", path="Patient", name="deceased", value={"valueBoolean": False}),
        operation(type="add", path="Patient", name="contact", value={"part": [
            {"name": "name", "valueHumanName": {"text": "Mother"}},
            {"name": "gender", "valueCode": "female"}]}),
        operation(type="insert", path="Patient.name[0].given", index=1, value={"valueString": "X"}),
        operation(type="move", path="Patient.name[0].given", source=0, destination=2),
        operation(type="delete", path="Patient.active"),
        operation(type="replace", path="Patient.identifier.where(system = 'urn:s').value",
                  value={"valueString": "2"}),
    )  # fmt: skip
    answer = await client.patch("/fhir/Patient/p1", content=content)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert "active" not in body
    assert body["birthDate"] == "1971-02-03"
    assert body["deceasedBoolean"] is False
    assert body["contact"] == [{"name": {"text": "Mother"}, "gender": "female"}]
    assert body["name"][0]["given"] == ["X", "C", "B"]
    assert body["identifier"] == [{"system": "urn:s", "value": "2"}]


async def test_a_replaced_choice_takes_the_type_of_its_new_value(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Observation/o1", content=OBSERVATION)
    content = parameters(operation(type="replace", path="Observation.value", value={"valueString": "heavy"}))
    answer = await client.patch("/fhir/Observation/o1", content=content)
    assert answer.status_code == 200, answer.text
    assert answer.json()["valueString"] == "heavy"
    assert "valueQuantity" not in answer.json()


async def test_patch_needs_the_version_that_if_match_names(
    client: httpx.AsyncClient, patient: dict[str, Any]
) -> None:
    change = json.dumps([{"op": "replace", "path": "/active", "value": False}])
    stale = await client.patch(
        "/fhir/Patient/p1", content=change, headers={**JSON_PATCH, "If-Match": 'W/"7"'}
    )
    assert stale.status_code == 412
    fresh = await client.patch(
        "/fhir/Patient/p1", content=change, headers={**JSON_PATCH, "If-Match": 'W/"1"'}
    )
    assert fresh.status_code == 200


async def test_patch_answers_as_prefer_asks(client: httpx.AsyncClient, patient: dict[str, Any]) -> None:
    change = json.dumps([{"op": "replace", "path": "/active", "value": False}])
    minimal = await client.patch(
        "/fhir/Patient/p1", content=change, headers={**JSON_PATCH, "Prefer": "return=minimal"}
    )
    assert (minimal.status_code, minimal.content) == (200, b"")
    told = await client.patch(
        "/fhir/Patient/p1", content=b"[]", headers={**JSON_PATCH, "Prefer": "return=OperationOutcome"}
    )
    assert told.json()["resourceType"] == "OperationOutcome"


async def test_patch_creates_nothing(client: httpx.AsyncClient, patient: dict[str, Any]) -> None:
    assert (await patch(client, "/fhir/Patient/unknown")).status_code == 404
    await client.delete("/fhir/Patient/p1")
    gone = await patch(client, "/fhir/Patient/p1", {"op": "add", "path": "/active", "value": True})
    assert (gone.status_code, issue(gone)["code"]) == (410, "deleted")


@pytest.mark.parametrize(
    ("operations", "status"),
    [
        pytest.param([{"op": "test", "path": "/active", "value": False}], 422, id="failed-test"),
        pytest.param([{"op": "test", "path": "/active", "value": 1}], 422, id="true-is-not-one"),
        pytest.param([{"op": "remove", "path": "/gender"}], 422, id="removes-nothing"),
        pytest.param([{"op": "add", "path": "/gender/0", "value": "x"}], 422, id="into-nothing"),
        pytest.param([{"op": "add", "path": "/birthDate/0", "value": "x"}], 422, id="into-text"),
        pytest.param([{"op": "replace", "path": "/name/7", "value": {}}], 422, id="beyond-the-list"),
        pytest.param([{"op": "replace", "path": "/name/-1", "value": {}}], 422, id="minus-one"),
        pytest.param([{"op": "replace", "path": "/id", "value": "p2"}], 422, id="another-id"),
        pytest.param([{"op": "remove", "path": "/id"}], 422, id="no-id"),
        pytest.param([{"op": "replace", "path": "/resourceType", "value": "Person"}], 422, id="type"),
        pytest.param([{"op": "replace", "path": "", "value": 3}], 422, id="no-object"),
        pytest.param([{"op": "add", "path": "/colour", "value": "red"}], 422, id="no-such-element"),
        pytest.param([{"op": "replace", "path": "/birthDate", "value": "1970-13-01"}], 422, id="bad-date"),
        pytest.param([{"op": "move", "from": "/name", "path": "/name/0"}], 422, id="into-itself"),
        pytest.param([{"op": "append", "path": "/name"}], 400, id="unknown-op"),
        pytest.param([{"path": "/name"}], 400, id="no-op"),
        pytest.param([{"op": "add", "path": "/active"}], 400, id="no-value"),
        pytest.param([{"op": "remove", "path": "active"}], 400, id="no-pointer"),
        pytest.param([{"op": "remove", "path": 3}], 400, id="path-is-a-number"),
        pytest.param(["remove"], 400, id="no-operation"),
        pytest.param([{"op": "copy", "from": "/name", "path": "/name/0/extension"}] * 40, 422, id="doubling"),
    ],
)
async def test_a_json_patch_that_does_not_fit_changes_nothing(
    client: httpx.AsyncClient, patient: dict[str, Any], operations: list[Any], status: int
) -> None:
    answer = await patch(client, "/fhir/Patient/p1", *operations)
    assert answer.status_code == status, answer.text
    assert issue(answer)["severity"] == "error"
    assert (await client.get("/fhir/Patient/p1")).headers["etag"] == 'W/"1"'


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"3", b"[", b'[],"x":1', b'[{"op":"add","op":"add","path":"/active","value":true}]'],
)
async def test_what_is_no_patch_is_malformed(
    client: httpx.AsyncClient, patient: dict[str, Any], content: bytes
) -> None:
    answer = await client.patch("/fhir/Patient/p1", content=content, headers=JSON_PATCH)
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        pytest.param({"type": "replace", "path": "Patient.gender", "value": {"valueCode": "male"}}, 422,
                     id="nothing-there"),
        pytest.param({"type": "replace", "path": "Patient.name.given", "value": {"valueString": "x"}}, 422,
                     id="several"),
        pytest.param({"type": "add", "path": "Patient", "name": "birthDate",
                      "value": {"valueDate": "1980-01-01"}}, 422, id="there-already"),
        pytest.param({"type": "add", "path": "Patient", "name": "colour",
                      "value": {"valueString": "red"}}, 422, id="no-such-element"),
        pytest.param({"type": "add", "path": "Patient", "name": "deceased",
                      "value": {"valueString": "no"}}, 422, id="no-such-choice"),
        pytest.param({"type": "add", "path": "Patient", "name": "maritalStatus",
                      "value": {"valuePeriod": {"start": "2020"}}}, 422, id="another-type"),
        pytest.param({"type": "replace", "path": "Patient.birthDate",
                      "value": {"valueString": "soon"}}, 422, id="not-a-date"),
        pytest.param({"type": "insert", "path": "Patient.name", "index": 5,
                      "value": {"valueHumanName": {"text": "x"}}}, 422, id="beyond-the-list"),
        pytest.param({"type": "insert", "path": "Patient.birthDate", "index": 0,
                      "value": {"valueDate": "1980"}}, 422, id="no-list"),
        pytest.param({"type": "move", "path": "Patient.name", "source": 0, "destination": 1}, 422,
                     id="beyond-the-end"),
        pytest.param({"type": "delete", "path": "Patient"}, 422, id="everything"),
        pytest.param({"type": "delete", "path": "Patient.id"}, 422, id="the-id"),
        pytest.param({"type": "delete", "path": "Patient.("}, 400, id="no-fhirpath"),
        pytest.param({"type": "delete", "path": "Patient.managingOrganization.resolve().name"}, 400,
                     id="another-resource"),
        pytest.param({"type": "add", "path": "Patient"}, 400, id="parts-missing"),
        pytest.param({"type": "drop", "path": "Patient.name"}, 400, id="unknown-type"),
        pytest.param({"type": "delete", "path": "Patient.name", "colour": "red"}, 400, id="unknown-part"),
        pytest.param({"type": "move", "path": "Patient.name", "source": -1, "destination": 0}, 400,
                     id="negative"),
    ],
)  # fmt: skip
async def test_a_fhirpath_patch_that_does_not_fit_changes_nothing(
    client: httpx.AsyncClient, patient: dict[str, Any], asked: dict[str, Any], status: int
) -> None:
    answer = await client.patch("/fhir/Patient/p1", content=parameters(operation(**asked)))
    assert answer.status_code == status, answer.text
    assert issue(answer)["severity"] == "error"
    assert (await client.get("/fhir/Patient/p1")).headers["etag"] == 'W/"1"'


async def test_deleting_what_is_not_there_is_no_error(
    client: httpx.AsyncClient, patient: dict[str, Any]
) -> None:
    content = parameters(operation(type="delete", path="Patient.gender"))
    answer = await client.patch("/fhir/Patient/p1", content=content)
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"1"')


async def test_xml_patch_is_refused_by_name(client: httpx.AsyncClient, patient: dict[str, Any]) -> None:
    answer = await client.patch(
        "/fhir/Patient/p1", content=b"<diff/>", headers={"Content-Type": "application/xml-patch+xml"}
    )
    assert answer.status_code == 415
    assert "application/json-patch+json" in issue(answer)["diagnostics"]


async def test_conditional_patch_changes_the_one_match(
    client: httpx.AsyncClient, patient: dict[str, Any]
) -> None:
    change = {"op": "replace", "path": "/active", "value": False}
    answer = await patch(client, "/fhir/Patient?identifier=urn:s|1", change)
    assert (answer.status_code, answer.json()["id"], answer.headers["etag"]) == (200, "p1", 'W/"2"')


async def test_conditional_patch_without_a_match_is_404_and_with_several_412(
    client: httpx.AsyncClient, patient: dict[str, Any]
) -> None:
    change = {"op": "replace", "path": "/active", "value": False}
    assert (await patch(client, "/fhir/Patient?identifier=urn:s|9", change)).status_code == 404
    await client.post("/fhir/Patient", json={k: v for k, v in patient.items() if k != "id"})
    several = await patch(client, "/fhir/Patient?identifier=urn:s|1", change)
    assert (several.status_code, issue(several)["code"]) == (412, "multiple-matches")
    assert (await patch(client, "/fhir/Patient", change)).status_code == 400


async def test_a_fhirpath_patch_may_come_as_xml(client: httpx.AsyncClient, patient: dict[str, Any]) -> None:
    content = (
        '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>'
        '<part><name value="type"/><valueCode value="replace"/></part>'
        '<part><name value="path"/><valueString value="Patient.birthDate"/></part>'
        '<part><name value="value"/><valueDate value="1971-02-03"/></part></parameter></Parameters>'
    )
    answer = await client.patch(
        "/fhir/Patient/p1", content=content, headers={"Content-Type": "application/fhir+xml"}
    )
    assert answer.status_code == 200, answer.text
    assert (await client.get("/fhir/Patient/p1")).json()["birthDate"] == "1971-02-03"
