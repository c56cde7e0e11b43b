"""Every issue, with its exact path."""
# ruff: noqa: E501 (tables)

from __future__ import annotations

import pytest

from hub import r4
from hub.errors import InvalidResource
from tests.unit.r4.samples import CLAIM, OBSERVATION, PATIENT


def refused(body: bytes) -> list[tuple[str, str]]:
    """(expression, code) of every issue."""
    with pytest.raises(InvalidResource) as error:
        r4.decode(body)
    return [(issue.expression, issue.code) for issue in error.value.issues]


CASES: dict[str, tuple[bytes, bytes, bytes, str, str]] = {
    "wrong code": (PATIENT, b'"female"', b'"lady"', "Patient.gender", "code-invalid"),
    "unknown member": (PATIENT, b'"active"', b'"activ"', "Patient", "structure"),
    "unknown inner member": (PATIENT, b'{"name":{"family"', b'{"name":{"fam"', "Patient.contact[0].name", "structure"),
    "null": (PATIENT, b"true", b"null", "Patient.active", "structure"),
    "string for boolean": (PATIENT, b"true", b'"true"', "Patient.active", "structure"),
    "object for list": (PATIENT, b'"name":{"family"', b'"telecom":{"value"', "Patient.contact[0].telecom", "structure"),
    "empty list": (PATIENT, b'[{"name":{"family":"\xe6\x9e\x97"}}]', b"[]", "Patient.contact", "structure"),
    "empty object": (PATIENT, b'{"family":"\xe6\x9e\x97"}', b"{ }", "Patient.contact[0].name", "structure"),
    "empty string": (PATIENT, b'"\xe6\x99\x93\xe6\x9c\x88"', b'""', "Patient.name[0].given[0]", "value"),
    "lonely null": (PATIENT, b'["\xe6\x99\x93\xe6\x9c\x88"]', b"[null]", "Patient.name[0].given[0]", "structure"),
    "30 February": (PATIENT, b'"1968-09-12"', b'"1968-02-30"', "Patient.birthDate", "value"),
    "29 February": (PATIENT, b'"1968-09-12"', b'"1900-02-29"', "Patient.birthDate", "value"),
    "two choices": (PATIENT, b"false", b'false,"deceasedDateTime":"2020"', "Patient.deceased", "structure"),
    "two extension values": (
        PATIENT, b'"valueDateTime"', b'"valueCode":"a","valueDateTime"',
        "Patient.birthDate.extension[0].value", "structure",
    ),
    "empty extension": (
        PATIENT, b'"valueDateTime":"1968-09-12T08:15:00+08:00"', b'"id":"a"',
        "Patient.birthDate.extension[0]", "invariant",
    ),
    "id": (PATIENT, b'"p1"', b'"p 1"', "Patient.id", "value"),
    "reference target": (
        PATIENT, b"Organization/o1", b"Device/d1", "Patient.managingOrganization.reference", "value",
    ),
    "time without offset": (CLAIM, b"09:30:00+08:00", b"09:30:00", "Claim.created", "value"),
    "missing": (CLAIM, b'"use":"claim",', b"", "Claim.use", "required"),
    "missing structure": (CLAIM, b'"priority":{"text":"normal"},', b"", "Claim.priority", "required"),
    "decimal as string": (CLAIM, b"105.00", b'"105.00"', "Claim.item[0].unitPrice.value", "structure"),
    "fraction for integer": (CLAIM, b'"item":[{"sequence":1', b'"item":[{"sequence":1.0', "Claim.item[0].sequence", "value"),
    "minus zero": (CLAIM, b'"item":[{"sequence":1', b'"item":[{"sequence":-0', "Claim.item[0].sequence", "value"),
    "not positive": (CLAIM, b'"item":[{"sequence":1', b'"item":[{"sequence":0', "Claim.item[0].sequence", "value"),
    "uri with a space": (OBSERVATION, b"http://loinc.org", b"http://loinc org", "Observation.code.coding[0].system", "value"),
    "missing status": (OBSERVATION, b'"status":"final",', b"", "Observation.status", "required"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_one_fault_gives_its_path(case: tuple[bytes, bytes, bytes, str, str]) -> None:
    body, old, new, expression, code = case
    assert body.count(old) >= 1
    assert refused(body.replace(old, new, 1) if b"o1" not in old else body.replace(old, new))[0] == (
        expression,
        code,
    )


def test_every_fault_is_listed() -> None:
    body = (
        PATIENT.replace(b'"female"', b'"lady"')
        .replace(b'"1968-09-12"', b'"1968"')
        .replace(b'"1968"', b'"68"')
    )
    assert [path for path, _ in refused(body.replace(b"false", b"0"))] == [
        "Patient.gender", "Patient.birthDate", "Patient.deceased",
    ]  # fmt: skip


def test_inner_resources_have_their_path() -> None:
    body = b'{"resourceType":"Bundle","type":"batch","entry":[{"resource":%s}]}' % PATIENT.replace(
        b"female", b"lady"
    )
    assert refused(body) == [("Bundle.entry[0].resource.gender", "code-invalid")]
    contained = b'{"resourceType":"Basic","code":{"text":"a"},"contained":[{"resourceType":"Nobody"}]}'
    assert refused(contained) == [("Basic.contained[0]", "structure")]


def test_a_required_value_may_be_an_extension_instead() -> None:
    absent = b'"_status":{"extension":[{"url":"http://e.org/absent","valueCode":"unknown"}]}'
    assert r4.decode(OBSERVATION.replace(b'"status":"final"', absent)).status is None


def test_a_required_coding_is_looked_up_with_its_system() -> None:
    body = (
        b'{"resourceType":"Condition","subject":{"reference":"Patient/p1"},"clinicalStatus":{"coding":[%s]}}'
    )
    good = b'{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}'
    assert r4.decode(body % good)
    assert refused(body % good.replace(b"-clinical", b"")) == [("Condition.clinicalStatus", "code-invalid")]


def test_diagnostics_never_quote_values() -> None:
    secret = b"330106196809120021"
    body = PATIENT.replace(b'"' + secret + b'"', b'"' + secret + b'","%s":1,"type":"%s"' % (secret, secret))
    issues = r4.collect(body)
    assert issues and all(secret.decode() not in issue.diagnostics + issue.expression for issue in issues)
