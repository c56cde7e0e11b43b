"""A search as asked: parameters checked against R4 and kept by name (http://hl7.org/fhir/R4/search.html)."""

from __future__ import annotations

import msgspec

from hub import r4
from hub.errors import Issue, NotSupported
from hub.store.parameters import R4, Parameters

DEFAULT_COUNT = 20


class InvalidSearch(NotSupported):
    """A search parameter, modifier or value that is wrong or not offered: 400."""


class Asked(msgspec.Struct, frozen=True):
    """One criterion: any of `values`, escapes still in them; `chain` asks something of targets, by type."""

    parameter: r4.SearchParameter
    modifier: str
    values: tuple[str, ...]
    chain: tuple[Chained, ...] = ()


class Chained(msgspec.Struct, frozen=True):
    """`subject:Patient.name=x`: the target type and what is asked of it."""

    type: str
    asked: Asked


class Include(msgspec.Struct, frozen=True):
    """`_include` or `_revinclude`: source type, parameter (None: all), wanted target type ("": any)."""

    source: str
    parameter: r4.SearchParameter | None
    target: str = ""


class Query(msgspec.Struct):
    """What is asked. `used` are the parameters that took effect, `ignored` what lenient handling left out.

    `sort` is "", `_lastUpdated` or `-_lastUpdated`; `count` 0 asks for the total only.
    """

    type: str
    known: Parameters = R4
    asked: list[Asked] = []
    ids: list[tuple[str, ...]] = []
    updated: list[tuple[str, ...]] = []
    includes: list[Include] = []
    revincludes: list[Include] = []
    count: int = DEFAULT_COUNT
    sort: str = ""
    total: bool = False
    cursor: str = ""
    used: list[tuple[str, str]] = []
    ignored: list[Issue] = []


def wrong(name: str, why: str, code: str = "invalid") -> InvalidSearch:
    """The error for one parameter; never quotes its value."""
    return InvalidSearch(issues=[Issue(code=code, diagnostics=f"{name[:80]}: {why}", expression=name[:80])])
