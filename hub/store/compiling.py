"""From a criterion as asked to a condition on index rows: hashes, folded texts, ranges."""

from __future__ import annotations

import re
from datetime import UTC, tzinfo
from decimal import Decimal, InvalidOperation
from typing import cast

from hub import clock, r4
from hub.store.backend import Reader
from hub.store.conditions import Condition, Equal, Keyed, Prefix, Range, Span, Text, Updated, Wanted
from hub.store.keys import PRESENT
from hub.store.query import Asked

_PREFIXES = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"})
_BAR = re.compile(r"(?<!\\)\|")
_DOLLAR = re.compile(r"(?<!\\)\$")
_ESCAPE = re.compile(r"\\([\\,|$])")
_DATE = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII)


def unescape(text: str) -> str:
    r"""`\,` `\|` `\$` `\\` as the characters they stand for."""
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text


def condition(asked: Asked, reader: Reader) -> Condition:
    """The condition of a criterion that follows no chain. ValueError for a value that cannot be read."""
    return _condition(asked, reader.zone, reader.base_url)


def check(asked: Asked) -> None:
    """ValueError if a value cannot be read."""
    _condition(asked, UTC, "")


def updated(values: tuple[str, ...], zone: tzinfo) -> Updated:
    """`_lastUpdated`."""
    return Updated(date_spans(values, zone))


def _condition(asked: Asked, zone: tzinfo, base: str) -> Condition:
    parameter, modifier, values = asked.parameter, asked.modifier, asked.values
    number = parameter.number
    if modifier == "missing":
        if values not in (("true",), ("false",)):
            raise ValueError(values)
        return Equal(number, (PRESENT,), negated=values == ("true",))
    match parameter.type:
        case "token":
            key = _of_type if modifier == "of-type" else token_key
            return Equal(number, tuple(key(value) for value in values), negated=modifier == "not")
        case "reference":
            keys = [key for value in values for key in reference_keys(asked, value, base)]
            return Equal(number, tuple(dict.fromkeys(keys)))
        case "string":
            return Text(number, tuple(_wanted(value, modifier) for value in values))
        case "uri":
            if modifier == "below":
                return Text(number, tuple(Wanted("starts", r4.fold(unescape(value))) for value in values))
            return Equal(number, tuple(r4.hash_uri(unescape(value)) for value in values))
        case "date":
            return Range(number, date_spans(values, zone))
        case "number":
            return Range(number, tuple(number_span(value) for value in values))
        case "quantity":
            return _quantities(number, values)
        case _:
            return _composites(parameter, values, zone, base)


def token_key(value: str) -> int:
    """The key of `code`, `system|code`, `|code`, `system|`."""
    return r4.hash_token(*parts_of_token(value))


def parts_of_token(value: str) -> tuple[str | None, str | None]:
    """(system, code) of a token; None: any."""
    parts = [unescape(part) for part in _BAR.split(value)]
    if len(parts) == 1:
        return None, parts[0]
    if len(parts) > 2 or not any(parts):
        raise ValueError(value)
    return parts[0], parts[1] or None


def _of_type(value: str) -> int:
    system, code, number = (unescape(part) for part in _BAR.split(value))
    return r4.hash_of_type(system, code, number)


def reference_keys(asked: Asked, value: str, base: str) -> list[int]:
    """The keys a reference may be stored under: an id alone may be of any target type."""
    text = unescape(value)
    if asked.modifier == "identifier":
        system, bar, number = text.rpartition("|")
        return [r4.hash_identifier(system if bar else None, number)]
    if "/" not in text and ":" not in text:
        targets = (asked.modifier,) if asked.modifier else asked.parameter.targets or r4.TYPES
        return [r4.hash_reference(f"{target}/{text}") for target in targets] + [r4.hash_reference(text)]
    return [r4.hash_reference(r4.local_reference(text, base) if base else text)]


def _wanted(value: str, modifier: str) -> Wanted:
    text = r4.fold(unescape(value))
    if modifier == "exact":
        return Wanted("exact", text)
    return Wanted("contains" if modifier == "contains" else "starts", text)


def _prefixed(value: str) -> tuple[Prefix, str]:
    if value[:2] in _PREFIXES:
        return cast(Prefix, value[:2]), value[2:]
    return "eq", value


def date_spans(values: tuple[str, ...], zone: tzinfo | None) -> tuple[Span, ...]:
    """Dates with a prefix or none; `ap` allows a tenth of the distance to now."""
    spans = []
    for value in values:
        prefix, text = _prefixed(value)
        if not _DATE.fullmatch(text):
            raise ValueError(text)
        low, high = r4.date_range(text, zone or UTC)
        if prefix == "ap":
            slack = abs(clock.now() - low) // 10
            low, high = low - slack, high + slack
        spans.append(Span(prefix, float(low), float(high)))
    return tuple(spans)


def number_span(value: str) -> Span:
    """A number: `eq` and `ne` by its precision, comparisons by its exact value."""
    prefix, text = _prefixed(value)
    try:
        exact = float(Decimal(text))
    except InvalidOperation:
        raise ValueError(text) from None
    if prefix in ("eq", "ne"):
        return Span(prefix, *r4.number_range(text))
    if prefix == "ap":
        return Span(prefix, exact - abs(exact) / 10, exact + abs(exact) / 10)
    return Span(prefix, exact, exact)


def _quantities(number: int, values: tuple[str, ...]) -> Condition:
    """`5.4`, `5.4|system|code`, `5.4||unit`."""
    plain: list[Span] = []
    keyed: list[tuple[int, Span]] = []
    for value in values:
        text, unit = _quantity(value)
        if unit is None:
            plain.append(number_span(text))
        else:
            keyed.append((unit, number_span(text)))
    if plain and keyed:
        raise ValueError("all or none with a unit")
    return Keyed(number, tuple(keyed)) if keyed else Range(number, tuple(plain))


def _quantity(value: str) -> tuple[str, int | None]:
    parts = [unescape(part) for part in _BAR.split(value)]
    if len(parts) == 1 or not any(parts[1:]):
        return parts[0], None
    if len(parts) != 3 or not parts[2]:
        raise ValueError(value)
    return parts[0], r4.hash_token(parts[1] or None, parts[2])


def _composites(parameter: r4.SearchParameter, values: tuple[str, ...], zone: tzinfo, base: str) -> Keyed:
    """http://hl7.org/fhir/R4/search.html#composite"""
    spans = []
    for value in values:
        left, right = _DOLLAR.split(value)
        for first in _component(parameter.components[0], left, base):
            kind = parameter.components[1]
            if kind == "date":
                spans.append((first, date_spans((right,), zone)[0]))
            elif kind in ("quantity", "number"):
                text, unit = _quantity(right)
                key = first if unit is None else r4.hash_pair(first, unit)
                spans.append((key, number_span(text)))
            else:
                point = Span("eq", 0.0, 0.0)
                spans += [(r4.hash_pair(first, second), point) for second in _component(kind, right, base)]
    return Keyed(parameter.number, tuple(spans))


def _component(kind: str, value: str, base: str) -> list[int]:
    if kind == "token":
        return [token_key(value)]
    if kind == "string":
        return [r4.hash_text(r4.fold(unescape(value)))]
    text = unescape(value)
    return [r4.hash_reference(r4.local_reference(text, base) if base else text)]
