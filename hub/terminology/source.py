"""Where code systems, value sets and concept maps come from, and which of several versions is taken.

`Source` is what the operations ask; `Shelf` holds resources in memory, `Published` is what HL7 publishes
with R4, `Layers` asks one after the other. http://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from hub.r4 import terms
from hub.terminology.systems import System
from hub.terminology.translation import Map, Stated

KEPT = 48
_RANK = {"active": 3, "draft": 2, "unknown": 1, "retired": 0}
_PARTS = re.compile(r"\d+|\D+")


class Source(Protocol):
    """Each answers None, or nothing, for what is not known here; an empty version means the best one."""

    async def code_system(self, url: str, version: str = "") -> System | None:
        """The code system of a canonical URL."""
        ...

    async def value_set(self, url: str, version: str = "") -> dict[str, Any] | None:
        """The value set of a canonical URL, as plain JSON."""
        ...

    async def concept_map(self, url: str, version: str = "") -> Map | None:
        """The concept map of a canonical URL."""
        ...

    async def concept_maps(self, system: str, *, reverse: bool = False) -> Sequence[Map]:
        """Every concept map that maps from (`reverse`: to) a code system."""
        ...


def split(canonical: str) -> tuple[str, str]:
    """`url|version` → both; the version may be empty (http://hl7.org/fhir/R4/datatypes.html#canonical)."""
    url, _, version = canonical.partition("|")
    return url, version


def best(found: Iterable[dict[str, Any]], version: str = "") -> dict[str, Any] | None:
    """Of resources with one URL: the one of that version, else the newest that is active."""
    fitting = [one for one in found if not version or one.get("version", "") == version]
    return max(fitting, key=_order, default=None)


def _order(tree: dict[str, Any]) -> tuple[Any, ...]:
    parts = [
        (1, int(part), "") if part.isascii() and part.isdigit() and len(part) < 19 else (0, 0, part)
        for part in _PARTS.findall(tree.get("version", ""))
    ]
    changed = (tree.get("meta") or {}).get("lastUpdated", "")
    return (_RANK.get(tree.get("status", ""), 0), parts, tree.get("date", ""), changed)


class Shelf:
    """Resources in memory."""

    def __init__(self, resources: Iterable[dict[str, Any]] = (), maps: Iterable[Map] = ()) -> None:
        self._resources: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for one in resources:
            self._resources.setdefault((one["resourceType"], one.get("url", "")), []).append(one)
        stated = (
            Stated(one) for (kind, _), many in self._resources.items() for one in many if kind == "ConceptMap"
        )
        self._maps: list[Map] = [*maps, *stated]

    async def code_system(self, url: str, version: str = "") -> System | None:
        """See `Source`."""
        found = best(self._resources.get(("CodeSystem", url), []), version)
        return System(found) if found is not None else None

    async def value_set(self, url: str, version: str = "") -> dict[str, Any] | None:
        """See `Source`."""
        return best(self._resources.get(("ValueSet", url), []), version)

    async def concept_map(self, url: str, version: str = "") -> Map | None:
        """See `Source`."""
        found = [one for one in self._maps if one.url == url and version in ("", one.version)]
        return found[-1] if found else None

    async def concept_maps(self, system: str, *, reverse: bool = False) -> Sequence[Map]:
        """See `Source`."""
        return [one for one in self._maps if system in (one.targets if reverse else one.sources)]


class Published:
    """What HL7 publishes with R4; read at first use, the last few code systems kept."""

    def __init__(self) -> None:
        self._systems: OrderedDict[str, System] = OrderedDict()
        self._maps: list[Map] | None = None

    async def code_system(self, url: str, version: str = "") -> System | None:
        """See `Source`."""
        found = self._systems.pop(url, None)
        if found is None:
            tree = terms.published("CodeSystem", url)
            if tree is None:
                return None
            found = System(tree)
        self._systems[url] = found
        if len(self._systems) > KEPT:
            self._systems.popitem(last=False)
        return found if version in ("", found.version) else None

    async def value_set(self, url: str, version: str = "") -> dict[str, Any] | None:
        """See `Source`."""
        found = terms.published("ValueSet", url)
        return found if found is not None and version in ("", found.get("version", "")) else None

    async def concept_map(self, url: str, version: str = "") -> Map | None:
        """See `Source`."""
        found = terms.published("ConceptMap", url)
        return Stated(found) if found is not None and version in ("", found.get("version", "")) else None

    async def concept_maps(self, system: str, *, reverse: bool = False) -> Sequence[Map]:
        """See `Source`."""
        if self._maps is None:
            trees = (terms.published("ConceptMap", url) for url in terms.published_urls("ConceptMap"))
            self._maps = [Stated(tree) for tree in trees if tree is not None]
        return [one for one in self._maps if system in (one.targets if reverse else one.sources)]


class Layers:
    """The first source that knows a resource counts; concept maps are of them all."""

    def __init__(self, *sources: Source) -> None:
        self._sources = sources

    async def code_system(self, url: str, version: str = "") -> System | None:
        """See `Source`."""
        for one in self._sources:
            found = await one.code_system(url, version)
            if found is not None:
                return found
        return None

    async def value_set(self, url: str, version: str = "") -> dict[str, Any] | None:
        """See `Source`."""
        for one in self._sources:
            found = await one.value_set(url, version)
            if found is not None:
                return found
        return None

    async def concept_map(self, url: str, version: str = "") -> Map | None:
        """See `Source`."""
        for one in self._sources:
            found = await one.concept_map(url, version)
            if found is not None:
                return found
        return None

    async def concept_maps(self, system: str, *, reverse: bool = False) -> Sequence[Map]:
        """See `Source`; a URL counts once, where it is found first."""
        found: dict[str, Map] = {}
        for one in self._sources:
            for each in await one.concept_maps(system, reverse=reverse):
                found.setdefault(each.url or str(id(each)), each)
        return list(found.values())
