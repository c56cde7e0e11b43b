"""`_include` and `_revinclude`: what a page's matches refer to, and what refers to them.

Hop by hop, each in a few queries however many resources take part; `:iterate` goes on from what was included
until nothing new comes. http://hl7.org/fhir/R4/search.html#include
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import msgspec

from hub import r4
from hub.errors import Issue
from hub.store import reading
from hub.store.backend import Reader
from hub.store.keys import Packed, unpack
from hub.store.names import type_number
from hub.store.parameters import Parameters
from hub.store.search.drivers import driven
from hub.store.search.query import Include, Query
from hub.store.search.walks import Walk

MAX_INCLUDED = 1000
_REFERENCE = re.compile(rb'"reference"\s*:\s*("(?:[^"\\]|\\.)*")')
_string = msgspec.json.Decoder(str)


class Node(msgspec.Struct, frozen=True):
    """A resource of a page; `updated` in microseconds, `keys` its packed rows."""

    type: str
    id: str
    version: int
    updated: int
    keys: bytes
    body: bytes


class _Canonical(msgspec.Struct):
    url: str = ""
    version: str = ""


_canonical = msgspec.json.Decoder(_Canonical)


class Included(msgspec.Struct):
    """What is added to a page; `issues` say so when there was more than may be added."""

    nodes: list[Node] = []
    issues: tuple[Issue, ...] = ()


async def included(reader: Reader, query: Query, matches: Sequence[Node]) -> Included:
    """Resources to add to a page, each once and none that is a match already."""
    if not matches or not (query.includes or query.revincludes):
        return Included()
    gathering = _Gathering(reader, query, matches)
    frontier: list[Node] = list(matches)
    first = True
    while frontier and not gathering.full:
        frontier = await gathering.hop(frontier, first)
        first = False
    issues = (_cut(),) if gathering.full else ()
    return Included(gathering.found, issues)


def _cut() -> Issue:
    text = (
        f"more than {MAX_INCLUDED} resources to include with this page, so some are missing; "
        "ask for fewer matches (_count) or include less"
    )
    return Issue(severity="warning", code="incomplete", diagnostics=text)


class _Gathering:
    """What was found so far."""

    def __init__(self, reader: Reader, query: Query, matches: Sequence[Node]) -> None:
        self.reader, self.query = reader, query
        self.found: list[Node] = []
        self.full = False
        self._seen = {(one.type, one.id) for one in matches}
        self._versions = {(one.type, one.id, one.version) for one in matches}

    async def hop(self, frontier: Sequence[Node], first: bool) -> list[Node]:
        """One step from these resources; what is new."""
        includes = [one for one in self.query.includes if first or one.iterate]
        back = [one for one in self.query.revincludes if first or one.iterate]
        names: dict[tuple[str, str], None] = {}
        exact: dict[tuple[str, str, int], None] = {}
        urls: dict[tuple[str, str], None] = {}
        for one in frontier if includes else ():
            self._forward(one, includes, names, exact, urls)
        new = await self._fetch(names)
        new += await self._versioned(exact)
        new += await self._by_url(urls)
        for include in back:
            new += await self._back(include, frontier)
        return new

    def _add(self, nodes: Iterable[Node]) -> list[Node]:
        """Those that are new, as far as there is room."""
        new = []
        for one in nodes:
            if (one.type, one.id) in self._seen:
                continue
            if len(self.found) >= MAX_INCLUDED:
                self.full = True
                break
            self._seen.add((one.type, one.id))
            self._versions.add((one.type, one.id, one.version))
            self.found.append(one)
            new.append(one)
        return new

    def _forward(
        self,
        one: Node,
        includes: Sequence[Include],
        names: dict[tuple[str, str], None],
        exact: dict[tuple[str, str, int], None],
        urls: dict[tuple[str, str], None],
    ) -> None:
        """What one resource refers to: by name, by version, by canonical URL."""
        rows: Packed | None = None
        for include in includes:
            if include.source not in ("", one.type):
                continue
            rows = rows or unpack(one.keys)
            parameters = _parameters(self.query.known, one.type, include)
            numbers = [parameter.number for parameter in parameters]
            for type_name, id, version in references_of(self.reader, one.body):
                if include.target in ("", type_name) and _leads(rows, numbers, type_name, id):
                    if version:
                        exact[type_name, id, version] = None
                    else:
                        names[type_name, id] = None
            for parameter in parameters:
                for url in _canonicals(parameter, one.body):
                    targets = (include.target,) if include.target else parameter.targets or r4.TYPES
                    urls.update(dict.fromkeys((target, url) for target in targets))

    async def _fetch(self, names: Iterable[tuple[str, str]]) -> list[Node]:
        """Resources by name: one query for each type."""
        by_type: dict[str, list[str]] = {}
        for type_name, id in names:
            if (type_name, id) not in self._seen:
                by_type.setdefault(type_name, []).append(id)
        new: list[Node] = []
        for type_name, ids in by_type.items():
            for start in range(0, len(ids), 256):
                walk = Walk("ids", (type_number(type_name), *ids[start : start + 256]))
                new += self._add(await _walked(self.reader, type_name, walk, MAX_INCLUDED))
        return new

    async def _versioned(self, exact: Iterable[tuple[str, str, int]]) -> list[Node]:
        """Versions that references name; where they name the current one, it is the resource itself."""
        new: list[Node] = []
        for type_name, id, number in exact:
            if (type_name, id, number) in self._versions:
                continue
            stored = await reading.version(self.reader, type_name, id, number)
            if stored is None or stored.deleted:
                continue
            if len(self.found) >= MAX_INCLUDED:
                self.full = True
                break
            self._versions.add((type_name, id, number))
            node = Node(type_name, id, number, stored.updated, b"", stored.body)
            current = await reading.get(self.reader, type_name, id)
            if current is not None and current.version == number:
                new += await self._fetch([(type_name, id)])
            else:
                self.found.append(node)
        return new

    async def _by_url(self, urls: Iterable[tuple[str, str]]) -> list[Node]:
        """Resources by canonical URL: of the version that is named, else the one changed last."""
        new: list[Node] = []
        for type_name, canonical in urls:
            parameter = self.query.known.find(type_name, "url")
            if parameter is None:
                continue
            url, _, version = canonical.partition("|")
            walk = Walk("equal", (parameter.number, r4.hash_uri(url)), descending=True)
            nodes = [
                one
                for one in await _walked(self.reader, type_name, walk, MAX_INCLUDED)
                if _named(one.body, url, version)
            ]
            newest = sorted(nodes, key=lambda one: one.updated, reverse=True)
            new += self._add(newest if version else newest[:1])
        return new

    async def _back(self, include: Include, frontier: Sequence[Node]) -> list[Node]:
        """What refers to these resources: one query for each parameter."""
        targets = [one for one in frontier if include.target in ("", one.type)]
        new: list[Node] = []
        for parameter in _parameters(self.query.known, include.source, include):
            keys = [r4.hash_reference(f"{one.type}/{one.id}") for one in targets]
            urls = dict(_urls(targets)) if _is_canonical(parameter) else {}
            keys += [r4.hash_reference(url) for url in urls]
            if not keys:
                continue
            walk = Walk("equal", (parameter.number, *dict.fromkeys(keys)), descending=True)
            nodes = await _walked(self.reader, include.source, walk, MAX_INCLUDED + len(self._seen) + 1)
            if urls:
                nodes = [one for one in nodes if _refers(parameter, one.body, urls)]
            new += self._add(nodes)
        return new


async def _walked(reader: Reader, type_name: str, walk: Walk, limit: int) -> list[Node]:
    made, args = driven(walk)
    width = walk.width
    found = []
    for row in await reader.rows(made, *args, limit):
        _, id, keys, updated, _, version, body = row[width:]
        found.append(Node(type_name, id, version, updated, keys, bytes(body)))
    return found


def references(reader: Reader, body: bytes) -> Iterator[tuple[str, str]]:
    """(type, id) of every relative reference in a body."""
    return ((type_name, id) for type_name, id, _ in references_of(reader, body))


def references_of(reader: Reader, body: bytes) -> Iterator[tuple[str, str, int]]:
    """(type, id, version) of every reference in a body to a resource of ours; version 0: the current one."""
    base = reader.base_url
    for raw in _REFERENCE.findall(body):
        text = _string.decode(raw)
        if base and text.startswith(base + "/"):
            text = text[len(base) + 1 :]
        name, _, number = text.partition("/_history/")
        type_name, _, id = name.partition("/")
        if id and "/" not in id and type_name in r4.TYPES:
            yield type_name, id, int(number) if number.isascii() and number.isdigit() else 0


def _leads(rows: Packed, numbers: Sequence[int], type_name: str, id: str) -> bool:
    key = r4.hash_reference(f"{type_name}/{id}")
    return any((number, key) in rows.equal for number in numbers)


def _parameters(known: Parameters, type_name: str, include: Include) -> list[r4.SearchParameter]:
    """The parameter of an include, or every reference of the type."""
    if include.parameter is not None:
        return [include.parameter]
    return [one for one in known.of(type_name) if one.type == "reference" and one.plan is not None]


def _is_canonical(parameter: r4.SearchParameter) -> bool:
    return any(len(plan) > 1 and plan[1] == "canonical" for plan in parameter.plan or ())


def _canonicals(parameter: r4.SearchParameter, body: bytes) -> list[str]:
    """The canonical URLs that a parameter finds in a body."""
    if not _is_canonical(parameter):
        return []
    return [one for one in _expression(parameter.expression)(r4.tree(body)) if isinstance(one, str)]


@cache
def _expression(text: str) -> Any:
    from hub import fhirpath  # loaded when a canonical reference is first followed

    return fhirpath.compile(text)


def _named(body: bytes, url: str, version: str) -> bool:
    found = _canonical.decode(body)
    return found.url == url and version in ("", found.version)


def _urls(nodes: Sequence[Node]) -> Iterator[tuple[str, None]]:
    """How canonical references may name these resources."""
    for one in nodes:
        found = _canonical.decode(one.body)
        if found.url:
            yield found.url, None
            if found.version:
                yield f"{found.url}|{found.version}", None


def _refers(parameter: r4.SearchParameter, body: bytes, urls: dict[str, None]) -> bool:
    """Whether a canonical reference names one of these exactly, or a Reference does (whose URL is none)."""
    found = _canonicals(parameter, body)
    return not found or any(one in urls for one in found)
