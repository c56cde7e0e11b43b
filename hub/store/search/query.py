"""A search as asked: parameters checked against R4 and kept by name (http://hl7.org/fhir/R4/search.html)."""

from __future__ import annotations

from typing import Literal

import msgspec

from hub import r4
from hub.errors import Issue, NotSupported
from hub.store.parameters import R4, Parameters
from hub.store.search.conditions import Condition

DEFAULT_COUNT = 20


class InvalidSearch(NotSupported):
    """A search parameter, modifier or value that is wrong or not offered: 400."""


class Unknown(InvalidSearch):
    """A search parameter there is not: what lenient handling leaves out."""


class Asked(msgspec.Struct, frozen=True, eq=False):
    """One criterion: any of `values`, escapes still in them.

    chain    asks something of what the parameter leads to, by type
    reverse  asks something of what leads here (`_has`)
    """

    parameter: r4.SearchParameter
    modifier: str
    values: tuple[str, ...]
    chain: tuple[Chained, ...] = ()
    reverse: Reverse | None = None


class Chained(msgspec.Struct, frozen=True, eq=False):
    """`subject:Patient.name=x`: the target type and what is asked of it."""

    type: str
    asked: Asked


class Reverse(msgspec.Struct, frozen=True, eq=False):
    """`_has:Observation:patient:code=x`: the type that refers, by which parameter, what is asked of it."""

    type: str
    parameter: r4.SearchParameter
    asked: Asked


class Include(msgspec.Struct, frozen=True, eq=False):
    """`_include` or `_revinclude`: source type, parameter (None: all), wanted target type; "" is any type.

    `iterate`: also from what was included.
    """

    source: str
    parameter: r4.SearchParameter | None
    target: str = ""
    iterate: bool = False


class Order(msgspec.Struct, frozen=True, eq=False):
    """One key of `_sort`: a parameter, or `_id` and `_lastUpdated`, which have none."""

    code: str
    parameter: r4.SearchParameter | None = None
    descending: bool = False


class Query(msgspec.Struct):
    """What is asked. `used` are the parameters that took effect, `ignored` what lenient handling left out.

    `given` are conditions that are known already (a compartment, a side condition of a chain).
    `count` 0 asks for the total only. `summary` is "", `true`, `text` or `data`; `elements` are those wanted.
    `contained` says whether contained resources are looked at, and `only_contained` whether they themselves
    are the result, instead of what contains them.
    """

    type: str
    known: Parameters = R4
    asked: list[Asked] = []
    given: list[Condition] = []
    ids: list[tuple[str, ...]] = []
    updated: list[tuple[str, ...]] = []
    includes: list[Include] = []
    revincludes: list[Include] = []
    count: int = DEFAULT_COUNT
    sort: list[Order] = []
    total: bool = False
    cursor: str = ""
    summary: str = ""
    elements: tuple[str, ...] = ()
    contained: Literal["false", "true", "both"] = "false"
    only_contained: bool = False
    used: list[tuple[str, str]] = []
    ignored: list[Issue] = []

    @property
    def selects(self) -> bool:
        """Whether any criterion is asked, so that it is not simply everything."""
        return bool(self.asked or self.given or self.ids or self.updated)


def wrong(
    name: str, why: str, code: str = "invalid", kind: type[InvalidSearch] = InvalidSearch
) -> InvalidSearch:
    """The error for one parameter; never quotes its value."""
    return kind(issues=[Issue(code=code, diagnostics=f"{name[:80]}: {why}", expression=name[:80])])
