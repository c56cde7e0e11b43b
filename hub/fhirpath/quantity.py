"""Quantities: a number and a unit, a UCUM code or a calendar word (http://hl7.org/fhirpath/N1/#quantity)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec

from hub.fhirpath.values import number_text

UCUM = "http://unitsofmeasure.org"

CALENDAR = {
    word + plural: word
    for word in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for plural in ("", "s")
}
"""Calendar words, plural to singular."""

UCUM_CALENDAR = {"wk": "week", "d": "day", "h": "hour", "min": "minute", "s": "second", "ms": "millisecond"}
"""The definite durations of UCUM that equal a calendar word; `a` and `mo` do not."""

_TEXT = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*(?:'([^']+)'|([a-z]+))?")


class Quantity(msgspec.Struct, frozen=True):
    """`value` with `unit`; `calendar` tells `1 month` from `1 'month'`."""

    value: Decimal
    unit: str = "1"
    calendar: bool = False

    def __str__(self) -> str:
        return (
            f"{number_text(self.value)} {self.unit}"
            if self.calendar
            else (f"{number_text(self.value)} '{self.unit}'")
        )

    def as_fhir(self) -> dict[str, Any]:
        """The FHIR Quantity of the same meaning."""
        return {"value": self.value, "unit": self.unit, "system": UCUM, "code": ucum_code(self)}


_CODES = {"year": "a", "month": "mo", **{word: code for code, word in UCUM_CALENDAR.items()}}


def ucum_code(quantity: Quantity) -> str:
    """The UCUM code of a quantity's unit (`week` → `wk`)."""
    return _CODES.get(CALENDAR.get(quantity.unit, ""), quantity.unit) if quantity.calendar else quantity.unit


def duration_unit(quantity: Quantity) -> str | None:
    """The calendar word by which a date can be moved, or None if this is no such duration."""
    return CALENDAR.get(quantity.unit) or UCUM_CALENDAR.get(quantity.unit)


def parse_quantity(text: str) -> Quantity | None:
    """From `4.5 'mg'`, `7 days` or `12`; None if it is not a quantity."""
    match = _TEXT.fullmatch(text.strip())
    if match is None or (match[3] and match[3] not in CALENDAR):
        return None
    return Quantity(Decimal(match[1]), match[2] or match[3] or "1", bool(match[3]))


def from_fhir(element: dict[str, Any]) -> Quantity | None:
    """A FHIR Quantity (Age, Duration ...) as a value to compare; None without a number."""
    value = element.get("value")
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or element.get("comparator"):
        return None
    unit = element.get("code") if element.get("system") == UCUM else None
    return Quantity(Decimal(value), unit or element.get("unit") or element.get("code") or "1")
