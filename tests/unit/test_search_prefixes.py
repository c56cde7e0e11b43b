"""Prefixes of numbers and dates against the table of the specification, written as set arithmetic.

http://hl7.org/fhir/R4/search.html#prefix
"""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.store.search.conditions import Prefix, Span, distance
from hub.store.search.escapes import BadValue, is_legal, split, unescape
from hub.store.search.values import date_span, number_span, quantity

PREFIXES: tuple[Prefix, ...] = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
MOMENTS = range(-1, 10)


def _by_the_table(prefix: Prefix, search: set[int], target: set[int]) -> bool:
    """The table's second column, over whole moments from -1 to 9. For `ge` and `le` the range above or below
    is "the specified value and up", or down."""
    above = {moment for moment in MOMENTS if moment > max(search)}
    below = {moment for moment in MOMENTS if moment < min(search)}
    contained = target <= search
    return {
        "eq": contained,
        "ne": not contained,
        "gt": bool(above & target),
        "lt": bool(below & target),
        "ge": bool((above | search) & target),
        "le": bool((below | search) & target),
        "sa": not search & target and target <= above,
        "eb": not search & target and target <= below,
        "ap": bool(search & target),
    }[prefix]


@given(
    st.sampled_from(PREFIXES),
    st.tuples(st.integers(0, 8), st.integers(0, 8)).map(sorted),
    st.tuples(st.integers(0, 8), st.integers(0, 8)).map(sorted),
)
def test_a_span_means_what_the_table_says(prefix: Prefix, search: list[int], target: list[int]) -> None:
    inside = set(range(search[0], search[1] + 1))
    found = set(range(target[0], target[1] + 1))
    expected = _by_the_table(prefix, inside, found)
    got = Span(prefix, search[0], search[1]).match(target[0], target[1])
    assert got is expected


@pytest.mark.parametrize(
    ("value", "found", "missed"),
    [
        ("100", ["99.5", "100", "100.49"], ["99.49", "100.5"]),
        ("eq100", ["99.5", "100.2"], ["100.5"]),
        ("100.00", ["99.995", "100.004"], ["99.99", "100.005"]),
        ("1.00e2", ["99.5", "100.49"], ["100.5", "99"]),
        ("-5", ["-5.5", "-5", "-4.6"], ["-4.5", "-5.6"]),
        ("ne100", ["99.4", "100.5"], ["99.5", "100"]),
        ("gt100", ["100.01"], ["100", "99.9"]),
        ("lt100", ["99.99"], ["100", "100.1"]),
        ("ge100", ["100", "100.01"], ["99.99"]),
        ("le100", ["100", "99.99"], ["100.01"]),
        ("sa100", ["100.01"], ["100"]),
        ("eb100", ["99.99"], ["100"]),
        ("ap100", ["90", "110", "100"], ["89.9", "110.1"]),
        ("ap-100", ["-90", "-110"], ["-89", "-111"]),
        ("gt8e-1", ["0.81"], ["0.8"]),
        ("1.0e-245", ["1e-245"], ["1.1e-245", "0"]),
        ("gt-1.0e+245", ["0", "-9e244"], ["-1e245", "-1e246"]),
    ],
)
def test_a_number_is_as_precise_as_it_is_written(value: str, found: list[str], missed: list[str]) -> None:
    span = number_span(value)
    assert [one for one in found if not span.match(float(one), float(one))] == []
    assert [one for one in missed if span.match(float(one), float(one))] == []


@given(st.decimals(-9999, 9999, places=3), st.decimals(-9999, 9999, places=3))
def test_comparisons_of_numbers_are_those_of_arithmetic(wanted: Decimal, stored: Decimal) -> None:
    point = float(stored)
    assert number_span(f"gt{wanted}").match(point, point) is (stored > wanted)
    assert number_span(f"ge{wanted}").match(point, point) is (stored >= wanted)
    assert number_span(f"lt{wanted}").match(point, point) is (stored < wanted)
    assert number_span(f"le{wanted}").match(point, point) is (stored <= wanted)
    assert number_span(f"ne{wanted}").match(point, point) is not number_span(f"{wanted}").match(point, point)


@pytest.mark.parametrize(
    "value",
    ["", "x", "1,5", "NaN", "Infinity", "1_000", "e5", "1e999999", "1e999", "gt1e309", "gt", "--1", "٣"],
)
def test_what_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(BadValue):
        number_span(value)


@pytest.mark.parametrize(
    ("value", "stored", "expected"),
    [
        ("2013-01-14", "2013-01-14T10:00:00Z", True),
        ("2013-01-14", "2013-01-15T00:00:00Z", False),
        ("ne2013-01-14", "2013-01-15T00:00:00Z", True),
        ("lt2013-01-14T10:00", "2013-01-14", True),
        ("gt2013-01-14T10:00", "2013-01-14", True),
        ("2013-01-14T10:00", "2013-01-14T10:00:59Z", True),
        ("2013-01-14T10:00", "2013-01-14T10:01:00Z", False),
        ("2013", "2013-12-31T23:59:59.999Z", True),
        ("ge2013-03-14", "2013-03-14", True),
        ("sa2013-03-14", "2013-03-15", True),
        ("sa2013-03-14", "2013-03", False),
        ("eb2013-03-14", "2013-03-13", True),
        ("eb2013-03-14", "2013-03", False),
        ("ap2013-03-14", "2013-03-14", True),
        ("2013-01-14T08:00:00+08:00", "2013-01-14T00:00:00Z", True),
        ("2013-01-14T08:00:00 08:00", "2013-01-14T00:00:00Z", True),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:60Z", True),
    ],
)
def test_dates_are_intervals(value: str, stored: str, expected: bool) -> None:
    target = date_span(stored, UTC)
    assert date_span(value, UTC).match(target.low, target.high) is expected


@pytest.mark.parametrize(
    "value",
    ["2026-13-45", "2026-02-30", "2026-1-1", "26", "2026-01-01T", "2026-01-01T08", "2026-01-01T25:00", "x",
     "23 May 2009", "2026-01-01T08:00:00+25:00", "0000", "lt", "٢٠٢٦"],
)  # fmt: skip
def test_what_is_no_date_is_refused(value: str) -> None:
    with pytest.raises(BadValue):
        date_span(value, UTC)


def test_quantities_have_any_of_four_forms() -> None:
    plain, *none = quantity("5.4")
    assert none == ["", ""] and (plain.low, round(plain.high, 6)) == (5.35, 5.45)
    assert quantity("5.4||") == (plain, "", "")
    assert quantity("5.4||mg") == (plain, "", "mg")
    assert quantity("5.4|http://unitsofmeasure.org|mg") == (plain, "http://unitsofmeasure.org", "mg")
    assert quantity("5.4|http://unitsofmeasure.org|") == (plain, "http://unitsofmeasure.org", "")
    for wrong in ("5.4|mg", "|http://unitsofmeasure.org|mg", "5|a|b|c"):
        with pytest.raises(BadValue):
            quantity(wrong)


@given(st.lists(st.text(st.sampled_from("ab\\,|$"), min_size=1), min_size=1))
def test_what_is_escaped_is_not_a_separator(parts: list[str]) -> None:
    escaped = []
    for part in parts:
        for character in "\\,|$":
            part = part.replace(character, "\\" + character)
        escaped.append(part)
    for separator in ",|$":
        value = separator.join(escaped)
        assert is_legal(value)
        assert [unescape(part) for part in split(value, separator)] == parts


def test_a_lone_backslash_is_not_legal() -> None:
    assert not is_legal("xx\\xx") and not is_legal("x\\") and is_legal("xx\\\\xx")


def test_distance_is_along_a_great_circle() -> None:
    assert distance(0, 0, 0, 0) == 0
    assert round(distance(0, 179.5, 0, -179.5), 1) == 111.2
    assert round(distance(90, 0, -90, 0)) == 20015
