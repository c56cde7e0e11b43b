"""Times and numbers as ranges: from the first to the last moment, or value, that a text can mean.

http://hl7.org/fhir/R4/search.html#date and #number
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Context, Decimal
from functools import lru_cache
from math import inf, nextafter

from hub.clock import to_micros

MIN_MICROS = -62_135_596_800_000_000
MAX_MICROS = 253_402_300_799_999_999
"""Open ends of a period: the first and the last microsecond of the years 1 to 9999."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000
_EXACT = Context(prec=400)
"""More digits than a double can tell apart, so that the ends are rounded only once."""


def _micros(moment: datetime) -> int:
    try:
        return to_micros(moment)
    except OverflowError:
        return MIN_MICROS if moment.year < 5000 else MAX_MICROS


@lru_cache(4096)
def date_range(text: str, zone: tzinfo) -> tuple[int, int]:
    """(first, last) microsecond, UTC, both inclusive, of a date, dateTime or instant.

    A text without an offset is taken in `zone`. ValueError if it is none of the three.

    >>> from datetime import UTC
    >>> date_range("1970", UTC)
    (0, 31535999999999)
    """
    length = len(text)
    if length > 10:
        return _instant_range(text, zone)
    if length not in (4, 7, 10) or text[4:5] not in ("", "-"):
        raise ValueError("no date: expected 2026, 2026-02 or 2026-02-01")
    if length == 10:
        start = datetime(int(text[:4]), int(text[5:7]), int(text[8:]), tzinfo=zone)
        try:
            after = start + timedelta(days=1)
        except OverflowError:
            return _micros(start), MAX_MICROS
        return _micros(start), _micros(after) - 1
    year = int(text[:4])
    month = int(text[5:7]) if length == 7 else 0
    start = datetime(year, month or 1, 1, tzinfo=zone)
    if month and month < 12:
        return _micros(start), _micros(datetime(year, month + 1, 1, tzinfo=zone)) - 1
    if year == 9999:
        return _micros(start), MAX_MICROS
    return _micros(start), _micros(datetime(year + 1, 1, 1, tzinfo=zone)) - 1


def _instant_range(text: str, zone: tzinfo) -> tuple[int, int]:
    moment = 0
    if text[17:19] == "60":  # a leap second counts as the one before it, and one more
        text, moment = f"{text[:17]}59{text[19:]}", _SECOND
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=zone)
    moment += _micros(parsed)
    if text[16:17] != ":":  # minutes only, as a search value may be
        return moment, moment + 60 * _SECOND - 1
    if text[19:20] != ".":
        return moment, moment + _SECOND - 1
    digits = 0
    for character in text[20:]:
        if not character.isdigit():
            break
        digits += 1
    return moment, moment + (10 ** max(6 - digits, 0)) - 1


def number_range(text: str) -> tuple[float, float]:
    """(low, high), both inclusive, of a number in a search: half a unit of its last digit on either side, the
    upper end itself excluded. Whatever equals the number lies inside, however many digits it has.

    A single digit with a positive exponent counts as two (`1e2` as `1.0e2`): the page says [95, 105).
    ValueError if it is no number.

    >>> number_range("100")
    (99.5, 100.49999999999999)
    >>> number_range("1.00e2")
    (99.5, 100.49999999999999)
    >>> number_range("1e2")
    (95.0, 104.99999999999999)
    """
    try:
        number = _EXACT.create_decimal(text)
        exponent = number.as_tuple().exponent
        if not isinstance(exponent, int):
            raise ValueError("no number")
        if exponent > 0 and len(number.as_tuple().digits) == 1:
            exponent -= 1
        half = Decimal(5).scaleb(exponent - 1, _EXACT)
        value = float(number)
        low, high = float(_EXACT.subtract(number, half)), float(_EXACT.add(number, half))
    except ArithmeticError:
        raise ValueError("no number within range") from None
    return min(low, value), max(nextafter(high, -inf), value)
