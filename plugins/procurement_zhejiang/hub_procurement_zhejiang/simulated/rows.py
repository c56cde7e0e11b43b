"""How the simulated platform writes: the members of every transaction, its numbers, its dates.

`fields.tsv` lists them (facts tabulated from gaigeshen/tripartite @f6d78fe, Apache-2.0). A question
with a member that is not there, or of another type, is refused; an answer row carries exactly the
listed members, null where the platform knows nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from importlib.resources import files
from typing import Any

from hub.clock import to_datetime

CHINA = timezone(timedelta(hours=8))


class Refused(Exception):
    """The platform says no; the text is its returnMsg."""


_TYPES: dict[str, Callable[[Any], bool]] = {
    "String": lambda value: isinstance(value, str),
    "Integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "BigDecimal": lambda value: isinstance(value, int | Decimal) and not isinstance(value, bool),
}


@lru_cache(maxsize=1)
def fields() -> dict[tuple[str, str, str], dict[str, str]]:
    """Members and types by (transaction, `in` or `out`, level)."""
    table: dict[tuple[str, str, str], dict[str, str]] = {}
    text = files(__package__).joinpath("fields.tsv").read_text("utf-8")
    for line in text.splitlines()[1:]:
        infno, _, side, level, name, kind = line.split("\t")
        table.setdefault((infno, side, level), {})[name] = kind
    return table


def strictly(infno: str, data: dict[str, Any], level: str = "root") -> None:
    """Refuse members that the transaction does not have, and values of another type."""
    known = fields()[infno, "in", level]
    for name, value in data.items():
        if name not in known:
            raise Refused(f"{infno}: 未知字段 {name}")
        if value is None:
            continue
        if known[name].startswith("Collection"):
            if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
                raise Refused(f"{infno}: {name} 须为列表")
            for row in value:
                strictly(infno, row, "ListItem")
        elif not _TYPES[known[name]](value):
            raise Refused(f"{infno}: {name} 类型须为 {known[name]}")


def shaped(infno: str, row: dict[str, Any], level: str = "ListItem") -> dict[str, Any]:
    """The row with every member of its transaction, in the table's order."""
    known = fields()[infno, "out", level]
    assert row.keys() <= known.keys(), row.keys() - known.keys()
    return {name: row.get(name) for name in known}


def money(value: Any) -> Decimal:
    """An amount with two decimals."""
    return Decimal(value).quantize(Decimal("0.01"), ROUND_HALF_UP)


def local(micros: int) -> str:
    """`yyyy-MM-dd HH:mm:ss` in China."""
    return to_datetime(micros).astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def local_or_null(micros: int) -> str | None:
    """The same; null for what has not happened."""
    return local(micros) if micros else None


def whole(number: Decimal) -> int | Decimal:
    """A count without a needless fraction: 60, and 2.5 where it is one."""
    return int(number) if number == number.to_integral_value() else number
