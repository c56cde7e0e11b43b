"""Clock functions and the boundaries of imprecise values.

http://hl7.org/fhirpath/N1/#utility-functions; lowBoundary, highBoundary and precision follow
http://hl7.org/fhirpath/#functions as far as R4 material uses them.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from datetime import UTC, tzinfo
from decimal import Decimal
from typing import Any

import msgspec

from hub import clock
from hub.fhirpath import temporal
from hub.fhirpath.arithmetic import is_number
from hub.fhirpath.errors import EvaluationError
from hub.fhirpath.functions.signature import Entry, Environment, on_value
from hub.fhirpath.nodes import Items, quantity_of
from hub.fhirpath.quantity import Quantity
from hub.fhirpath.temporal import Temporal
from hub.fhirpath.values import EXACT, digits_after_point


def _moment(env: Environment) -> Temporal:
    """env["now"] (microseconds since the epoch) or the wall clock, in the zone of env["zone"]."""
    zone: tzinfo = env.get("zone") or UTC
    micros = env.get("now")
    return temporal.moment_of(clock.now() if micros is None else int(micros), zone)


def _now(_: Items, env: Environment) -> Items:
    return (_moment(env),)


def _today(_: Items, env: Environment) -> Items:
    return (Temporal("Date", _moment(env).parts[:3]),)


def _time_of_day(_: Items, env: Environment) -> Items:
    moment = _moment(env)
    return (Temporal("Time", moment.parts[3:], moment.nanos, moment.digits),)


_WHOLE_DIGITS = {"Date": (4, 6, 8), "DateTime": (4, 6, 8, 10, 12, 17), "Time": (2, 4, 9)}
_LAST = (9999, 12, 31, 23, 59, 59)
_FIRST = (1, 1, 1, 0, 0, 0)


def _boundary(value: Any, places: int | None, upper: bool) -> Any:
    if value.__class__ is Temporal:
        return _moment_boundary(value, places, upper)
    if is_number(value):
        return _number_boundary(Decimal(value), places, upper)
    amount = quantity_of(value)
    if amount is None:
        return None
    number = _number_boundary(amount.value, places, upper)
    return None if number is None else Quantity(number, amount.unit, amount.calendar)


def _number_boundary(value: Decimal, places: int | None, upper: bool) -> Decimal | None:
    places = 8 if places is None else places
    if not 0 <= places <= 28:
        return None
    half = Decimal(5).scaleb(-digits_after_point(value) - 1)
    edge = EXACT.add(value, half if upper else -half)
    rounding = decimal.ROUND_CEILING if upper else decimal.ROUND_FLOOR
    if abs(value) < Decimal(1).scaleb(-places):
        rounding = decimal.ROUND_DOWN
    return edge.quantize(Decimal(1).scaleb(-places), rounding, EXACT)


def _moment_boundary(value: Temporal, digits: int | None, upper: bool) -> Temporal | None:
    sizes = _WHOLE_DIGITS[value.kind]
    digits = sizes[-1] if digits is None else digits
    if digits not in sizes:
        return None
    count = sizes.index(digits) + 1
    start = 3 if value.kind == "Time" else 0
    bounds = (_LAST if upper else _FIRST)[start : start + count]
    parts = (*value.parts[:count], *bounds[len(value.parts) :])
    if upper and start == 0 and count >= 3 and len(value.parts) < 3:
        parts = (*parts[:2], _days(parts[0], parts[1]), *parts[3:])
    kind = value.kind
    if start == 0 and count < 4:
        return Temporal("Date", parts)
    moment = Temporal(kind, parts, offset=value.offset)
    if digits != sizes[-1]:
        return moment
    open_ended = upper and not value.digits
    nanos = 999_000_000 if open_ended else value.nanos
    offset = value.offset
    if kind == "DateTime" and offset is None:
        offset = -720 if upper else 840
    return msgspec.structs.replace(moment, nanos=nanos, digits=3, offset=offset)


def _days(year: int, month: int) -> int:
    return next(day for day in (31, 30, 29, 28) if temporal.in_range((year, month, day), 0))


def _precision(value: Any) -> int | None:
    if value.__class__ is Temporal:
        if value.digits:
            return int(_WHOLE_DIGITS[value.kind][-1] - 3 + value.digits)
        sizes = (4, 6, 8, 10, 12, 14) if value.kind != "Time" else (2, 4, 6)
        return sizes[len(value.parts) - 1]
    return digits_after_point(value) if is_number(value) else None


def _bounded(upper: bool) -> Callable[..., Any]:
    def call(value: Any, places: Any = None) -> Any:
        if places is not None and places.__class__ is not int:
            raise EvaluationError("a count of digits is an integer")
        return _boundary(value, places, upper)

    return call


FUNCTIONS: dict[str, Entry] = {
    "now": Entry(_now, 0, 0),
    "today": Entry(_today, 0, 0),
    "timeOfDay": Entry(_time_of_day, 0, 0),
    "lowBoundary": on_value(_bounded(False), 0, 1, typed=True),
    "highBoundary": on_value(_bounded(True), 0, 1, typed=True),
    "precision": on_value(_precision, typed=True),
}
