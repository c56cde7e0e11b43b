"""The TestScript engine: which request an operation means, when an assert holds; no silent pass."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from hub import conformance
from hub.conformance import Script, asserts, target
from hub.errors import Misconfigured
from tests.unit.conformance.stage import (
    BASE,
    binary,
    contained,
    fhir,
    operation,
    outcome,
    play,
    script,
    sent,
    wanted,
)

PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "active": True,
    "name": [{"family": "Testperson", "given": ["Anna", "Berta"]}],
    "gender": "female",
}
FIXTURE = {"resourceType": "Patient", "id": "fixture", "gender": "female"}
TARGET = {"targetId": "answer"}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (operation("read", resource="Patient", params="/p1"), "GET /Patient/p1"),
        (operation("read", resource="Patient", params="p1?_format=xml"), "GET /Patient/p1?_format=xml"),
        (operation("read", resource="Patient", targetId="answer"), "GET /Patient/p1"),
        (operation("vread", resource="Patient", targetId="answer"), "GET /Patient/p1/_history/3"),
        (operation("history", targetId="answer", params="?_count=2"), "GET /Patient/p1/_history?_count=2"),
        (operation("history", resource="Patient"), "GET /Patient/_history"),
        (
            operation("history", resource="Patient", params="/p1?_count=2"),
            "GET /Patient/p1/_history?_count=2",
        ),
        (operation("history", resource="Patient", params="/p1/_history"), "GET /Patient/p1/_history"),
        (operation("search", resource="Patient", params="?name=a b"), "GET /Patient?name=a%20b"),
        (
            operation("search", resource="Patient", params="?date=ge2026-01-01T00:00:00+08:00"),
            "GET /Patient?date=ge2026-01-01T00:00:00%2B08:00",
        ),
        (operation("search", params="?_type=Patient"), "GET ?_type=Patient"),
        (operation("search", resource="Patient", params="?name=a", method="post"), "POST /Patient/_search"),
        (operation("capabilities"), "GET /metadata"),
        (operation("delete", targetId="answer"), "DELETE /Patient/p1"),
        (operation("deleteCondSingle", resource="Patient", params="?name=a"), "DELETE /Patient?name=a"),
        (operation("create", sourceId="fixture"), "POST /Patient"),
        (operation("update", resource="Patient", params="/p2", sourceId="fixture"), "PUT /Patient/p2"),
        (operation("updateCreate", resource="Patient", params="/p2", sourceId="fixture"), "PUT /Patient/p2"),
        (
            operation(
                "patch",
                resource="Patient",
                params="/p2",
                sourceId="raw",
                contentType="application/json-patch+json",
            ),
            "PATCH /Patient/p2",
        ),
        (operation("batch", sourceId="fixture"), "POST "),
        (operation("transaction", sourceId="fixture"), "POST "),
        (operation("validate", resource="Patient", sourceId="fixture"), "POST /Patient/$validate"),
        (
            operation("everything", targetId="answer", params="?_count=1"),
            "GET /Patient/p1/$everything?_count=1",
        ),
        (operation("expand", resource="ValueSet", params="/v1/$expand"), "GET /ValueSet/v1/$expand"),
        (operation("read", resource="Patient", params="/p1", method="head"), "HEAD /Patient/p1"),
        (operation("read", url="Patient/p1"), "GET /Patient/p1"),
        (operation("read", url=f"{BASE}/Patient/p1"), "GET /Patient/p1"),
    ],
)
async def test_an_operation_is_this_request(given: dict[str, Any], line: str) -> None:
    first = operation("read", resource="Patient", params="/p1", responseId="answer")
    *_, last = await sent(first, given, **contained(FIXTURE, binary("raw", "[]")))
    assert f"{last.method} {str(last.url).removeprefix(BASE)}" == line


async def test_a_form_carries_the_parameters_of_a_search_by_post() -> None:
    (asked,) = await sent(operation("search", resource="Patient", params="?name=a b", method="post"))
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.content == b"name=a%20b"


async def test_headers_and_formats_are_those_of_the_operation() -> None:
    header = [{"field": "If-Match", "value": 'W/"1"'}]
    asked = await sent(
        operation(
            "update",
            resource="Patient",
            params="/p2",
            sourceId="fixture",
            accept="xml",
            contentType="xml",
            requestHeader=header,
        ),
        operation("read", resource="Patient", params="/p2", accept="none"),
        **contained(FIXTURE),
    )
    assert asked[0].headers["accept"] == asked[0].headers["content-type"] == "application/fhir+xml"
    assert asked[0].headers["if-match"] == 'W/"1"'
    assert b'<id value="p2"/>' in asked[0].content and b'<gender value="female"/>' in asked[0].content
    assert asked[1].headers["accept"] == "*/*"  # what an HTTP client says that was told nothing


async def test_a_contained_fixture_is_sent_without_its_id_and_updated_with_that_of_the_url() -> None:
    create, update = await sent(
        operation("create", sourceId="fixture"),
        operation("update", resource="Patient", params="/p2", sourceId="fixture"),
        **contained(FIXTURE),
    )
    assert json.loads(create.content) == {"resourceType": "Patient", "gender": "female"}
    assert json.loads(update.content) == {"resourceType": "Patient", "gender": "female", "id": "p2"}


async def test_a_binary_stands_for_its_bytes() -> None:
    (asked,) = await sent(
        operation("create", resource="Patient", sourceId="raw"), **contained(binary("raw", '{"a": 1.50'))
    )
    assert asked.content == b'{"a": 1.50'


async def test_variables_come_from_headers_expressions_paths_and_defaults() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return fhir(PATIENT, etag='W/"7"')

    one = script(
        operation("read", resource="Patient", params="/p1", responseId="first"),
        operation(
            "read",
            resource="Patient",
            params="/${id}-${family}-${path}-${gone}",
            requestHeader=[{"field": "If-None-Match", "value": "${tag}"}],
        ),
        wanted(expression="Patient.gender", operator="equals", value="${gender}"),
        variable=[
            {"name": "id", "expression": "Patient.id", "sourceId": "first"},
            {"name": "family", "expression": "Patient.name.family", "sourceId": "first"},
            {"name": "path", "path": "fhir:Patient/fhir:gender/@value", "sourceId": "first"},
            {"name": "gone", "expression": "Patient.birthDate", "defaultValue": "none"},
            {"name": "tag", "headerField": "ETag", "sourceId": "first"},
            {"name": "gender", "expression": "Patient.gender"},
        ],
    )
    result = await play(one, answer)
    assert result.verdict == "pass", result.tests[0].reason
    assert asked[1].url.path == "/fhir/Patient/p1-Testperson-female-none"
    assert asked[1].headers["if-none-match"] == 'W/"7"'


async def test_fixtures_are_created_before_and_deleted_after_whatever_fails() -> None:
    lines: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        lines.append(f"{request.method} {str(request.url).removeprefix(BASE)}")
        if request.method == "POST":
            return fhir(PATIENT, 201, location=f"{BASE}/Patient/made-1/_history/1")
        return fhir({"resourceType": "OperationOutcome"}, 404)

    one = script(
        operation("read", resource="Patient", targetId="fixture"),
        wanted(response="okay"),
        operation("read", resource="Patient", params="/never"),
        **contained(FIXTURE, autocreate=True, autodelete=True),
        teardown={"action": [operation("delete", resource="Patient", params="/other")]},
    )
    result = await play(one, answer)
    assert lines == [
        "POST /Patient",
        "GET /Patient/made-1",
        "DELETE /Patient/other",
        "DELETE /Patient/made-1",
    ]
    assert [action.outcome for action in result.tests[0].actions] == ["pass", "fail", "skip"]
    assert result.verdict == "fail"


async def test_a_setup_that_fails_skips_the_tests_and_fails_the_script() -> None:
    one = script(
        operation("read", resource="Patient", params="/p1"),
        setup={"action": [operation("read", resource="Patient", params="/p1"), wanted(responseCode="200")]},
    )
    result = await play(one, lambda _: httpx.Response(500))
    assert result.setup.verdict == "fail" and result.tests[0].verdict == "skip" and result.verdict == "fail"


HOLDS = [
    ({"response": "okay"}, True),
    ({"response": "created"}, False),
    ({"response": "created", "operator": "notEquals"}, True),
    ({"responseCode": "200"}, True),
    ({"responseCode": "200,204", "operator": "in"}, True),
    ({"responseCode": "201,204", "operator": "in"}, False),
    ({"responseCode": "400", "operator": "lessThan"}, True),
    ({"contentType": "json"}, True),
    ({"contentType": "application/fhir+json"}, True),
    ({"contentType": "xml"}, False),
    ({"headerField": "ETag", "operator": "notEmpty"}, True),
    ({"headerField": "Location", "operator": "notEmpty"}, False),
    ({"headerField": "Location", "operator": "empty"}, True),
    ({"headerField": "ETag", "value": 'W/"7"'}, True),
    ({"headerField": "etag", "operator": "contains", "value": "7"}, True),
    ({"headerField": "Location", "operator": "equals", "value": ""}, False),
    ({"expression": "Patient.active"}, True),
    ({"expression": "Patient.gender = 'male'"}, False),
    ({"expression": "Patient.birthDate.exists()", "operator": "eval"}, False),
    ({"expression": "Patient.birthDate"}, False),
    ({"expression": "Patient.gender", "value": "female"}, True),
    ({"expression": "Patient.gender", "operator": "notEquals", "value": "female"}, False),
    ({"expression": "Patient.birthDate", "operator": "empty"}, True),
    ({"expression": "Patient.name", "operator": "notEmpty"}, True),
    ({"expression": "Patient.name.given", "operator": "contains", "value": "Bert"}, True),
    ({"expression": "Patient.name.given", "operator": "notContains", "value": "Bert"}, False),
    ({"expression": "Patient.name.given.count()", "operator": "greaterThan", "value": "1"}, True),
    ({"expression": "Patient.name.given.count()", "operator": "lessThan", "value": "2"}, False),
    ({"expression": "Patient.gender", "operator": "in", "value": "male, female"}, True),
    ({"expression": "Patient.gender", "operator": "notIn", "value": "male,female"}, False),
    ({"path": "fhir:Patient/fhir:gender/@value", "value": "female"}, True),
    ({"path": "fhir:Patient/fhir:gender/@value", "value": "male"}, False),
    (
        {
            "expression": "Patient.gender",
            "compareToSourceId": "fixture",
            "compareToSourceExpression": "Patient.gender",
        },
        True,
    ),
    (
        {
            "expression": "Patient.active",
            "compareToSourceId": "fixture",
            "compareToSourceExpression": "Patient.gender",
        },
        False,
    ),
    ({"compareToSourceId": "fixture", "compareToSourceExpression": "Patient.gender"}, True),
    ({"compareToSourceId": "fixture", "compareToSourceExpression": "Patient.birthDate"}, False),
    ({"minimumId": "fixture"}, True),
    ({"minimumId": "more"}, False),
    ({"resource": "Patient"}, True),
    ({"resource": "Bundle"}, False),
    ({"requestMethod": "get"}, True),
    ({"requestMethod": "put"}, False),
    ({"requestURL": "Patient/p1", "operator": "contains", "direction": "request"}, True),
    ({"requestURL": "Patient/p2", "operator": "contains", "direction": "request"}, False),
    ({"headerField": "Accept", "operator": "contains", "value": "json", "direction": "request"}, True),
    ({"navigationLinks": True}, False),
]


@pytest.mark.parametrize(("members", "holds"), HOLDS, ids=[json.dumps(one[0]) for one in HOLDS])
async def test_an_assert_holds_or_fails(members: dict[str, Any], holds: bool) -> None:
    more = {"resourceType": "Patient", "id": "more", "gender": "female", "birthDate": "1970-03-01"}
    found, message = await outcome(wanted(**members), fhir(PATIENT, etag='W/"7"'), **contained(FIXTURE, more))
    assert found == ("pass" if holds else "fail"), message
    assert holds or message.startswith("expected")


@pytest.mark.parametrize(
    ("links", "holds"),
    [
        ([{"relation": "self", "url": "u"}], True),
        ([{"relation": "self", "url": "u"}, {"relation": "next", "url": "v"}], True),
        ([{"relation": "next", "url": "v"}], False),
        ([{"relation": "self", "url": "u"}, {"relation": "self", "url": "v"}], False),
        ([{"relation": "self"}], False),
    ],
)
async def test_navigation_links_are_sound(links: list[dict[str, str]], holds: bool) -> None:
    bundle = {"resourceType": "Bundle", "type": "searchset", "link": links}
    found, _ = await outcome(wanted(navigationLinks=True), fhir(bundle))
    assert found == ("pass" if holds else "fail")


async def test_what_is_only_a_warning_fails_nothing() -> None:
    one = script(
        operation("read", url="Patient/p1"),
        {"assert": {"response": "gone", "warningOnly": True}},
        wanted(response="okay"),
    )
    result = await play(one, lambda _: fhir(PATIENT))
    assert [action.outcome for action in result.tests[0].actions] == ["pass", "warning", "pass"]
    assert result.verdict == "pass"


@pytest.mark.parametrize(
    ("given", "ends"),
    [
        (wanted(path="Patient/name[1]/@value", value="x"), "skip"),
        (wanted(path="$.name[0].family", value="x"), "skip"),
        (wanted(validateProfileId="base"), "skip"),
        (wanted(validateProfileId="another"), "fail"),
        (wanted(validateProfileId="undeclared"), "error"),
        (wanted(expression="Patient.name.("), "error"),
        (wanted(expression="Patient.name", value="x"), "error"),
        (wanted(expression="Patient.gender", operator="greaterThan", value="1"), "error"),
        (wanted(expression="Patient.gender", operator="equals"), "error"),
        (wanted(expression="Patient.gender", value="${nobody}"), "error"),
        (wanted(response="okay", resource="Patient"), "error"),
        (wanted(), "error"),
        (wanted(minimumId="nobody"), "error"),
        (operation("closure-of-nobody"), "skip"),
        (operation("read", url="https://elsewhere.example.org/fhir/Patient/p1"), "error"),
        (operation("read", url="//elsewhere.example.org/fhir/Patient/p1"), "error"),
        (operation("read", resource="Patient"), "error"),
        (operation("read", resource="Patient", targetId="nobody"), "error"),
        (operation("create", sourceId="nobody"), "error"),
        (operation("read", resource="Patient", params="/p1", destination=2), "error"),
        ({"operation": {"encodeRequestUrl": True}}, "error"),
    ],
)
async def test_what_cannot_be_judged_never_passes(given: dict[str, Any], ends: str) -> None:
    profiles = [
        {"id": "base", "reference": "http://hl7.org/fhir/StructureDefinition/Patient"},
        {"id": "another", "reference": "http://hl7.org/fhir/StructureDefinition/Bundle"},
    ]
    found, message = await outcome(given, fhir(PATIENT), profile=profiles)
    assert found == ends, message
    assert message


async def test_a_script_between_several_systems_is_skipped() -> None:
    systems = [
        {"index": 1, "profile": {"code": "FHIR-Server"}},
        {"index": 2, "profile": {"code": "FHIR-Server"}},
    ]
    one = script(operation("read", url="Patient/p1", destination=1), destination=systems)
    result = await play(one, lambda _: fhir(PATIENT))
    assert result.verdict == "skip" and "one is supported" in result.tests[0].reason


@pytest.mark.parametrize(
    "reference", ["#nobody", "../secret.json", "/etc/hosts", "https://example.org/x.json", "Patient/none"]
)
async def test_a_fixture_comes_from_the_script_or_from_beside_it(reference: str) -> None:
    fixture = [{"id": "f", "autocreate": False, "autodelete": False, "resource": {"reference": reference}}]
    result = await play(script(operation("capabilities"), fixture=fixture), lambda _: fhir(PATIENT))
    assert result.setup.actions[0].outcome in ("skip", "error") and result.verdict != "pass"


@pytest.mark.parametrize("location", ["http://[", "", "nonsense", "//", "https://elsewhere.example.org/x"])
async def test_a_location_that_is_none_breaks_nothing(location: str) -> None:
    one = script(
        operation("create", sourceId="fixture", responseId="made"),
        operation("read", url="${where}"),
        **contained(FIXTURE, autodelete=True),
        variable=[{"name": "where", "headerField": "Location", "sourceId": "made"}],
    )
    result = await play(one, lambda _: httpx.Response(201, headers={"location": location}))
    ended = result.tests[0].actions[-1].outcome
    assert ended == ("error" if ":" in location or location == "//" else "pass")


async def test_a_request_is_asked_for_by_its_id() -> None:
    one = script(
        operation("read", resource="Patient", params="/first", requestId="one"),
        operation("read", resource="Patient", params="/second"),
        wanted(requestURL="Patient/first", operator="contains", direction="request", sourceId="one"),
        wanted(requestURL="Patient/second", operator="contains", direction="request"),
        wanted(requestMethod="get", direction="request", sourceId="nobody"),
    )
    result = await play(one, lambda _: fhir(PATIENT))
    assert [action.outcome for action in result.tests[0].actions] == ["pass", "pass", "pass", "pass", "error"]


async def test_a_script_without_tests_did_not_pass() -> None:
    result = await play(
        Script({"resourceType": "TestScript", "name": "Empty", "status": "draft"}), lambda _: fhir({})
    )
    assert result.verdict == "skip"


async def test_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "MAX_BODY_BYTES", 1000)
    found, message = await outcome(wanted(response="okay"), httpx.Response(200, content=b"x" * 1001))
    assert (found, message) == ("skip", "not run: an earlier action did not succeed")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b'{"resourceType": "Patient", "resourceType": "Bundle"', b"\xff", b"[" * 5000]
)
async def test_what_is_no_resource_fails_an_assert_about_one(body: bytes) -> None:
    response = httpx.Response(200, headers={"content-type": "application/fhir+json"}, content=body)
    found, _ = await outcome(wanted(resource="Patient"), response)
    assert found == "fail"


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "OperationOutcome", "issue": 5},
        {"resourceType": "OperationOutcome", "issue": [7, {"code": ["x"]}]},
        {"resourceType": ["OperationOutcome"]},
        {"resourceType": "Patient", "id": {"a": 1}, "meta": [1]},
        {"resourceType": "Bundle", "link": "none", "entry": 3},
        {"resourceType": "Bundle", "link": [3, None]},
    ],
)
async def test_a_server_that_answers_nonsense_breaks_nothing(body: Any) -> None:
    for members in (
        {"response": "gone"},
        {"navigationLinks": True},
        {"resource": "Group"},
        {"minimumId": "fixture"},
    ):
        found, _ = await outcome(wanted(**members), fhir(body), **contained(FIXTURE))
        assert found in ("fail", "error")


async def test_messages_tell_no_values() -> None:
    secret = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Verysecret"}]}
    for members in (
        {"expression": "Patient.name.family", "value": "x"},
        {"expression": "Patient.name.family"},
        {"response": "gone"},
    ):
        _, message = await outcome(wanted(**members), fhir(secret))
        assert "Verysecret" not in message


@pytest.mark.parametrize(
    "url", ["", "ftp://example.org/fhir", "example.org/fhir", "http:///fhir", "http://h/fhir?x=1"]
)
async def test_a_target_is_a_base_url(url: str) -> None:
    with pytest.raises(Misconfigured, match="--target"):
        async with conformance.reach(url):
            pass


def test_every_response_code_of_r4_is_known() -> None:
    """http://hl7.org/fhir/R4/valueset-assert-response-code-types.html"""
    assert sorted(asserts.RESPONSES.values()) == [200, 201, 204, 304, 400, 403, 404, 405, 409, 410, 412, 422]
