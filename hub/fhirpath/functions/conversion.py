"""Conversions `toX()` and `convertsToX()` (http://hl7.org/fhirpath/N1/#conversion)."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hub.fhirpath.arithmetic import bounded, is_number, single
from hub.fhirpath.functions.signature import Entry, Environment, on_value
from hub.fhirpath.nodes import Items, quantity_of
from hub.fhirpath.quantity import Quantity, parse_quantity, ucum_code
from hub.fhirpath.temporal import Temporal, parse_clock, parse_moment
from hub.fhirpath.units import comparable_values
from hub.fhirpath.values import Number, number_text

_TRUE = frozenset(("true", "t", "yes", "y", "1", "1.0"))
_FALSE = frozenset(("false", "f", "no", "n", "0", "0.0"))
_INTEGER = re.compile(r"[+-]?\d{1,10}")
_DECIMAL = re.compile(r"[+-]?\d{1,60}(\.\d{1,60})?")


def to_boolean(value: Any) -> bool | None:
    """true, t, yes, y, 1, 1.0 and their opposites."""
    if value.__class__ is bool:
        return value
    if is_number(value):
        return True if value == 1 else False if value == 0 else None
    text = value.lower() if value.__class__ is str else ""
    return True if text in _TRUE else False if text in _FALSE else None


def to_integer(value: Any) -> Number | None:
    """From an integer, a boolean or text of digits."""
    if value.__class__ is bool:
        return int(value)
    if value.__class__ is int:
        return value
    return bounded(int(value)) if value.__class__ is str and _INTEGER.fullmatch(value) else None


def to_decimal(value: Any) -> Decimal | None:
    """From a number, a boolean or text without an exponent; the digits stay as written."""
    if value.__class__ is bool:
        return Decimal("1.0" if value else "0.0")
    if is_number(value):
        return Decimal(value)
    return Decimal(value) if value.__class__ is str and _DECIMAL.fullmatch(value) else None


def to_text(value: Any) -> str | None:
    """Of any primitive, date or quantity, as FHIRPath writes it."""
    if value.__class__ is str:
        return value
    if value.__class__ is bool:
        return "true" if value else "false"
    if is_number(value):
        return number_text(value)
    if value.__class__ is Temporal:
        return str(value)
    amount = quantity_of(value)
    return None if amount is None else str(amount)


def to_date(value: Any) -> Temporal | None:
    """The date of a moment, or from text."""
    if value.__class__ is Temporal and value.kind != "Time":
        return Temporal("Date", value.parts[:3])
    if value.__class__ is not str:
        return None
    moment = parse_moment(value)
    return None if moment is None else Temporal("Date", moment.parts[:3])


def to_date_time(value: Any) -> Temporal | None:
    """A date as a moment of the same precision, or from text."""
    if value.__class__ is Temporal and value.kind != "Time":
        return value if value.kind == "DateTime" else Temporal("DateTime", value.parts)
    return parse_moment(value, kind="DateTime") if value.__class__ is str else None


def to_time(value: Any) -> Temporal | None:
    """A time of day, or from text."""
    if value.__class__ is Temporal and value.kind == "Time":
        return value
    return parse_clock(value.removeprefix("T")) if value.__class__ is str else None


def to_quantity(value: Any) -> Quantity | None:
    """A number has the unit `1`; text is `4 'mg'` or `7 days`."""
    if value.__class__ is bool:
        return Quantity(Decimal("1.0" if value else "0.0"))
    if is_number(value):
        return Quantity(Decimal(value))
    return parse_quantity(value) if value.__class__ is str else quantity_of(value)


def _converts(conversion: Callable[[Any], Any]) -> Entry:
    return on_value(lambda value: conversion(value) is not None)


def _to_quantity(items: Items, _: Environment, unit: Items = ()) -> Items:
    value = single(items)
    amount = None if value is None else to_quantity(value)
    wanted = single(unit)
    if amount is None or wanted is None:
        return () if amount is None else (amount,)
    if wanted in (amount.unit, ucum_code(amount)):
        return (amount,)
    factor = comparable_values(amount, Quantity(Decimal(1), wanted))
    return () if factor is None else (Quantity(factor[0] / factor[1], wanted),)


def _converts_to_quantity(items: Items, env: Environment, *unit: Items) -> Items:
    return (bool(_to_quantity(items, env, *unit)),) if items else ()


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "Boolean": to_boolean,
    "Integer": to_integer,
    "Decimal": to_decimal,
    "String": to_text,
    "Date": to_date,
    "DateTime": to_date_time,
    "Time": to_time,
    "Quantity": to_quantity,
}
FUNCTIONS: dict[str, Entry] = {
    **{f"to{name}": on_value(conversion) for name, conversion in _CONVERSIONS.items()},
    **{f"convertsTo{name}": _converts(conversion) for name, conversion in _CONVERSIONS.items()},
    "toQuantity": Entry(_to_quantity, 0, 1),
    "convertsToQuantity": Entry(_converts_to_quantity, 0, 1),
}
