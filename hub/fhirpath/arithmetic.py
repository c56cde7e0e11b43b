"""The operators `+ - * / div mod &` (http://hl7.org/fhirpath/N1/#math), on single items or None for empty."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from hub.fhirpath import temporal, units
from hub.fhirpath.compare import as_temporal
from hub.fhirpath.errors import EvaluationError
from hub.fhirpath.nodes import Items, plain, quantity_of
from hub.fhirpath.quantity import Quantity, duration_unit
from hub.fhirpath.temporal import Temporal, parse_clock, parse_moment
from hub.fhirpath.values import DIVISION, EXACT, MAX_INTEGER, MIN_INTEGER, Number

Value = Any | None


def single(items: Items) -> Any | None:
    """The one item as a value to compute with, None if empty; EvaluationError for several."""
    if len(items) == 1:
        item = items[0]
        return item if item.__class__ is str else plain(item)
    if items:
        raise EvaluationError("one item is needed here, there are several")
    return None


def is_number(item: Any) -> bool:
    """An integer or decimal (a boolean is neither)."""
    return isinstance(item, int | Decimal) and item.__class__ is not bool


def bounded(number: Number) -> Number | None:
    """None for an integer outside the 32 bits of the specification."""
    return number if not isinstance(number, int) or MIN_INTEGER <= number <= MAX_INTEGER else None


def calculate(operator: str, left: Items, right: Items) -> Value:
    """One arithmetic operator; None (empty) if a side is empty or there is no result (division by zero)."""
    first, second = single(left), single(right)
    if first.__class__ is str and second.__class__ is str and operator in ("+", "&"):
        return first + second
    if operator == "&":
        return _text(first) + _text(second)
    if first is None or second is None:
        return None
    try:
        if is_number(first) and is_number(second):
            return _NUMERIC[operator](first, second)
        return _mixed(operator, first, second)
    except decimal.DecimalException:
        return None


def _text(item: Any | None) -> str:
    if item is None:
        return ""
    if item.__class__ is not str:
        raise EvaluationError("& joins texts")
    return str(item)


def _add(left: Number, right: Number) -> Number | None:
    if isinstance(left, int) and isinstance(right, int):
        return bounded(left + right)
    return EXACT.add(left, right)


def _subtract(left: Number, right: Number) -> Number | None:
    if isinstance(left, int) and isinstance(right, int):
        return bounded(left - right)
    return EXACT.subtract(left, right)


def _multiply(left: Number, right: Number) -> Number | None:
    if isinstance(left, int) and isinstance(right, int):
        return bounded(left * right)
    return EXACT.multiply(left, right)


def _divide(left: Number, right: Number) -> Number | None:
    return DIVISION.divide(left, right) if right else None


def _whole_divide(left: Number, right: Number) -> Number | None:
    return bounded(int(EXACT.divide_int(left, right))) if right else None


def _modulo(left: Number, right: Number) -> Number | None:
    if not right:
        return None
    rest = EXACT.remainder(left, right)
    return int(rest) if isinstance(left, int) and isinstance(right, int) else rest


_NUMERIC: dict[str, Callable[[Any, Any], Number | None]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "div": _whole_divide,
    "mod": _modulo,
}


def _mixed(operator: str, left: Any, right: Any) -> Value:
    amount = quantity_of(right)
    if operator in ("+", "-") and amount is not None and (moment := _moment(left)) is not None:
        return _move(moment, amount, -1 if operator == "-" else 1)
    base = quantity_of(left)
    if (base is not None and (amount is not None or is_number(right))) or (
        amount is not None and is_number(left)
    ):
        return _quantities(operator, base or Quantity(Decimal(left)), amount or Quantity(Decimal(right)))
    raise EvaluationError(f"{operator} does not apply to these kinds of items")


def _moment(item: Any) -> Temporal | None:
    if item.__class__ is str:
        return parse_moment(item) or parse_clock(item)
    return as_temporal(item, item)


def _move(moment: Temporal, amount: Quantity, sign: int) -> Temporal | None:
    unit = duration_unit(amount)
    if unit is None:
        raise EvaluationError("a date moves by a duration only")
    return temporal.add(moment, amount.value * sign, unit)


def _quantities(operator: str, left: Quantity, right: Quantity) -> Quantity | None:
    if operator in ("*", "/"):
        plain_unit = right.unit == "1" and not right.calendar
        if plain_unit and (operator == "*" or right.value):
            value = _NUMERIC[operator](left.value, right.value)
            return msgspec.structs.replace(left, value=value)
        return units.product(left, right, divide=operator == "/")
    if operator not in ("+", "-"):
        raise EvaluationError(f"{operator} does not apply to quantities")
    values = units.comparable_values(left, right)
    if values is None:
        return None
    if left.unit == right.unit and left.calendar == right.calendar:
        value = _NUMERIC[operator](left.value, right.value)
        return msgspec.structs.replace(left, value=value)
    factor = units.comparable_values(Quantity(Decimal(1), left.unit, left.calendar), right)
    total = EXACT.add(values[0], values[1] if operator == "+" else -values[1])
    return None if factor is None else msgspec.structs.replace(left, value=EXACT.divide(total, factor[0]))


def negated(items: Items) -> Value:
    """`-x` of a number or quantity."""
    item = single(items)
    if item is None:
        return None
    if is_number(item):
        return -item
    amount = quantity_of(item)
    if amount is None:
        raise EvaluationError("- needs a number or a quantity")
    return msgspec.structs.replace(amount, value=-amount.value)


def positive(items: Items) -> Value:
    """`+x` of a number or quantity."""
    item = single(items)
    if item is None or is_number(item) or quantity_of(item) is not None:
        return item
    raise EvaluationError("+ needs a number or a quantity")
