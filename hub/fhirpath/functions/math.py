"""Math functions (http://hl7.org/fhirpath/N1/#math-1)."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from hub.fhirpath.arithmetic import bounded, is_number
from hub.fhirpath.errors import EvaluationError
from hub.fhirpath.functions.signature import Entry, on_value
from hub.fhirpath.nodes import quantity_of
from hub.fhirpath.values import DIVISION, EXACT, Number, trimmed


def _numeric(function: Callable[..., Number | None], least: int = 0, most: int = 0) -> Entry:
    def call(value: Any, *arguments: Any) -> Number | None:
        if not is_number(value) or not all(is_number(argument) for argument in arguments):
            if any(argument is None for argument in arguments):
                return None
            raise EvaluationError("a number is needed here")
        try:
            return function(value, *arguments)
        except (decimal.DecimalException, OverflowError, ValueError):
            return None

    return on_value(call, least, most)


def _abs(value: Any) -> Any:
    if is_number(value):
        return abs(value)
    amount = quantity_of(value)
    if amount is None:
        raise EvaluationError("abs() needs a number or a quantity")
    return msgspec.structs.replace(amount, value=abs(amount.value))


def _whole(rounding: str) -> Callable[[Number], Number | None]:
    return lambda value: bounded(int(Decimal(value).to_integral_value(rounding)))


def _round(value: Number, places: Number = 0) -> Number | None:
    if not isinstance(places, int) or places < 0:
        raise EvaluationError("round() takes a count of digits from 0 on")
    if isinstance(value, int):
        return value
    if places == 0:
        return bounded(int(value.to_integral_value(decimal.ROUND_HALF_UP)))
    return value.quantize(Decimal(1).scaleb(-places), decimal.ROUND_HALF_UP, EXACT)


def _power(value: Number, exponent: Number) -> Number | None:
    if isinstance(value, int) and isinstance(exponent, int) and exponent >= 0:
        if abs(value) > 1 and exponent > 31:
            return None
        return bounded(value**exponent)
    answer = DIVISION.power(Decimal(value), Decimal(exponent))
    return trimmed(answer) if answer.is_finite() else None


def _logarithm(value: Number, base: Number) -> Number | None:
    if value <= 0 or base <= 0 or base == 1:
        return None
    answer = DIVISION.divide(DIVISION.ln(Decimal(value)), DIVISION.ln(Decimal(base)))
    return trimmed(answer.quantize(Decimal(1).scaleb(-20), context=EXACT))


FUNCTIONS: dict[str, Entry] = {
    "abs": on_value(_abs),
    "ceiling": _numeric(_whole(decimal.ROUND_CEILING)),
    "floor": _numeric(_whole(decimal.ROUND_FLOOR)),
    "truncate": _numeric(_whole(decimal.ROUND_DOWN)),
    "round": _numeric(_round, 0, 1),
    "exp": _numeric(lambda value: trimmed(DIVISION.exp(Decimal(value)))),
    "ln": _numeric(lambda value: DIVISION.ln(Decimal(value)) if value > 0 else None),
    "log": _numeric(_logarithm, 1, 1),
    "power": _numeric(_power, 1, 1),
    "sqrt": _numeric(lambda value: trimmed(DIVISION.sqrt(Decimal(value))) if value >= 0 else None),
}
