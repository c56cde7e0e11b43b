"""The rows of every kind of value, with what R4 says of each (http://hl7.org/fhir/R4/search.html)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from hub import r4
from hub.r4.ranges import MAX_MICROS, MIN_MICROS

SHANGHAI = ZoneInfo("Asia/Shanghai")
UCUM = "http://unitsofmeasure.org"


def keys(**members: Any) -> r4.Keys:
    body = msgspec.json.encode(members)
    return r4.keys(r4.decode(body), zone=SHANGHAI, base_url="http://hub.test/fhir")


def observation(**members: Any) -> r4.Keys:
    code = {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}
    return keys(resourceType="Observation", status="final", code=code, **members)


def number(type_name: str, code: str) -> int:
    found = r4.search_parameter(type_name, code)
    assert found is not None and found.plan is not None, (type_name, code)
    return found.number


def texts(found: r4.Keys, type_name: str, code: str) -> set[str]:
    return {text for n, text in found.text if n == number(type_name, code)}


def ranges(found: r4.Keys, type_name: str, code: str) -> list[tuple[float, float]]:
    return sorted((low, high) for n, low, high in found.ranges if n == number(type_name, code))


def tokens(found: r4.Keys, type_name: str, code: str) -> set[int]:
    return {key for n, key in found.equal if n == number(type_name, code)}


def test_the_texts_of_a_token_are_found_under_its_number() -> None:
    found = keys(
        resourceType="Condition",
        subject={"reference": "Patient/1"},
        code={"text": "Zucker", "coding": [{"code": "E11", "display": "Type 2  Diabetes"}]},
        identifier=[{"value": "7", "type": {"text": "住院号", "coding": [{"display": "Visit Number"}]}}],
        meta={"tag": [{"code": "x", "display": "Probe"}]},
    )
    assert texts(found, "Condition", "code") == {"zucker", "type 2 diabetes"}
    assert texts(found, "Condition", "identifier") == {"住院号", "visit number"}
    assert texts(found, "Condition", "_tag") == {"probe"}


def test_a_code_of_a_mixed_value_set_has_the_system_it_belongs_to() -> None:
    found = keys(resourceType="Task", status="draft", intent="order")
    assert r4.hash_token("http://hl7.org/fhir/request-intent", "order") in tokens(found, "Task", "intent")
    found = keys(resourceType="Task", status="draft", intent="unknown")
    assert r4.hash_token("http://hl7.org/fhir/task-intent", "unknown") in tokens(found, "Task", "intent")


def test_a_code_of_a_set_too_large_to_list_still_has_its_system() -> None:
    found = keys(
        resourceType="DocumentReference",
        status="current",
        content=[{"attachment": {"contentType": "text/plain"}}],
    )
    rows = tokens(found, "DocumentReference", "contenttype")
    assert r4.hash_token("urn:ietf:bcp:13", "text/plain") in rows
    assert r4.hash_token("", "text/plain") not in rows


def test_a_code_has_a_system_and_a_string_has_none() -> None:
    found = keys(resourceType="Patient", gender="female", active=True)
    assert r4.hash_token("", "female") not in tokens(found, "Patient", "gender")
    assert r4.hash_token("", "true") in tokens(found, "Patient", "active")


def test_a_contact_is_found_by_use_and_by_system() -> None:
    telecom = [{"system": "phone", "use": "home", "value": "0571 1"}, {"value": "x"}]
    rows = tokens(keys(resourceType="Patient", telecom=telecom), "Patient", "telecom")
    wanted = {("home", "0571 1"), ("phone", "0571 1"), (None, "0571 1"), ("phone", None), ("", "x")}
    assert {r4.hash_token(*one) for one in wanted} <= rows
    assert r4.hash_token("", "0571 1") not in rows


def test_what_a_resource_contains_is_under_number_zero() -> None:
    contained = [{"resourceType": "Organization", "id": "o"}, {"resourceType": "Patient", "id": "p"}]
    rows = keys(resourceType="Patient", contained=contained).equal
    assert {key for n, key in rows if n == r4.CONTAINED} == {
        r4.hash_token(None, "Organization"), r4.hash_token(None, "Patient"),
    }  # fmt: skip
    assert not [n for n, _ in keys(resourceType="Patient").equal if n == r4.CONTAINED]


def test_names_and_addresses_are_found_by_every_part() -> None:
    name = {"text": "Dr T", "family": "F", "given": ["G", "H"], "prefix": ["P"], "suffix": ["S"]}
    address = {
        "text": "T", "line": ["L1", "L2"], "city": "C", "district": "D", "state": "S",
        "postalCode": "310000", "country": "CN",
    }  # fmt: skip
    found = keys(resourceType="Patient", name=[name], address=[address])
    assert texts(found, "Patient", "name") == {"dr t", "f", "g", "h", "p", "s"}
    assert texts(found, "Patient", "address") == {"t", "l1", "l2", "c", "d", "s", "310000", "cn"}
    assert texts(found, "Patient", "address-postalcode") == {"310000"}


def test_names_are_found_by_sound() -> None:
    found = keys(resourceType="Patient", name=[{"family": "Meyer", "given": ["Robert"]}, {"text": "王 小明"}])
    assert texts(found, "Patient", "phonetic") == {"m600", "r163", "王 小明", "王", "小明"}
    assert r4.sound("Maier") == "m600"
    assert r4.sound("Ashcraft") == "a261"  # h does not part s and c
    assert r4.sound("Tymczak") == "t522"  # a vowel parts z and k
    assert r4.sound("O'Neil") == "o540"


def test_canonicals_are_found_with_and_without_their_version() -> None:
    rows = keys(resourceType="Patient", meta={"profile": ["http://e.org/p|2"]}).equal
    profile = number("Patient", "_profile")
    assert (profile, r4.hash_uri("http://e.org/p|2")) in rows
    assert (profile, r4.hash_uri("http://e.org/p")) in rows


@pytest.mark.parametrize(
    ("subject", "is_patient"),
    [
        ({"reference": "Patient/1"}, True),
        ({"reference": "Patient/1/_history/2"}, True),
        ({"reference": "https://e.org/Group/fhir/Patient/1"}, True),
        ({"reference": "https://e.org/Patient/fhir/Group/1"}, False),
        ({"reference": "Group/1"}, False),
        ({"reference": "urn:uuid:7a4b1d3e-0000-4000-8000-000000000001", "type": "Patient"}, True),
        ({"reference": "urn:uuid:7a4b1d3e-0000-4000-8000-000000000001"}, False),
        ({"identifier": {"value": "7"}, "type": "Patient"}, True),
        ({"display": "someone"}, False),
    ],
)
def test_a_reference_counts_by_the_type_it_names(subject: dict[str, Any], is_patient: bool) -> None:
    assert (number("Observation", "patient") in observation(subject=subject).present) is is_patient


def test_periods_are_open_where_an_end_is_missing() -> None:
    start, end = r4.date_range("2026-01-01", SHANGHAI)[0], r4.date_range("2026-02", SHANGHAI)[1]
    for period, wanted in (
        ({"start": "2026-01-01", "end": "2026-02"}, (start, end)),
        ({"start": "2026-01-01"}, (start, MAX_MICROS)),
        ({"end": "2026-02"}, (MIN_MICROS, end)),
    ):
        assert ranges(observation(effectivePeriod=period), "Observation", "date") == [wanted]


def test_a_timing_has_its_outer_limits() -> None:
    timing = {
        "event": ["2026-03-05", "2026-03-01T08:00:00+08:00"],
        "repeat": {"boundsPeriod": {"end": "2026-04"}},
    }
    first, last = r4.date_range("2026-03-01T08:00:00+08:00", SHANGHAI)[0], r4.date_range("2026-04", SHANGHAI)
    assert ranges(observation(effectiveTiming={"event": timing["event"]}), "Observation", "date") == [
        (first, r4.date_range("2026-03-05", SHANGHAI)[1])
    ]
    assert ranges(observation(effectiveTiming=timing), "Observation", "date") == [(MIN_MICROS, last[1])]


def test_an_instant_is_a_date() -> None:
    found = observation(effectiveInstant="2026-03-01T00:00:00.123Z")
    low = r4.date_range("2026-03-01T00:00:00.123Z", SHANGHAI)[0]
    assert ranges(found, "Observation", "date") == [(low, low + 999)]


def test_quantities_open_an_end_by_their_comparator() -> None:
    less = observation(valueQuantity={"value": 5, "comparator": "<", "system": UCUM, "code": "mg"})
    assert ranges(less, "Observation", "value-quantity") == [(float("-inf"), 5.0)]
    more = observation(valueQuantity={"value": 5, "comparator": ">=", "unit": "mg"})
    assert ranges(more, "Observation", "value-quantity") == [(5.0, float("inf"))]


def test_sampled_data_ranges_between_its_limits() -> None:
    data = {
        "origin": {"value": 0, "code": "mV", "system": UCUM},
        "period": 10,
        "dimensions": 1,
        "lowerLimit": -5,
        "upperLimit": 5,
    }
    found = observation(valueSampledData=data)
    assert ranges(found, "Observation", "value-quantity") == [(-5.0, 5.0)]
    param = number("Observation", "value-quantity")
    assert (param, r4.hash_token(UCUM, "mV"), -5.0, 5.0) in found.composites


def test_ages_and_ranges_are_quantities() -> None:
    condition = {"resourceType": "Condition", "subject": {"reference": "Patient/1"}}
    age = keys(**condition, onsetAge={"value": 52, "system": UCUM, "code": "a"})
    assert ranges(age, "Condition", "onset-age") == [(52.0, 52.0)]
    between = keys(**condition, onsetRange={"low": {"value": 50}, "high": {"value": 60}})
    assert ranges(between, "Condition", "onset-age") == [(50.0, 60.0)]
    above = keys(**condition, onsetRange={"low": {"value": 50}})
    assert ranges(above, "Condition", "onset-age") == [(50.0, float("inf"))]


def test_money_has_its_currency_as_unit() -> None:
    found = keys(resourceType="Invoice", status="issued", totalGross={"value": 105.00, "currency": "CNY"})
    param = number("Invoice", "totalgross")
    assert (param, 105.0, 105.0) in found.ranges
    assert (param, r4.hash_token("urn:iso:std:iso:4217", "CNY"), 105.0, 105.0) in found.composites


def test_a_position_is_a_latitude_and_a_longitude() -> None:
    found = keys(resourceType="Location", position={"latitude": 30.25, "longitude": 120.16})
    assert ranges(found, "Location", "near") == [(30.25, 120.16)]


def test_a_variant_is_found_by_chromosome_and_limits() -> None:
    chromosome = {"coding": [{"code": "1"}]}
    found = keys(
        resourceType="MolecularSequence",
        coordinateSystem=0,
        referenceSeq={"chromosome": chromosome, "windowStart": 10, "windowEnd": 99},
        variant=[{"start": 20, "end": 21}, {"start": 30, "end": 35}],
    )
    key = r4.hash_token(None, "1")
    for code, limits in (
        ("chromosome-variant-coordinate", [(20.0, 21.0), (30.0, 35.0)]),
        ("chromosome-window-coordinate", [(10.0, 99.0)]),
    ):
        param = number("MolecularSequence", code)
        rows = sorted((low, high) for n, k, low, high in found.composites if (n, k) == (param, key))
        assert rows == limits
    parameter = r4.search_parameter("MolecularSequence", "chromosome-variant-coordinate")
    assert parameter is not None and parameter.components == ("token", "number", "number")


def test_an_extension_is_found_by_its_url() -> None:
    url = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"
    parameter = r4.search_parameter("Patient", "mothersMaidenName")
    assert parameter is not None and parameter.plan is not None
    url = parameter.expression.partition("extension('")[2].partition("'")[0]
    found = keys(resourceType="Patient", extension=[{"url": url, "valueString": "Ruan"}])
    assert texts(found, "Patient", "mothersMaidenName") == {"ruan"}


DECIMALS = some.decimals(allow_nan=False, allow_infinity=False, places=None).filter(
    lambda one: -300 < one.adjusted() < 300
)


@given(DECIMALS)
def test_equal_never_misses_the_number_itself(value: Decimal) -> None:
    low, high = r4.number_range(str(value))
    assert low <= float(value) <= high


@given(DECIMALS, some.integers(-9, 9))
def test_equal_agrees_with_exact_arithmetic(value: Decimal, tenths: int) -> None:
    """A number of one more digit matches exactly when it rounds to the one that is asked (half a unit off at
    most, the upper end excluded), where a double can tell such numbers apart."""
    digits, exponent = len(value.as_tuple().digits), value.as_tuple().exponent
    if digits > 13 or not isinstance(exponent, int) or not -300 < exponent < 280:
        return
    other = value + Decimal(tenths).scaleb(exponent - 1)
    low, high = r4.number_range(str(value))
    assert (low <= float(other) <= high) is (-5 <= tenths < 5)


@pytest.mark.parametrize("text", ["0.1", "1e-7", "105.00", "9007199254740993.1", "1234567890123456", "1e308"])
def test_numbers_that_doubles_round_are_found_as_they_were_written(text: str) -> None:
    low, high = r4.number_range(text)
    assert low <= float(text) <= high


@pytest.mark.parametrize("text", ["", "x", "NaN", "Infinity", "1e99999999999", "-1e9999999999999999999"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        r4.number_range(text)
