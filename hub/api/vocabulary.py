"""Terminology as this hub knows it: what is stored, then the hub's own tables, then what HL7 publishes.

A stored resource is found by its canonical URL: the newest active version, unless one is named
(http://hl7.org/fhir/R4/references.html#canonical). What was read and worked out is kept until a CodeSystem,
ValueSet or ConceptMap changes, by this process or another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import bindparam, func, select

from hub import r4
from hub.errors import Gone, NotFound, NotSupported
from hub.store import resources
from hub.store.names import type_number
from hub.store.search.planner import parse_query, search
from hub.store.statements import statement
from hub.store.store import Store
from hub.store.tables import type_history
from hub.terminology.compose import Composer, Used
from hub.terminology.source import Layers, Published, Shelf, Source, best, split
from hub.terminology.systems import System
from hub.terminology.translation import Map, Stated

KEPT_CODES = 100_000
"""Codes kept in memory, of code systems and of value sets each."""
KEPT_SETS = 500
_PAGE = "200"
_KINDS = ("CodeSystem", "ValueSet", "ConceptMap")
_SPECIAL = re.compile(r"([\\,|$])")
_STATE = statement(
    select(func.count(), func.max(type_history.c.sequence)).where(type_history.c.type == bindparam("type")),
    ["type"],
)
T = TypeVar("T")


class Kept(Generic[T]):
    """The last used values, as many as weigh `most` together, and always the last one."""

    def __init__(self, most: int, weight: Callable[[T], int]) -> None:
        self._most = most
        self._weight = weight
        self._total = 0
        self._values: dict[Any, T] = {}
        self.age = 0
        """How often everything was forgotten: what was read before that is not kept after it."""

    def get(self, key: Any) -> T | None:
        found = self._values.pop(key, None)
        if found is not None:
            self._values[key] = found
        return found

    def keep(self, key: Any, value: T, age: int) -> T:
        if age != self.age or key in self._values:
            return value
        self._values[key] = value
        self._total += self._weight(value)
        while self._total > self._most and len(self._values) > 1:
            self._total -= self._weight(self._values.pop(next(iter(self._values))))
        return value

    def clear(self) -> None:
        self._values.clear()
        self._total = 0
        self.age += 1


class Stored:
    """Terminology resources in a store; see `hub.terminology.source.Source`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._systems: Kept[System] = Kept(KEPT_CODES, lambda one: len(one.concepts) + 1)
        self._sets: Kept[dict[str, Any]] = Kept(KEPT_SETS, lambda one: 1)
        self._absent: set[tuple[str, ...]] = set()

    async def code_system(self, url: str, version: str = "") -> System | None:
        """See `Source`."""
        found = self._systems.get((url, version))
        if found is None:
            age = self._systems.age
            tree = await self._best("CodeSystem", url, version)
            found = None if tree is None else self._systems.keep((url, version), System(tree), age)
        return found

    async def value_set(self, url: str, version: str = "") -> dict[str, Any] | None:
        """See `Source`."""
        found = self._sets.get((url, version))
        if found is None:
            age = self._sets.age
            tree = await self._best("ValueSet", url, version)
            found = None if tree is None else self._sets.keep((url, version), tree, age)
        return found

    async def concept_map(self, url: str, version: str = "") -> Map | None:
        """See `Source`."""
        found = await self._best("ConceptMap", url, version)
        return None if found is None else Stated(found)

    async def concept_maps(self, system: str, *, reverse: bool = False) -> Sequence[Map]:
        """See `Source`; of one URL the best version only."""
        name = "target-system" if reverse else "source-system"
        by_url: dict[str, list[dict[str, Any]]] = {}
        for number, tree in enumerate(await self._found("ConceptMap", name, system)):
            by_url.setdefault(tree.get("url", f"#{number}"), []).append(tree)
        chosen = (best(many) for many in by_url.values())
        return [Stated(one) for one in chosen if one is not None and one.get("status") != "retired"]

    def clear(self) -> None:
        """Forget everything that was read."""
        self._systems.clear()
        self._sets.clear()
        self._absent.clear()

    async def _best(self, kind: str, url: str, version: str) -> dict[str, Any] | None:
        if not url or (kind, url) in self._absent:
            return None
        age = self._sets.age
        found = [one for one in await self._found(kind, "url", url) if one.get("url") == url]
        if not found and age == self._sets.age and len(self._absent) < KEPT_SETS:
            self._absent.add((kind, url))
        return best(found, version)

    async def _found(self, kind: str, name: str, value: str) -> list[dict[str, Any]]:
        """Every current resource with this value of a uri parameter."""
        asked = [(name, _SPECIAL.sub(r"\\\1", value)), ("_count", _PAGE)]
        trees: list[dict[str, Any]] = []
        cursor: list[tuple[str, str]] = []
        while True:
            page = await search(self._store, parse_query(kind, [*asked, *cursor]))
            trees += [r4.tree(hit.body) for hit in page.entries]
            if page.next is None:
                return trees
            cursor = [("_cursor", page.next)]


class Vocabulary:
    """What the terminology operations ask, and the `Terms` of searches (`hub.store.backend`)."""

    def __init__(self, store: Store, *, base: str = "", tables: Callable[[], Sequence[Map]] = tuple) -> None:
        self._store = store
        self._base = base.rstrip("/")
        self._tables = tables
        self._stored = Stored(store)
        self._worked: Kept[Used] = Kept(KEPT_CODES, lambda one: len(one.members) + 1)
        self._source: Source | None = None
        self._state: object = None

    async def source(self) -> Source:
        """The source as of now."""
        state = [await self._store.rows(_STATE, type_number(kind)) for kind in _KINDS]
        if state != self._state:
            self._stored.clear()
            self._worked.clear()
            self._state = state
        if self._source is None:
            self._source = Layers(self._stored, Shelf(maps=self._tables()), Published())
        return self._source

    async def value_set(self, name: str, version: str = "") -> dict[str, Any]:
        """The value set of a canonical URL (`|version` allowed), `ValueSet/id` or our own URL of one.

        Raises NotFound, Gone.
        """
        return await self._resource("ValueSet", name, version)

    async def canonical(self, name: str) -> str:
        """The canonical URL of a value set by any of its names; the name itself where it is not known."""
        try:
            return str((await self.value_set(name)).get("url", name))
        except NotFound:
            return name

    async def worked(self, value_set: dict[str, Any]) -> Used:
        """Every code of a value set that `value_set` or `instance` gave, kept for the next time."""
        source = await self.source()
        version = (value_set.get("meta") or {}).get("versionId", "")
        key = (*(value_set.get(name, "") for name in ("url", "version", "id")), version)
        found, age = self._worked.get(key), self._worked.age
        return found or self._worked.keep(key, await Composer(source).used(value_set), age)

    async def members(self, value_set: str) -> frozenset[tuple[str, str]]:
        """See `hub.store.backend.Terms`."""
        return frozenset((await self.worked(await self.value_set(value_set))).members)

    async def below(self, system: str, code: str) -> frozenset[str]:
        """See `hub.store.backend.Terms`."""
        found = await self.code_system(system)
        concept = found.find(code)
        return frozenset((code,)) if concept is None else frozenset(found.below(concept.code))

    async def above(self, system: str, code: str) -> frozenset[str]:
        """See `hub.store.backend.Terms`."""
        found = await self.code_system(system)
        concept = found.find(code)
        return frozenset((code,)) if concept is None else frozenset(found.above(concept.code))

    async def code_system(self, url: str, version: str = "") -> System:
        """The code system of a URL; NotFound, or NotSupported where its codes are not here."""
        source = await self.source()
        found = await source.code_system(url, version)
        if found is None:
            if version and await source.code_system(url) is not None:
                raise NotFound(f"version {version} of the code system {url} is not known here")
            raise NotFound(f"the code system {url} is not known here")
        if not found.listed:
            raise NotSupported(f"the codes of {url} are not known here ({found.content})")
        return found

    async def instance(self, kind: str, id: str) -> dict[str, Any]:
        """A stored resource; NotFound, Gone."""
        found = await resources.get(self._store, kind, id)
        if found is None:
            raise NotFound(f"{kind}/{id} does not exist")
        if found.deleted:
            raise Gone(f"{kind}/{id} was deleted")
        return r4.tree(found.body)

    async def _resource(self, kind: str, name: str, version: str) -> dict[str, Any]:
        local = name.removeprefix(f"{self._base}/") if self._base else name
        if local.startswith(f"{kind}/") and local.count("/") == 1:
            return await self.instance(kind, local.partition("/")[2])
        url, stated = split(name)
        source = await self.source()
        found = await source.value_set(url, stated or version)
        if found is None:
            said = f"{url}|{stated or version}" if stated or version else url
            raise NotFound(f"the value set {said} is not known here")
        return found
