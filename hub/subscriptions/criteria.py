"""Criteria of a Subscription: `Type?parameters`, read as the search they are
(http://hl7.org/fhir/R4/subscription-definitions.html#Subscription.criteria), and matched with one resource.

What a resource's own index rows decide is decided on them, without the database; the rest (chains, _has,
value sets, exact text ...) is asked of the search with the resource's id.
"""

from __future__ import annotations

from datetime import tzinfo
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from hub import r4
from hub.errors import Issue
from hub.store.backend import Tx
from hub.store.parameters import Parameters
from hub.store.resources import Written
from hub.store.search.conditions import Equal, Ids, Keyed, Range, Text
from hub.store.search.criteria import conditions_of
from hub.store.search.planner import parse_query, search_ids
from hub.store.search.query import InvalidSearch, Query, wrong
from hub.store.statements import Statement

_PLAIN = frozenset({"", "missing", "not", *r4.TYPES})
"""Modifiers that index rows alone decide."""
_OWN = frozenset({"_id", "_tag", "_profile", "_security", "_source"})
_BY_ROWS = (Equal, Text, Range, Keyed, Ids)
_IDLE = frozenset(
    {"_format", "_pretty", "_summary", "_elements", "_count", "_sort", "_total", "_include", "_revinclude"}
)
"""They say how a result is shown, and select nothing."""


class Criteria(msgspec.Struct, frozen=True):
    """`conditions` decide on index rows; None: the search decides. `never`: nothing can match."""

    query: Query
    conditions: tuple[Equal | Text | Range | Keyed | Ids, ...] | None = None
    never: bool = False

    async def match(self, tx: Tx, change: Written) -> bool:
        """Whether the new state of a resource meets them."""
        if self.never or change.type != self.query.type:
            return False
        if self.conditions is not None and change.rows is not None:
            rows, updated = change.rows, change.updated
            return all(change.id in ids for ids in self.query.ids) and all(
                one.match(rows, updated) for one in self.conditions
            )
        asked = msgspec.structs.replace(self.query, ids=[*self.query.ids, (change.id,)])
        return bool(await search_ids(tx, asked, 1))


def parse(text: str, known: Parameters, base: str = "") -> Query:
    """The search that criteria are. `base` is our own FHIR base, which may stand before them.

    Raises InvalidSearch with every issue.
    """
    type_name, _, query = _relative(text.strip(), base).partition("?")
    if type_name not in r4.TYPES:
        what = "expected Type?parameters with a resource type of FHIR R4"
        raise InvalidSearch(issues=[Issue(code="value", diagnostics=what)])
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError as error:
        what = "expected at most 100 parameters in percent-encoded UTF-8"
        raise InvalidSearch(issues=[Issue(code="value", diagnostics=what)]) from error
    if any(name == "_cursor" for name, _ in pairs):
        raise wrong("_cursor", "a page selects nothing", "not-supported")
    wanted = [(name, value) for name, value in pairs if name.partition(":")[0] not in _IDLE]
    return parse_query(type_name, wanted, known=known)


async def compiled(query: Query, zone: tzinfo, base: str) -> Criteria:
    """Criteria ready to be matched."""
    if not all(_plain(name, value) for name, value in query.used):
        return Criteria(query)
    try:
        conditions = await conditions_of(_Blind(zone, base), query, _nobody)
    except _Asked:
        return Criteria(query)
    if conditions is None:
        return Criteria(query, never=True)
    sure = [one for one in conditions if isinstance(one, _BY_ROWS)]
    return Criteria(query, tuple(sure) if len(sure) == len(conditions) else None)


def _relative(text: str, base: str) -> str:
    return text.removeprefix(base).lstrip("/") if base and text.startswith(base + "/") else text.lstrip("/")


def _plain(name: str, value: str) -> bool:
    """Whether index rows alone decide: no chain, no look-up, nothing that depends on the time of asking."""
    code, _, modifier = name.partition(":")
    return (
        "." not in name
        and modifier in _PLAIN
        and (not code.startswith("_") or code in _OWN)
        and not any(part.startswith("ap") for part in value.split(","))
    )


class _Asked(Exception):
    """Something wanted to be looked up after all."""


class _Blind:
    """A reader that has nothing to read."""

    postgres = False

    def __init__(self, zone: tzinfo, base_url: str) -> None:
        self.zone = zone
        self.base_url = base_url

    async def rows(self, statement: Statement, *args: Any) -> list[tuple[Any, ...]]:
        raise _Asked


async def _nobody(*_: Any) -> list[Any]:
    raise _Asked
