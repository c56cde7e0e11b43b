"""Dates, times and moments of stated precision (http://hl7.org/fhirpath/N1/#time-valued-quantities).

`2014`, `2014-05`, `2014-05-03T10:30+08:00` and `10:30:00.5` keep the precision they were written in. Seconds
and their fraction count as one precision. Comparing two of different precision may have no answer (None).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Literal

import msgspec

Kind = Literal["Date", "DateTime", "Time"]

_DATE = r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?"
_CLOCK = r"(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?"
_OFFSET = r"(Z|[+-]\d\d:\d\d)?"
MOMENT_PATTERN = re.compile(rf"{_DATE}(?:(T)(?:{_CLOCK})?{_OFFSET})?")
CLOCK_PATTERN = re.compile(_CLOCK)

_LIMITS = ((1, 9999), (1, 12), (1, 31), (0, 23), (0, 59), (0, 60))
_UNITS = ("year", "month", "day", "hour", "minute", "second")
_WIDEST_OFFSET = timedelta(hours=14)


class Temporal(msgspec.Struct, frozen=True):
    """A Date, DateTime or Time.

    parts   year, month, day, hour, minute, second as far as stated; of a Time hour, minute, second
    nanos   the fraction of the second in nanoseconds; `digits` of it were written
    offset  minutes east of UTC, None where none was stated
    """

    kind: Kind
    parts: tuple[int, ...]
    nanos: int = 0
    digits: int = 0
    offset: int | None = None

    def __str__(self) -> str:
        if self.kind == "Time":
            return self._clock(self.parts)
        text = "-".join(f"{part:0{2 if place else 4}d}" for place, part in enumerate(self.parts[:3]))
        if len(self.parts) > 3:
            text += "T" + self._clock(self.parts[3:])
        if self.offset is None:
            return text
        hours, minutes = divmod(abs(self.offset), 60)
        sign = "-" if self.offset < 0 else "+"
        return text + ("Z" if self.offset == 0 else f"{sign}{hours:02d}:{minutes:02d}")

    def _clock(self, parts: tuple[int, ...]) -> str:
        text = ":".join(f"{part:02d}" for part in parts)
        return (
            text + "." + f"{self.nanos:09d}"[: self.digits].ljust(self.digits, "0") if self.digits else text
        )

    @property
    def literal(self) -> str:
        """As FHIRPath writes it: `@2014`, `@2014T`, `@T10:30`."""
        if self.kind == "Time":
            return f"@T{self}"
        return f"@{self}T" if self.kind == "DateTime" and len(self.parts) < 4 else f"@{self}"

    @property
    def precision(self) -> str:
        """The name of the finest part that was stated (`second` also for fractions)."""
        return _UNITS[len(self.parts) - 1 + (3 if self.kind == "Time" else 0)]


@lru_cache(maxsize=4096)
def parse_moment(text: str, *, kind: Kind | None = None) -> Temporal | None:
    """A Date or DateTime from FHIR or FHIRPath text (without `@`); None if it is not one.

    Without `kind` a `T` in the text makes it a DateTime.
    """
    match = MOMENT_PATTERN.fullmatch(text)
    return _moment(match, kind) if match else None


def _moment(match: re.Match[str], kind: Kind | None) -> Temporal | None:
    numbers = match.group(1, 2, 3, 5, 6, 7)
    parts = tuple(int(number) for number in numbers if number is not None)
    offset = match[9]
    if match[5] is not None and len([part for part in match.group(1, 2, 3) if part]) < 3:
        return None
    if not in_range(parts, 0):
        return None
    kind = kind or ("DateTime" if match[4] else "Date")
    if kind == "Date" and len(parts) > 3:
        return None
    return Temporal(kind, parts, *_fraction(match[8]), None if offset is None else _minutes(offset))


def parse_clock(text: str) -> Temporal | None:
    """A Time from text such as `10:30:00.5`; None if it is not one."""
    match = CLOCK_PATTERN.fullmatch(text)
    if match is None:
        return None
    parts = tuple(int(number) for number in match.group(1, 2, 3) if number is not None)
    return Temporal("Time", parts, *_fraction(match[4])) if in_range(parts, 3) else None


def _fraction(text: str | None) -> tuple[int, int]:
    return (int(text[:9].ljust(9, "0")), min(len(text), 9)) if text else (0, 0)


def _minutes(offset: str) -> int:
    if offset == "Z":
        return 0
    minutes = int(offset[1:3]) * 60 + int(offset[4:6])
    return -minutes if offset[0] == "-" else minutes


def in_range(parts: tuple[int, ...], start: int) -> bool:
    """Does every part lie in the calendar? `start` is 3 for times of day."""
    if not all(low <= part <= high for part, (low, high) in zip(parts, _LIMITS[start:], strict=False)):
        return False
    return start > 0 or len(parts) < 3 or parts[2] <= _month_length(parts[0], parts[1])


def _month_length(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def compare(left: Temporal, right: Temporal) -> int | None:
    """-1, 0, 1, or None where the precisions (or a missing offset) leave it open.

    Both must be times of day, or neither: ask `comparable` first.
    """
    if left.offset != right.offset and len(left.parts) > 3 and len(right.parts) > 3:
        if left.offset is None or right.offset is None:
            return _compare_uncertain(left, right)
        left, right = _to_utc(left), _to_utc(right)
    for mine, theirs in zip(left.parts, right.parts, strict=False):
        if mine != theirs:
            return -1 if mine < theirs else 1
    if len(left.parts) != len(right.parts):
        return None
    return (left.nanos > right.nanos) - (left.nanos < right.nanos)


def comparable(left: Temporal, right: Temporal) -> bool:
    """Times of day compare with each other only; dates and moments compare."""
    return (left.kind == "Time") == (right.kind == "Time")


def _compare_uncertain(left: Temporal, right: Temporal) -> int | None:
    apart = to_datetime(left) - to_datetime(right)
    if abs(apart) <= _WIDEST_OFFSET:
        return None
    return -1 if apart < timedelta() else 1


def to_datetime(moment: Temporal) -> datetime:
    """The first instant of a Date or DateTime, aware; a missing offset counts as UTC."""
    year, month, day, hour, minute, second = (*moment.parts, *(1, 1, 1, 0, 0, 0)[len(moment.parts) :])
    naive = datetime(year, month, day, hour, minute, min(second, 59), moment.nanos // 1000, tzinfo=UTC)
    return naive - timedelta(minutes=moment.offset or 0)


def _to_utc(moment: Temporal) -> Temporal:
    shifted = shift(moment, timedelta(minutes=-(moment.offset or 0)))
    return msgspec.structs.replace(shifted, offset=0)


def shift(moment: Temporal, by: timedelta) -> Temporal:
    """Moved on the calendar, offset and precision kept."""
    year, month, day, hour, minute, second = (*moment.parts, *(1, 1, 1, 0, 0, 0)[len(moment.parts) :])
    moved = datetime(year, month, day, hour, minute, min(second, 59)) + by + timedelta(microseconds=0)
    nanos = moment.nanos + (moved.microsecond * 1000)
    if nanos >= 1_000_000_000:
        moved, nanos = moved + timedelta(seconds=1), nanos - 1_000_000_000
    parts = (moved.year, moved.month, moved.day, moved.hour, moved.minute, moved.second)
    return msgspec.structs.replace(moment, parts=parts[: len(moment.parts)], nanos=nanos)


def moment_of(micros: int, zone: tzinfo) -> Temporal:
    """A DateTime with milliseconds in a zone, from microseconds since the epoch."""
    local = datetime.fromtimestamp(micros // 1_000_000, zone)
    offset = local.utcoffset() or timedelta()
    nanos = micros % 1_000_000 // 1000 * 1_000_000
    parts = (local.year, local.month, local.day, local.hour, local.minute, local.second)
    return Temporal("DateTime", parts, nanos, 3, int(offset.total_seconds()) // 60)


def add(moment: Temporal, amount: Decimal, unit: str) -> Temporal | None:
    """`moment + amount unit` (http://hl7.org/fhirpath/N1/#datetime-arithmetic); None outside the calendar.

    `unit` is a singular calendar word (`year` … `millisecond`). Above seconds the decimal part is ignored; a
    unit finer than the moment's precision is first turned into that precision (30 days a month, 365 a year).
    """
    try:
        if moment.kind == "Time":
            return _add_clock(moment, amount, unit)
        places = len(moment.parts)
        if unit in ("year", "month"):
            months = int(amount) * (12 if unit == "year" else 1)
            return _add_months(moment, months if places > 1 else int(Decimal(months) / 12) * 12)
        seconds = _seconds(amount, unit)
        if places < 3:
            days = int(seconds / 86400)
            return _add_months(
                moment, int(Decimal(days) / 365) * 12 if places == 1 else int(Decimal(days) / 30)
            )
        return _add_seconds(moment, seconds, 86400 if places == 3 else (3600, 60, 0)[places - 4])
    except (OverflowError, ValueError):
        return None


_SECONDS = {"week": 604800, "day": 86400, "hour": 3600, "minute": 60}


def _seconds(amount: Decimal, unit: str) -> Decimal:
    if unit in _SECONDS:
        return Decimal(int(amount) * _SECONDS[unit])
    return amount / 1000 if unit == "millisecond" else amount


def _add_seconds(moment: Temporal, seconds: Decimal, grain: int) -> Temporal:
    if grain:
        return shift(moment, timedelta(seconds=int(seconds / grain) * grain))
    whole = moment.nanos + int(seconds * 1_000_000_000)
    carry, nanos = divmod(whole, 1_000_000_000)
    digits = moment.digits if nanos % 1_000_000 == 0 and moment.digits else (3 if nanos else moment.digits)
    moved = shift(msgspec.structs.replace(moment, nanos=0), timedelta(seconds=carry))
    return msgspec.structs.replace(moved, nanos=nanos, digits=max(digits, moment.digits))


def _add_months(moment: Temporal, months: int) -> Temporal:
    year, month = moment.parts[0], moment.parts[1] if len(moment.parts) > 1 else 1
    year, month = divmod(year * 12 + month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise ValueError(year)
    parts = [year, month + 1, *moment.parts[2:]][: len(moment.parts)]
    if len(parts) > 2:
        parts[2] = min(parts[2], _month_length(year, month + 1))
    return msgspec.structs.replace(moment, parts=tuple(parts))


def _add_clock(moment: Temporal, amount: Decimal, unit: str) -> Temporal | None:
    if unit in ("year", "month", "week", "day"):
        return None
    day = msgspec.structs.replace(moment, kind="DateTime", parts=(2000, 1, 1, *moment.parts))
    moved = add(day, amount, unit)
    return moved and msgspec.structs.replace(moved, kind="Time", parts=moved.parts[3:])
