"""What one date, number, quantity or position adds to the index: called by the generated functions.

`ranges` and `composites` are the resource's sets of rows; `n` is the parameter's number.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from typing import Any

from msgspec import Raw

from hub.r4.hashes import hash_token
from hub.r4.ranges import MAX_MICROS, MIN_MICROS, date_range

UCUM = "http://unitsofmeasure.org"
CURRENCIES = "urn:iso:std:iso:4217"
"""The system of the codes of a Money."""
UNIT_SYSTEMS = (UCUM, CURRENCIES)
"""Where nearly all units come from."""

Rows = set[Any]
DateOf = Callable[[Any, tzinfo], tuple[int, int]]
INFINITE = float("inf")


# -- dates


def of_date(value: str, zone: tzinfo) -> tuple[int, int]:
    return date_range(value, zone)


def of_period(value: Any, zone: tzinfo) -> tuple[int, int]:
    low = MIN_MICROS if value.start is None else date_range(value.start, zone)[0]
    high = MAX_MICROS if value.end is None else date_range(value.end, zone)[1]
    return low, high


def of_timing(value: Any, zone: tzinfo) -> tuple[int, int]:
    """The outer limits of a schedule: its events and its bounds."""
    found = [date_range(event, zone) for event in value.event or () if event is not None]
    if value.repeat is not None and value.repeat.boundsPeriod is not None:
        found.append(of_period(value.repeat.boundsPeriod, zone))
    if not found:
        return MIN_MICROS, MAX_MICROS
    return min(low for low, _ in found), max(high for _, high in found)


def main_date(before: int, ranges: Rows, n: int, value: Any, zone: tzinfo, of: DateOf) -> int:
    """Adds the range, and gives the main date in seconds: the start, or the end where the start is open."""
    low, high = of(value, zone)
    ranges.add((n, low, high))
    known = low if low != MIN_MICROS else high
    return before or (0 if known == MAX_MICROS else known // 1_000_000)


# -- numbers and quantities


def _number(value: Any) -> float:
    """A decimal is raw text in a struct, and a Decimal in a tree."""
    return float(bytes(value)) if type(value) is Raw else float(value)


def plain_number(ranges: Rows, n: int, value: Any) -> None:
    number = _number(value)
    ranges.add((n, number, number))


def range_number(ranges: Rows, n: int, value: Any) -> None:
    ranges.add((n, *_limits(value)))


def _limits(value: Any) -> tuple[float, float]:
    low, high = value.low, value.high
    return (
        -INFINITE if low is None or low.value is None else _number(low.value),
        INFINITE if high is None or high.value is None else _number(high.value),
    )


def _quantity(value: Any) -> tuple[float, float]:
    """`<` and its like open one end."""
    number = _number(value.value)
    comparator = value.comparator
    if comparator is None:
        return number, number
    return (-INFINITE, number) if comparator[0] == "<" else (number, INFINITE)


def _units(
    composites: Rows,
    n: int,
    system: str | None,
    code: str | None,
    unit: str | None,
    span: tuple[float, float],
) -> None:
    """A row by system and code, by code, by unit; a code of UNIT_SYSTEMS has but the first, and a search for
    a unit without a system asks for each of them."""
    if code is not None:
        if system:
            composites.add((n, hash_token(system, code), *span))
        if system not in UNIT_SYSTEMS:
            composites.add((n, hash_token(None, code), *span))
    if unit is not None and unit != code:
        composites.add((n, hash_token(None, unit), *span))


def plain_quantity(ranges: Rows, composites: Rows, n: int, value: Any) -> None:
    if value.value is not None:
        span = _quantity(value)
        ranges.add((n, *span))
        _units(composites, n, value.system, value.code, value.unit, span)


def money_quantity(ranges: Rows, composites: Rows, n: int, value: Any) -> None:
    if value.value is not None:
        number = _number(value.value)
        ranges.add((n, number, number))
        _units(composites, n, CURRENCIES, value.currency, None, (number, number))


def range_quantity(ranges: Rows, composites: Rows, n: int, value: Any) -> None:
    span = _limits(value)
    ranges.add((n, *span))
    one = value.low or value.high
    if one is not None:
        _units(composites, n, one.system, one.code, one.unit, span)


def sampled_quantity(ranges: Rows, composites: Rows, n: int, value: Any) -> None:
    if value.lowerLimit is not None or value.upperLimit is not None:
        low = -INFINITE if value.lowerLimit is None else _number(value.lowerLimit)
        high = INFINITE if value.upperLimit is None else _number(value.upperLimit)
        ranges.add((n, low, high))
        _units(composites, n, value.origin.system, value.origin.code, value.origin.unit, (low, high))


def position(ranges: Rows, n: int, value: Any) -> None:
    """A place on earth: (n, latitude, longitude), in degrees."""
    if value.latitude is not None and value.longitude is not None:
        ranges.add((n, _number(value.latitude), _number(value.longitude)))


FUNCTIONS: dict[str, Any] = {
    f.__name__: f
    for f in (
        of_date, of_period, of_timing, main_date, plain_number, range_number,
        plain_quantity, money_quantity, range_quantity, sampled_quantity, position,
    )
}  # fmt: skip
"""What the generated functions may call, by name."""
