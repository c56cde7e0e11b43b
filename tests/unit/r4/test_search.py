"""The rows of the search index."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from hub import r4
from hub.r4.search import extractor
from tests.unit.r4.samples import CLAIM, OBSERVATION, PATIENT

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = 86_400_000_000


def keys(body: bytes) -> r4.Keys:
    return r4.keys(r4.decode(body), zone=SHANGHAI, base_url="http://hub.test/fhir")


def number(type_name: str, code: str) -> int:
    found = r4.search_parameter(type_name, code)
    assert found is not None
    return found.number


def test_tokens_have_every_row_they_can_be_asked_by() -> None:
    rows, param = keys(PATIENT).equal, number("Patient", "identifier")
    system, value = "urn:oid:2.16.156.10011.1.3", "330106196809120021"
    assert {key for n, key in rows if n == param} == {
        r4.hash_token(system, value), r4.hash_token(None, value), r4.hash_token(system, None),
    }  # fmt: skip


def test_a_code_has_the_system_of_its_value_set() -> None:
    rows = keys(PATIENT).equal
    gender = number("Patient", "gender")
    assert (gender, r4.hash_token("http://hl7.org/fhir/administrative-gender", "female")) in rows
    assert (gender, r4.hash_token(None, "female")) in rows


def test_a_coding_without_system_is_found_as_such() -> None:
    body = PATIENT.replace(b'"system":"urn:oid:2.16.156.10011.1.3",', b"")
    assert (number("Patient", "identifier"), r4.hash_token("", "330106196809120021")) in keys(body).equal


def test_deceased_is_true_for_a_date_and_false_otherwise() -> None:
    param = number("Patient", "deceased")
    assert (param, r4.hash_token(None, "false")) in keys(PATIENT).equal
    dated = PATIENT.replace(b'"deceasedBoolean":false', b'"deceasedDateTime":"2026"')
    assert (param, r4.hash_token(None, "true")) in keys(dated).equal
    absent = PATIENT.replace(b'"deceasedBoolean":false,', b"")
    assert (param, r4.hash_token(None, "false")) in keys(absent).equal


def test_telecom_is_split_by_system() -> None:
    rows = keys(PATIENT).equal
    assert (number("Patient", "phone"), r4.hash_token(None, "+86 571 0000")) in rows
    assert not [n for n, _ in rows if n == number("Patient", "email")]


def test_strings_are_folded() -> None:
    assert r4.fold("Éva MÜLLER") == "eva muller"
    assert r4.fold("李小明") == "李小明"
    assert (number("Patient", "name"), "林晓月") in keys(PATIENT).text
    assert (number("Patient", "family"), "林") in keys(PATIENT).text
    assert len(r4.fold("a" * 1000)) == r4.TEXT_LIMIT


def test_own_absolute_references_are_relative_and_versions_are_stripped() -> None:
    organization = number("Patient", "organization")
    assert (organization, r4.hash_reference("Organization/o1")) in keys(PATIENT).equal
    assert (number("Observation", "subject"), r4.hash_reference("Patient/p1")) in keys(OBSERVATION).equal
    assert (number("Observation", "patient"), r4.hash_reference("Patient/p1")) in keys(OBSERVATION).equal
    assert r4.local_reference("http://hub.test/fhirx/Patient/1", "http://hub.test/fhir") == (
        "http://hub.test/fhirx/Patient/1"
    )


def test_a_reference_by_identifier_has_rows_of_its_own() -> None:
    body = CLAIM.replace(b'{"reference":"Patient/p1"}', b'{"identifier":{"system":"urn:s","value":"7"}}')
    rows = keys(body).equal
    assert (number("Claim", "patient"), r4.hash_identifier("urn:s", "7")) in rows
    assert (number("Claim", "patient"), r4.hash_identifier(None, "7")) in rows


def test_dates_are_ranges_in_the_hubs_zone() -> None:
    found = {n: (low, high) for n, low, high in keys(PATIENT).ranges}
    low, high = found[number("Patient", "birthdate")]
    assert high - low == DAY - 1
    assert low % DAY == 16 * 3_600_000_000  # midnight in Shanghai is 16:00 UTC the day before
    assert keys(CLAIM).date == 1_769_909_400
    assert keys(PATIENT).date == low // 1_000_000


def test_quantities_have_a_range_and_their_units() -> None:
    found = keys(OBSERVATION)
    param = number("Observation", "component-value-quantity")
    assert (param, 142.5, 142.5) in found.ranges
    assert (param, r4.hash_token("http://unitsofmeasure.org", "mm[Hg]"), 142.5, 142.5) in found.composites
    assert (param, r4.hash_token(None, "mmHg"), 142.5, 142.5) in found.composites


def test_composites_hold_together_what_stands_together() -> None:
    rows, param = keys(OBSERVATION).composites, number("Observation", "component-code-value-quantity")
    code = r4.hash_token("http://loinc.org", "8480-6")
    assert (param, code, 142.5, 142.5) in rows
    assert (
        param,
        r4.hash_pair(code, r4.hash_token("http://unitsofmeasure.org", "mm[Hg]")),
        142.5,
        142.5,
    ) in rows
    assert r4.hash_pair(1, 2) != r4.hash_pair(2, 1)


def test_common_parameters_are_rows_too() -> None:
    assert (number("Patient", "_tag"), r4.hash_token("http://e.org/t", "x")) in keys(PATIENT).equal


def test_present_lists_what_has_a_value() -> None:
    present = keys(PATIENT).present
    assert number("Patient", "gender") in present
    assert number("Patient", "language") not in present


@pytest.mark.parametrize("type_name", r4.TYPES)
def test_every_type_has_its_function(type_name: str) -> None:
    assert callable(extractor(type_name))


def test_what_is_not_compiled_says_why() -> None:
    near = r4.search_parameter("Patient", "part-agree")
    assert near is not None and near.plan is None and near.why
    assert r4.search_parameter("Patient", "colour") is None


def test_numbers_are_pinned() -> None:
    every = [p.number for name in r4.TYPES for p in r4.search_parameters(name)]
    assert len(every) == len(set(every))
    assert (number("Patient", "identifier"), number("Claim", "patient")) == (2247, 398)
