"""What one value adds to the index: called by the generated extraction functions.

`equal`, `text`, `ranges` and `composites` are the resource's sets of rows; `n` is the parameter's number.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from typing import Any

from hub.r4.hashes import (
    fold,
    hash_identifier,
    hash_of_type,
    hash_pair,
    hash_reference,
    hash_text,
    hash_token,
    hash_uri,
)
from hub.r4.ranges import MAX_MICROS, MIN_MICROS, date_range

Rows = set[Any]
DateOf = Callable[[Any, tzinfo], tuple[int, int]]
INFINITE = float("inf")


# -- tokens


def _token(equal: Rows, n: int, system: str | None, code: str | None) -> None:
    if code is not None:
        equal.add((n, hash_token(None, code)))
        equal.add((n, hash_token(system or "", code)))
    if system:
        equal.add((n, hash_token(system, None)))


def plain_token(equal: Rows, n: int, value: Any, system: str) -> None:
    code = value if type(value) is str else "true" if value else "false"
    equal.add((n, hash_token(None, code)))
    if system:
        equal.add((n, hash_token(system, code)))
        equal.add((n, hash_token(system, None)))


def coding_token(equal: Rows, n: int, value: Any) -> None:
    _token(equal, n, value.system, value.code)


def codeableconcept_token(equal: Rows, n: int, value: Any) -> None:
    if value.coding is not None:
        for coding in value.coding:
            _token(equal, n, coding.system, coding.code)


def identifier_token(equal: Rows, n: int, value: Any) -> None:
    text = value.value
    _token(equal, n, value.system, text)
    kind = value.type
    if text is not None and kind is not None and kind.coding is not None:
        for coding in kind.coding:
            equal.add((n, hash_of_type(coding.system or "", coding.code or "", text)))


def contactpoint_token(equal: Rows, n: int, value: Any) -> None:
    _token(equal, n, value.system, value.value)


# -- strings


def plain_text(text: Rows, n: int, value: str) -> None:
    text.add((n, fold(value)))


def name_text(text: Rows, n: int, value: Any) -> None:
    for part in (value.text, value.family):
        if part is not None:
            text.add((n, fold(part)))
    for parts in (value.given, value.prefix, value.suffix):
        if parts is not None:
            for part in parts:
                if part is not None:
                    text.add((n, fold(part)))


def address_text(text: Rows, n: int, value: Any) -> None:
    for part in (value.text, value.city, value.district, value.state, value.postalCode, value.country):
        if part is not None:
            text.add((n, fold(part)))
    if value.line is not None:
        for part in value.line:
            if part is not None:
                text.add((n, fold(part)))


# -- references and uris


def local(reference: str, base: str) -> str:
    """A reference as the index keeps it: relative below our own base, without its version."""
    if reference.startswith(base) and reference[len(base) : len(base) + 1] == "/":
        reference = reference[len(base) + 1 :]
    version = reference.find("/_history/")
    return reference if version < 0 else reference[:version]


def points_at(value: Any, kind: str) -> bool:
    """Whether a Reference names a resource of that type."""
    reference = value.reference
    if reference is None:
        return bool(value.type == kind)
    if reference.startswith(kind + "/") or f"/{kind}/" in reference:
        return True
    return bool(value.type == kind)


def reference_key(equal: Rows, n: int, value: Any, base: str) -> None:
    reference = value.reference
    if reference is not None and reference[0] != "#":
        equal.add((n, hash_reference(local(reference, base))))
    identifier = value.identifier
    if identifier is not None and identifier.value is not None:
        equal.add((n, hash_identifier(identifier.system or "", identifier.value)))
        equal.add((n, hash_identifier(None, identifier.value)))


def canonical_key(equal: Rows, n: int, value: str, base: str) -> None:
    equal.add((n, hash_reference(value)))
    url, bar, _ = value.partition("|")
    if bar:
        equal.add((n, hash_reference(url)))
    if value.startswith(base):
        equal.add((n, hash_reference(local(url, base))))


def resource_key(equal: Rows, n: int, value: Any, base: str) -> None:
    if value.id is not None:
        equal.add((n, hash_reference(f"{type(value).__fhir__}/{value.id}")))


def uri_key(equal: Rows, text: Rows, n: int, value: str) -> None:
    equal.add((n, hash_uri(value)))
    url, bar, _ = value.partition("|")
    if bar:
        equal.add((n, hash_uri(url)))
    text.add((n, fold(value)))


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
    return float(bytes(value)) if not isinstance(value, int) else float(value)


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
    if code is not None:
        composites.add((n, hash_token(None, code), *span))
        if system:
            composites.add((n, hash_token(system, code), *span))
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
        _units(composites, n, "urn:iso:std:iso:4217", value.currency, None, (number, number))


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


# -- composites


def component_token(found: Rows, value: Any, kind: str) -> None:
    """The keys of a coded value as a part of a composite."""
    rows: Rows = set()
    if kind == "CodeableConcept":
        codeableconcept_token(rows, 0, value)
    elif kind == "Coding":
        coding_token(rows, 0, value)
    elif kind == "Identifier":
        identifier_token(rows, 0, value)
    else:
        plain_token(rows, 0, value, "")
    found |= {key for _, key in rows}


def component_reference(found: Rows, value: Any, base: str) -> None:
    rows: Rows = set()
    reference_key(rows, 0, value, base)
    found |= {key for _, key in rows}


def component_string(found: Rows, value: str) -> None:
    found.add(hash_text(fold(value)))


def component_quantity(found: Rows, value: Any, kind: str) -> None:
    """(key of the unit, low, high); unit 0: any."""
    ranges: Rows = set()
    composites: Rows = set()
    (range_quantity if kind == "Range" else plain_quantity)(ranges, composites, 0, value)
    found |= {(0, low, high) for _, low, high in ranges} | {row[1:] for row in composites}


def component_date(found: Rows, value: Any, zone: tzinfo, of: DateOf) -> None:
    found.add((0, *of(value, zone)))


def pairs(composites: Rows, n: int, first: Rows, second: Rows) -> None:
    """Two keys: (n, hash_pair, 0, 0)."""
    for one in first:
        for two in second:
            composites.add((n, hash_pair(one, two), 0.0, 0.0))


def spans(composites: Rows, n: int, first: Rows, second: Rows) -> None:
    """A key and a range: (n, key, low, high), and with its unit (n, hash_pair(key, unit), low, high)."""
    for one in first:
        for unit, low, high in second:
            composites.add((n, one if unit == 0 else hash_pair(one, unit), low, high))


def has_extension(value: Any, url: str) -> bool:
    return value.extension is not None and any(e.url == url for e in value.extension)


FUNCTIONS: dict[str, Any] = {
    f.__name__: f
    for f in (
        plain_token, coding_token, codeableconcept_token, identifier_token, contactpoint_token,
        plain_text, name_text, address_text,
        reference_key, canonical_key, resource_key, uri_key, points_at, has_extension,
        of_date, of_period, of_timing, main_date,
        plain_number, range_number, plain_quantity, money_quantity, range_quantity, sampled_quantity,
        component_token, component_reference, component_string, component_quantity, component_date,
        pairs, spans,
    )
}  # fmt: skip
"""What the generated functions may call, by name."""
