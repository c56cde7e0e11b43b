"""Chains and reverse chains: what is asked of resources that a candidate leads to, or that lead to it.

A chain starts at its far end where few match there, so that the index drives; otherwise candidates come in
batches, and each batch asks the far end about the resources it names. A contained resource is asked itself.
http://hl7.org/fhir/R4/search.html#chaining and #has
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import msgspec

from hub import r4
from hub.store.backend import Reader
from hub.store.keys import Packed, pack, packed, unpack
from hub.store.search.candidates import Found, filled
from hub.store.search.canonical import Link, by_url, is_canonical, leads, links_of, name_of
from hub.store.search.conditions import Batched, Candidate, Checked, Condition, Equal, Ids, Present
from hub.store.search.including import references
from hub.store.search.query import Asked, Chained, Query, Reverse

MAX_FAR = 1000
"""So many matches at the far end are named to the index; with more, candidates are asked in batches."""
BATCH = 500
MAX_SOURCES = 1000
"""So many resources that refer to a batch are read at a time."""

Find = Callable[[Reader, Query, int], Awaitable[Sequence[Candidate]]]
"""At most so many matches of a query: the search itself, for chains."""
Gather = Callable[[Reader, Query, Find], Awaitable[list[Condition] | None]]

_CONTAINED = r4.hash_reference("#")


class Inner(msgspec.Struct, frozen=True):
    """A contained resource, asked like a stored one."""

    id: str
    keys: bytes
    updated: int
    body: bytes


def far_query(query: Query, one: Chained, ids: Sequence[str] = ()) -> Query:
    """What is asked at the far end of one step, perhaps of these resources only."""
    from hub.store.search.parsing import add  # the parser reads chains, and this is how one is asked

    found = Query(one.type, query.known)
    add(found, one.asked)
    if ids:
        found.ids.append(tuple(ids))
    return found


async def chained(reader: Reader, query: Query, asked: Asked, find: Find, gather: Gather) -> list[Condition]:
    """The conditions of a chain: one that drives, and one that decides."""
    number = asked.parameter.number
    keys: dict[int, None] = {}
    names: set[Link] = set()
    wide: list[Chained] = []
    most = _most(query)
    for one in asked.chain:
        found = await find(reader, far_query(query, one), most + 1)
        if len(keys) + len(names) + len(found) > most:
            wide.append(one)
        elif is_canonical(asked.parameter):
            await bodied(reader, found)
            names |= {name_of(far.body) for far in found} - {("", "")}
        else:
            keys.update(dict.fromkeys(r4.hash_reference(f"{one.type}/{far.id}") for far in found))
    link = _Link(query, asked, frozenset(keys), names, wide, find, gather)
    keys.update(dict.fromkeys(r4.hash_reference(url) for url, _ in names))
    if wide or _nested(asked.parameter):
        return [Present(number), Batched(link.test)]
    return [Equal(number, padded([*keys, _CONTAINED])), Batched(link.test)]


def _most(query: Query) -> int:
    """How many may match at the far end; later pages allow more, so as not to change their way."""
    return MAX_FAR * 4 if query.cursor else MAX_FAR


def _nested(parameter: r4.SearchParameter) -> bool:
    """Whether the parameter holds whole resources instead of references (Bundle.composition)."""
    return any(kind == "Resource" for _, kind, *_ in parameter.plan or ())


class _Link:
    """One step of a chain, decided for candidates."""

    def __init__(
        self,
        query: Query,
        asked: Asked,
        keys: frozenset[int],
        names: set[Link],
        wide: Sequence[Chained],
        find: Find,
        gather: Gather,
    ) -> None:
        self._query, self._asked, self._keys, self._wide = query, asked, keys, wide
        self._names = names
        self._find, self._gather = find, gather
        self._number = asked.parameter.number
        self._inner: dict[str, list[Condition] | None] = {}

    async def test(self, reader: Reader, candidates: Sequence[Candidate]) -> list[bool]:
        """Which of the candidates lead to something that matches."""
        rows = [unpack(one.keys) for one in candidates]
        passed = [self._has_key(one) for one in rows]
        if is_canonical(self._asked.parameter):
            await self._ask_by_url(reader, candidates, passed)
        else:
            for chain in self._wide:
                await self._ask(reader, chain, candidates, rows, passed)
        for place, one in enumerate(candidates):
            if not passed[place] and (
                (self._number, _CONTAINED) in rows[place].equal or _nested(self._asked.parameter)
            ):
                await bodied(reader, [one])
                passed[place] = await self._contained(reader, one)
        return passed

    def _has_key(self, rows: Packed) -> bool:
        return any(param == self._number and key in self._keys for param, key in rows.equal)

    async def _ask(
        self,
        reader: Reader,
        chain: Chained,
        candidates: Sequence[Candidate],
        rows: Sequence[Packed],
        passed: list[bool],
    ) -> None:
        """Ask the far end about the resources that the candidates name."""
        await bodied(reader, [one for one, done in zip(candidates, passed, strict=True) if not done])
        named = {
            place: _targets(reader, self._number, chain.type, one.body, rows[place])
            for place, one in enumerate(candidates)
            if not passed[place]
        }
        ids = sorted(set().union(*named.values()))
        good: set[str] = set()
        for start in range(0, len(ids), BATCH):
            part = ids[start : start + BATCH]
            found = await self._find(reader, far_query(self._query, chain, part), len(part))
            good.update(one.id for one in found)
        for place, targets in named.items():
            passed[place] = not targets.isdisjoint(good)

    async def _ask_by_url(self, reader: Reader, candidates: Sequence[Candidate], passed: list[bool]) -> None:
        """The same of canonical references."""
        await bodied(reader, candidates)
        links = [links_of(self._asked.parameter, one.body) for one in candidates]
        names = set(self._names)
        urls = {url for some in links for url, _ in some}
        for chain in self._wide if urls else ():
            far = by_url(far_query(self._query, chain), urls)
            found = await self._find(reader, far, MAX_SOURCES) if far is not None else ()
            await bodied(reader, found)
            names |= {name_of(one.body) for one in found}
        for place, some in enumerate(links):
            passed[place] = leads(some, names)

    async def _contained(self, reader: Reader, one: Candidate) -> bool:
        """Whether a contained resource that the parameter leads to, or one it holds, matches."""
        for type_name, inner in _inner(self._asked, reader, one.body):
            for chain in self._asked.chain:
                if chain.type == type_name and await self._matches(reader, chain, inner):
                    return True
        return False

    async def _matches(self, reader: Reader, chain: Chained, inner: Inner) -> bool:
        if chain.type not in self._inner:
            far = far_query(self._query, chain)
            self._inner[chain.type] = await self._gather(reader, far, self._find)
        conditions = self._inner[chain.type]
        if conditions is None:
            return False
        return await meets(reader, conditions, inner)


async def meets(reader: Reader, conditions: Sequence[Condition], one: Candidate) -> bool:
    """Whether one resource satisfies every condition."""
    rows = unpack(one.keys)
    for condition in conditions:
        if not condition.match(rows, one.updated):
            return False
        if isinstance(condition, Checked | Ids) and not condition.holds(one, rows):
            return False
        if isinstance(condition, Batched) and not (await condition.test(reader, [one]))[0]:
            return False
    return True


def _inner(asked: Asked, reader: Reader, body: bytes) -> Iterator[tuple[str, Inner]]:
    """(type, resource) of the contained resources that a parameter leads to, or of those it holds."""
    from hub.store.search.recheck import values

    tree = r4.tree(body)
    contained = {one.get("id"): one for one in tree.get("contained", ()) if isinstance(one, dict)}
    for value in values(asked, body):
        if not isinstance(value, dict):
            continue
        if "resourceType" in value:
            yield value["resourceType"], _as_candidate(value, reader)
        else:
            found = contained.get(str(value.get("reference", "")).removeprefix("#"))
            if found is not None and str(value["reference"]).startswith("#"):
                yield found["resourceType"], _as_candidate(found, reader)


def _as_candidate(tree: dict[str, Any], reader: Reader) -> Inner:
    body = r4.untree(tree)
    keys = r4.keys(r4.decode(body, tree["resourceType"]), zone=reader.zone, base_url=reader.base_url)
    return Inner(str(tree.get("id", "")), pack(packed(keys)), 0, body)


def _targets(reader: Reader, number: int, type_name: str, body: bytes, rows: Packed) -> set[str]:
    """The ids of a type that a parameter leads to from one body."""
    return {
        id
        for found, id in references(reader, body)
        if found == type_name and (number, r4.hash_reference(f"{found}/{id}")) in rows.equal
    }


async def reversed_chain(
    reader: Reader, query: Query, reverse: Reverse, find: Find
) -> tuple[list[Condition], set[str] | None]:
    """`_has`: the ids that matching resources lead to, or a condition that asks in batches."""
    if is_canonical(reverse.parameter):
        return [_named_by(query, reverse, find)], None
    source = far_query(query, Chained(reverse.type, reverse.asked))
    most = _most(query)
    found = await find(reader, source, most + 1)
    number, target = reverse.parameter.number, query.type
    if len(found) <= most:
        ids: set[str] = set()
        await bodied(reader, found)
        for one in found:
            ids |= _targets(reader, number, target, one.body, unpack(one.keys))
        return [], ids

    async def test(reader: Reader, candidates: Sequence[Candidate]) -> list[bool]:
        wanted = {one.id for one in candidates}
        good: set[str] = set()
        while wanted:
            source = far_query(query, Chained(reverse.type, reverse.asked))
            keys = [r4.hash_reference(f"{target}/{id}") for id in sorted(wanted)]
            source.given.append(Equal(number, padded(keys)))
            sources = await find(reader, source, MAX_SOURCES)
            await bodied(reader, sources)
            led = set[str]()
            for one in sources:
                led |= _targets(reader, number, target, one.body, unpack(one.keys)) & wanted
            good |= led
            if len(sources) < MAX_SOURCES or not led:
                break
            wanted -= led
        return [one.id in good for one in candidates]

    return [Batched(test)], None


def _named_by(query: Query, reverse: Reverse, find: Find) -> Batched:
    """`_has` through canonical references: candidates are asked by their own URL, in batches."""

    async def test(reader: Reader, candidates: Sequence[Candidate]) -> list[bool]:
        await bodied(reader, candidates)
        names = [name_of(one.body) for one in candidates]
        good: set[Link] = set()
        for url in {url for url, _ in names if url}:
            source = far_query(query, Chained(reverse.type, reverse.asked))
            source.given.append(Equal(reverse.parameter.number, (r4.hash_reference(url),)))
            found = await find(reader, source, MAX_SOURCES)
            await bodied(reader, found)
            links = {link for one in found for link in links_of(reverse.parameter, one.body)}
            good |= {name for name in names if name[0] == url and leads(links, {name})}
        return [name in good for name in names]

    return Batched(test)


async def bodied(reader: Reader, some: Sequence[Candidate]) -> None:
    """Fetch the bodies that are not there yet."""
    await filled(reader, [one for one in some if isinstance(one, Found)])


def padded(keys: list[int]) -> tuple[int, ...]:
    """Repeat the last key up to a power of two, so that few statements serve all lengths."""
    size = 1 << max(len(keys) - 1, 0).bit_length()
    return tuple(keys + keys[-1:] * (size - len(keys))) if keys else ()
