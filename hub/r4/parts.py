"""What the parts of a composite add to the index: called by the generated extraction functions.

Each part fills a set of its own; `pairs`, `spans` and `limits` join them into rows of `composites`.
http://hl7.org/fhir/R4/search.html#composite
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from hub.r4.hashes import fold_text, hash_pair, hash_text
from hub.r4.rows import (
    codeableconcept_token,
    coding_token,
    contactpoint_token,
    identifier_token,
    plain_token,
    reference_key,
    string_token,
)
from hub.r4.spans import DateOf, plain_number, plain_quantity, range_quantity

Rows = set[Any]


_TOKENS = {
    "CodeableConcept": codeableconcept_token,
    "Coding": coding_token,
    "Identifier": identifier_token,
    "ContactPoint": contactpoint_token,
}


def component_token(found: Rows, value: Any, kind: str, system: str | Mapping[str, str]) -> None:
    """The keys of a coded value as a part of a composite."""
    rows: Rows = set()
    write = _TOKENS.get(kind)
    if kind == "string":
        string_token(rows, 0, value)
    elif write is None:
        plain_token(rows, 0, value, system)
    else:
        write(rows, set(), 0, value)
    found |= {key for _, key in rows}


def component_reference(found: Rows, value: Any, base: str) -> None:
    rows: Rows = set()
    reference_key(rows, 0, value, base)
    found |= {key for _, key in rows}


def component_string(found: Rows, value: str) -> None:
    found.add(hash_text(fold_text(value)))


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


def component_number(found: Rows, value: Any) -> None:
    rows: Rows = set()
    plain_number(rows, 0, value)
    found |= rows


def limits(composites: Rows, n: int, first: Rows, second: Rows, third: Rows) -> None:
    """A key, where something starts and where it ends: (n, key, start, end)."""
    for one in first:
        for _, start, _ in second:
            for _, end, _ in third:
                composites.add((n, one, start, end))


FUNCTIONS: dict[str, Any] = {
    f.__name__: f
    for f in (
        component_token, component_reference, component_string, component_quantity, component_date,
        component_number, pairs, spans, limits,
    )
}  # fmt: skip
"""What the generated functions may call, by name."""
