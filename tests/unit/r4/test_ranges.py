"""Times and numbers as ranges."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone
from math import nextafter

import pytest

from hub.r4 import MAX_MICROS, MIN_MICROS, date_range, number_range

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("text", "low", "width"),
    [
        ("1970", 0, 365 * 86_400 * SECOND),
        ("1970-02", 31 * 86_400 * SECOND, 28 * 86_400 * SECOND),
        ("1970-12", 334 * 86_400 * SECOND, 31 * 86_400 * SECOND),
        ("1970-01-02", 86_400 * SECOND, 86_400 * SECOND),
        ("1970-01-01T00:00:01Z", SECOND, SECOND),
        ("1970-01-01T08:00:01+08:00", SECOND, SECOND),
        ("1970-01-01T00:00:01.5Z", 1_500_000, 100_000),
        ("1970-01-01T00:00:01.500Z", 1_500_000, 1_000),
        ("1970-01-01T00:00:01.1234567Z", 1_123_456, 1),
        ("1970-01-01T00:01Z", 60 * SECOND, 60 * SECOND),
        ("1970-01-01T00:00:60Z", 60 * SECOND, SECOND),
    ],
)
def test_a_date_is_as_wide_as_its_precision(text: str, low: int, width: int) -> None:
    assert date_range(text, UTC) == (low, low + width - 1)


def test_a_date_without_offset_is_in_the_given_zone() -> None:
    east = timezone(timedelta(hours=8))
    assert date_range("1970-01-01", east)[0] == -8 * 3600 * SECOND
    assert date_range("1970-01-01T08:00:00", east)[0] == 0


def test_the_ends_of_the_calendar_do_not_overflow() -> None:
    east, west = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
    for zone in (east, west, UTC):
        for text in ("0001", "0001-01-01", "9999", "9999-12", "9999-12-31", "9999-12-31T23:59:60Z"):
            low, high = date_range(text, zone)
            assert low <= high
    assert date_range("0001", UTC)[0] == MIN_MICROS
    assert date_range("9999", UTC)[1] == MAX_MICROS


@pytest.mark.parametrize(
    "text", ["", "x", "19", "2026-13", "2026-02-30", "2026-02-01T", "2026-02-01T25:00:00Z"]
)
def test_what_is_no_date_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        date_range(text, UTC)


def test_a_number_is_as_wide_as_its_last_digit() -> None:
    """Its upper end is not part of it (http://hl7.org/fhir/R4/search.html#number)."""
    assert number_range("100") == (99.5, nextafter(100.5, 0))
    assert number_range("100.00") == (99.995, nextafter(100.005, 0))
    assert number_range("1e2") == (95.0, nextafter(105.0, 0))
    assert number_range("1.0e2") == (95.0, nextafter(105.0, 0))
    assert number_range("1.00e2") == (99.5, nextafter(100.5, 0))
    assert number_range("12e2") == (1150.0, nextafter(1250.0, 0))
    assert number_range("5e-1") == (0.45, nextafter(0.55, 0))
    assert number_range("-5.4") == (-5.45, nextafter(-5.35, -6))
    for text in ("", "x", "NaN", "Infinity"):
        with pytest.raises(ValueError):
            number_range(text)
