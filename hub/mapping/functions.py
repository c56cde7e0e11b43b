"""What mappings add to FHIRPath. Every function takes one text (or number), the run, and constant arguments.

A function that cannot read its input warns and yields nothing, so that one unreadable date does not refuse
a prescription; `number()` refuses, because a vanished amount is worse than a message that is sent again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any

from hub.errors import Misconfigured
from hub.mapping.hl7v2 import Group
from hub.mapping.runtime import RUN, Run, json_number, text_of
from hub.terminology.identifiers import id_card_birth_date, id_card_gender, id_card_is_valid, is_placeholder

Scalar = Callable[..., Any]

_TS = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(\d\d)(?:(\d\d)(?:\.(\d{1,6}))?)?)?)?)?([+-]\d{4})?", re.ASCII
)
_CHINA = re.compile(r"(\d{4})[-/](\d\d?)[-/](\d\d?)(?:[ T]?(\d\d?):(\d\d)(?::(\d\d)(?:\.\d+)?)?)?", re.ASCII)
_PRECISION = {"year": 4, "month": 7, "day": 10}


def offset_of(moment: datetime) -> str:
    """`+08:00`."""
    text = moment.strftime("%z")
    return f"{text[:3]}:{text[3:5]}"


@lru_cache(maxsize=8192)
def _timestamp(text: str, zone: tzinfo) -> str | None:
    match = _TS.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        moment = datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0)
        )
        if hour is None:
            return "-".join(part for part in (year, month, day) if part)
        if offset is None:
            offset = offset_of(moment.replace(tzinfo=zone))
        else:
            offset = f"{offset[:3]}:{offset[3:]}"
            datetime.fromisoformat(f"{year}-{month}-{day}T00:00:00{offset}")
    except ValueError:
        return None
    return moment.isoformat() + (f".{fraction}" if fraction else "") + offset


def date_time(value: str, run: Run, precision: str = "") -> str | None:
    """HL7 TS `YYYYMMDDHHMMSS[.S][+ZZZZ]` as a FHIR dateTime; without an offset in the hub's zone."""
    found = _timestamp(value.strip(), run.zone)
    if found is None:
        run.warn("unreadable-date", "expected a time stamp YYYYMMDDHHMMSS; it was left out")
        return None
    return found[: _PRECISION[precision]] if precision in _PRECISION else found


def date(value: str, run: Run) -> str | None:
    """The date of an HL7 time stamp, or of `yyyy-MM-dd...`, with as much precision as was given."""
    text = value.strip()
    found = _timestamp(text, run.zone)
    if found is None:
        match = _CHINA.match(text)
        found = _china(match[0], run.zone) if match else None
    if found is None:
        run.warn("unreadable-date", "expected a date YYYYMMDD; it was left out")
        return None
    return found[:10]


@lru_cache(maxsize=8192)
def _china(text: str, zone: tzinfo) -> str | None:
    match = _CHINA.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = match.groups()
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=zone
        )
    except ValueError:
        return None
    return (
        moment.date().isoformat()
        if hour is None
        else moment.replace(tzinfo=None).isoformat() + offset_of(moment)
    )


def china_date_time(value: str, run: Run) -> str | None:
    """`yyyy-MM-dd HH:mm:ss` (also without blank) or `yyyyMMddHHmmss[SSS]` as a dateTime in the hub's zone."""
    text = value.strip()
    found = _china(text, run.zone)
    if found is None and text.isascii() and text.isdigit():
        whole, millis = (text[:14], text[14:]) if len(text) > 14 else (text, "")
        found = _timestamp(f"{whole}.{millis}" if millis else whole, run.zone)
    if found is None:
        run.warn("unreadable-date", "expected yyyy-MM-dd HH:mm:ss; it was left out")
    return found


def number(value: str | int | Decimal, run: Run) -> Decimal | int:
    """A JSON number with its digits kept: `105.00` stays `105.00`."""
    return value if isinstance(value, int | Decimal) else json_number(value, run.where)


def local(value: str, run: Run, pattern: str = "yyyy-MM-dd HH:mm:ss") -> str | None:
    """An instant or a date as local text of the hub's zone: yyyy MM dd HH mm ss SSS."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        run.warn("unreadable-date", "expected a FHIR date or time; it was left out")
        return None
    moment = moment.replace(tzinfo=run.zone) if moment.tzinfo is None else moment.astimezone(run.zone)
    parts = {
        "yyyy": f"{moment.year:04}",
        "SSS": f"{moment.microsecond // 1000:03}",
        "MM": f"{moment.month:02}",
        "dd": f"{moment.day:02}",
        "HH": f"{moment.hour:02}",
        "mm": f"{moment.minute:02}",
        "ss": f"{moment.second:02}",
    }
    return re.sub("yyyy|SSS|MM|dd|HH|mm|ss", lambda match: parts[match[0]], pattern)


def pad(value: str | int | Decimal, run: Run, width: int = 0, fill: str = "0") -> str:
    """At least `width` characters, filled from the left."""
    return str(value).rjust(int(width), fill)


def digest(value: str | int | Decimal, run: Run, length: int = 16) -> str:
    """A short deterministic hash: `length` hexadecimal characters (at most 64)."""
    return hashlib.sha256(str(value).encode()).hexdigest()[: int(length)]


def lookup(value: str | int, run: Run, name: str, column: str = "code") -> str | None:
    """What the concept map says about a code: its target code, or another column of the row."""
    target = run.map_named(name).find(str(value))
    if target is None:
        return None
    if column in ("code", "display", "system"):
        return getattr(target, column) or None
    return target.columns.get(column)


def birth_date(value: str, run: Run) -> str | None:
    """The birth date inside a valid resident identity number."""
    return id_card_birth_date(value) if id_card_is_valid(value) else None


def gender(value: str, run: Run) -> str | None:
    """`male` or `female` inside a valid resident identity number."""
    return id_card_gender(value) if id_card_is_valid(value) else None


def usable(value: str, run: Run, check: str = "") -> str | None:
    """The identifier, unless it is a placeholder or fails its check (`id-card`)."""
    text = value.strip()
    if is_placeholder(text) or (check == "id-card" and not id_card_is_valid(text)):
        return None
    return text


def ordinal(value: str | int, run: Run, series: str) -> str:
    """How often this value has now been asked for in this message under that name: `1`, `2` ..."""
    key = (series, str(value))
    run.counts[key] = run.counts.get(key, 0) + 1
    return str(run.counts[key])


SCALARS: dict[str, Scalar] = {
    "dateTime": date_time,
    "date": date,
    "chinaDateTime": china_date_time,
    "number": number,
    "local": local,
    "pad": pad,
    "hash": digest,
    "lookup": lookup,
    "idCardBirthDate": birth_date,
    "idCardGender": gender,
    "ordinal": ordinal,
    "usable": usable,
}
"""Functions over one value, by their name in expressions."""


def _lift(function: Scalar) -> Callable[..., list[Any]]:
    def lifted(items: Sequence[Any], env: Any, *arguments: Sequence[Any]) -> list[Any]:
        run = env[RUN]
        values = [text_of(argument[0]) for argument in arguments if argument]
        found = (function(text_of(item), run, *values) for item in items if text_of(item) is not None)
        return [value for value in found if value is not None]

    return lifted


def _group(items: Sequence[Any], env: Any, start: Sequence[Any]) -> list[Any]:
    return [group for item in items for group in _segments(item).group(str(start[0]))]


def _before(items: Sequence[Any], env: Any, start: Sequence[Any]) -> list[Any]:
    return [_segments(item).before(str(start[0])) for item in items]


def _segments(item: Any) -> Group:
    if not isinstance(item, Group):
        raise Misconfigured("group() and before() work on an HL7 v2 message or on a group of its segments")
    return item


def _holds(condition: Sequence[Any]) -> bool:
    return any(text_of(item) is not False for item in condition)


def _refuse(condition: Sequence[Any], env: Any, *arguments: Sequence[Any]) -> list[Any]:
    if _holds(condition):
        env[RUN].refuse(*(str(text_of(argument[0])) for argument in arguments))
    return []


def _warn(condition: Sequence[Any], env: Any, *arguments: Sequence[Any]) -> list[Any]:
    if _holds(condition):
        env[RUN].warn(*(str(text_of(argument[0])) for argument in arguments))
    return []


CONDITIONAL = frozenset(("refuse", "warn"))
"""What happens if a condition holds; neither yields anything. They are methods of the run, too."""

FUNCTIONS: dict[str, Callable[..., list[Any]]] = {
    **{name: _lift(function) for name, function in SCALARS.items()},
    "before": _before,
    "group": _group,
    "refuse": _refuse,
    "warn": _warn,
}
"""The same for the FHIRPath engine: collections in, collections out."""
