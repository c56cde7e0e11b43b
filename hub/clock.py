"""The one source of time: microseconds since the epoch, UTC. Tests hand in their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], int]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> int:
    """The wall clock in microseconds."""
    return time.time_ns() // 1000


def to_datetime(micros: int) -> datetime:
    """An aware UTC datetime, exact to the microsecond."""
    return _EPOCH + timedelta(microseconds=micros)


def to_micros(moment: datetime) -> int:
    """The inverse of `to_datetime`; the datetime must be aware."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def instant(micros: int) -> str:
    """A FHIR instant with milliseconds: `2026-02-01T01:00:00.000Z` (http://hl7.org/fhir/R4/datatypes.html#instant)."""
    seconds, rest = divmod(micros, 1_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 1000:03d}Z"
