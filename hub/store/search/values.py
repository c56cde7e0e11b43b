"""Values of search parameters as keys and spans: tokens, references, dates, numbers.

http://hl7.org/fhir/R4/search.html#ptypes; ValueError for one that cannot be read.
"""

from __future__ import annotations

import re
from datetime import UTC, tzinfo
from decimal import Decimal
from math import isinf
from typing import cast

from hub import clock, r4
from hub.store.search.conditions import Prefix, Span
from hub.store.search.escapes import BadValue, split, unescape

_PREFIXES = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"})
_DATE = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+ -]\d\d:\d\d)?)?)?)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+ -]?\d{1,3})?", re.ASCII)


def parts_of_token(value: str) -> tuple[str | None, str | None]:
    """(system, code) of a token; None: any."""
    parts = [unescape(part) for part in split(value, "|")]
    if len(parts) == 1:
        return None, parts[0]
    if len(parts) > 2 or not any(parts):
        raise BadValue("expected code, system|code, |code or system|")
    return parts[0], parts[1] or None


def of_type_key(value: str) -> int:
    """The key of `system|code|value` of `:of-type`; all three must be there."""
    parts = [unescape(part) for part in split(value, "|")]
    if len(parts) != 3 or not all(parts):
        raise BadValue("expected system|code|value")
    return r4.hash_of_type(*parts)


def identifier_key(value: str) -> int:
    """The key of the value of `:identifier`."""
    return r4.hash_identifier(*parts_of_token(value))


def reference_keys(parameter: r4.SearchParameter, target: str, value: str, base: str) -> list[int]:
    """The keys a reference may be stored under: an id alone may be of any target type."""
    text = unescape(value)
    if "/" not in text and ":" not in text:
        if text == "#":
            raise BadValue("expected an id, Type/id or a URL")
        targets = (target,) if target else parameter.targets or r4.TYPES
        return [r4.hash_reference(f"{one}/{text}") for one in targets] + [r4.hash_reference(text)]
    local = r4.local_reference(text, base)
    if target and local.partition("/")[0] in r4.TYPES and not local.startswith(f"{target}/"):
        return []
    return [r4.hash_reference(local)]


def prefixed(value: str) -> tuple[Prefix, str]:
    """The prefix (`eq` if there is none) and the rest."""
    if value[:2] in _PREFIXES:
        return cast(Prefix, value[:2]), value[2:]
    return "eq", value


def date_span(value: str, zone: tzinfo | None) -> Span:
    """A date with a prefix or none; `ap` allows a tenth of the distance to now.

    A blank before the offset is a `+` that somebody did not encode.
    """
    prefix, text = prefixed(unescape(value))
    if not _DATE.fullmatch(text):
        raise BadValue("expected a date such as 2026-02-01 or ge2026-02-01T08:00:00Z")
    try:
        low, high = r4.date_range(text.replace(" ", "+"), zone or UTC)
    except ValueError:
        raise BadValue("there is no such date or time") from None
    if prefix == "ap":
        slack = abs(clock.now() - low) // 10
        low, high = low - slack, high + slack
    return Span(prefix, float(low), float(high))


def date_spans(values: tuple[str, ...], zone: tzinfo | None) -> tuple[Span, ...]:
    """Each value as a span of microseconds."""
    return tuple(date_span(value, zone) for value in values)


def number_span(value: str) -> Span:
    """A number: `eq` and `ne` by its precision (half open), comparisons by its exact value."""
    prefix, text = prefixed(value)
    if not _NUMBER.fullmatch(text):
        raise BadValue("expected a number such as 5.4 or ge5.4e-3")
    text = text.replace(" ", "+")
    exact = float(Decimal(text))
    if isinf(exact):
        raise BadValue("expected a number within the range of a double")
    if prefix in ("eq", "ne"):
        return Span(prefix, *r4.number_range(text))
    if prefix == "ap":
        slack = abs(Decimal(text)) / 10
        return Span(prefix, float(Decimal(text) - slack), float(Decimal(text) + slack))
    return Span(prefix, exact, exact)


def quantity(value: str) -> tuple[Span, str, str]:
    """The number, and system and code of the unit (empty: any), of `5.4`, `5.4|system|code`, `5.4||unit`."""
    parts = [unescape(part) for part in split(value, "|")]
    if len(parts) not in (1, 3):
        if len(parts) != 2 or parts[1]:
            raise BadValue("expected number, number|system|code or number||unit")
        parts.append("")
    return number_span(parts[0]), *(parts[1:] or ("", ""))


def unit_keys(system: str, code: str) -> list[int]:
    """The keys that a unit may have; without a system, in each of `UNIT_SYSTEMS` too."""
    systems = (system,) if system else (None, *r4.UNIT_SYSTEMS)
    return [r4.hash_token(one, code) for one in systems]
