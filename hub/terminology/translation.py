"""Translating a code by concept maps, forwards and backwards.

http://hl7.org/fhir/R4/conceptmap.html, http://hl7.org/fhir/R4/conceptmap-operation-translate.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from hub.errors import NotFound, Unworkable

NO_MATCH = frozenset({"unmatched", "disjoint"})
"""Equivalences that say there is no translation."""
FURTHEST = 10
"""Maps that may be asked one after the other through `unmapped`."""
_BACKWARDS = {
    "wider": "narrower",
    "narrower": "wider",
    "subsumes": "specializes",
    "specializes": "subsumes",
}


class Match(msgspec.Struct, frozen=True):
    """One possible translation. `concept` is a Coding, empty where the map says that there is none;
    `products` are further (property, Coding); `source` is the canonical URL of the map."""

    equivalence: str
    concept: dict[str, Any]
    source: str
    products: tuple[tuple[str, dict[str, Any]], ...] = ()


class Dependency(msgspec.Struct, frozen=True):
    """The value of another element: its codings, as (system, code)."""

    element: str
    codings: frozenset[tuple[str, str]]


class Needed(msgspec.Struct):
    """What one translation collects beside its matches: elements it would have to know."""

    elements: list[str] = []


Find = Callable[[str], Awaitable["Map | None"]]


class Map(Protocol):
    """One concept map.

    sources, targets  the code systems it maps from and to;  scopes  the value sets (source, target)
    """

    url: str
    version: str
    sources: frozenset[str]
    targets: frozenset[str]
    scopes: tuple[str, str]

    def forward(self, system: str, code: str, known: Sequence[Dependency], needed: Needed) -> list[Match]:
        """What a code is mapped to; nothing where the map does not name it."""
        ...

    def unmapped(self, system: str, code: str) -> Iterator[Match | str]:
        """What the map says of a code that it does not name: a match, or another map's URL."""
        ...

    def backward(self, system: str, code: str) -> list[Match]:
        """What is mapped to a code."""
        ...

    def tree(self) -> dict[str, Any]:
        """The ConceptMap as plain JSON."""
        ...


async def translated(
    one: Map, system: str, code: str, known: Sequence[Dependency], needed: Needed, find: Find
) -> list[Match]:
    """What a map, and the maps it leaves to others, make of a code.

    Raises NotFound for another map that is not known, Unworkable where maps go round in a circle.
    """
    asked: set[str] = set()
    waiting = [one]
    found: list[Match] = []
    while waiting:
        current = waiting.pop()
        if current.url in asked or len(asked) > FURTHEST:
            raise Unworkable(f"the concept map {current.url} leads back to itself")
        asked.add(current.url)
        matches = current.forward(system, code, known, needed)
        for each in [] if matches else current.unmapped(system, code):
            if isinstance(each, Match):
                matches.append(each)
                continue
            other = await find(each)
            if other is None:
                raise NotFound(f"the concept map {each} is not known here")
            waiting.append(other)
        found += matches
    return found


class Stated:
    """A ConceptMap resource."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self._tree = tree
        self.url: str = tree.get("url", "")
        self.version: str = tree.get("version", "")
        self._groups: list[dict[str, Any]] = tree.get("group", [])
        self.sources = frozenset(one["source"] for one in self._groups if "source" in one)
        self.targets = frozenset(one["target"] for one in self._groups if "target" in one)
        self.scopes = (
            tree.get("sourceUri") or tree.get("sourceCanonical") or "",
            tree.get("targetUri") or tree.get("targetCanonical") or "",
        )
        self._name = f"{self.url}|{self.version}" if self.url and self.version else self.url

    def forward(self, system: str, code: str, known: Sequence[Dependency], needed: Needed) -> list[Match]:
        """See `Map`."""
        return [
            self._match(group, target)
            for group in self._from(system)
            for element in group.get("element", [])
            if element.get("code") == code
            for target in element.get("target", [])
            if _depends(target, known, needed)
        ]

    def unmapped(self, system: str, code: str) -> Iterator[Match | str]:
        """See `Map`; http://hl7.org/fhir/R4/conceptmap-definitions.html#ConceptMap.group.unmapped"""
        for group in self._from(system):
            rule = group.get("unmapped") or {}
            if any(element.get("code") == code for element in group.get("element", [])):
                continue
            if rule.get("mode") == "other-map" and rule.get("url"):
                yield rule["url"]
            elif rule.get("mode") == "provided":
                yield self._match(group, {"code": code, "equivalence": "relatedto"})
            elif rule.get("mode") == "fixed" and rule.get("code"):
                yield self._match(group, {**rule, "equivalence": "relatedto"})

    def backward(self, system: str, code: str) -> list[Match]:
        """See `Map`."""
        found = []
        for group in self._groups:
            if system and group.get("target", system) != system:
                continue
            for element in group.get("element", []):
                for target in element.get("target", []):
                    if target.get("code") == code:
                        found.append(Match(*_turned(group, element, target), self._name))
        return found

    def tree(self) -> dict[str, Any]:
        """See `Map`."""
        return self._tree

    def _from(self, system: str) -> list[dict[str, Any]]:
        return [one for one in self._groups if one.get("source", system) == system]

    def _match(self, group: dict[str, Any], target: dict[str, Any]) -> Match:
        products = tuple(
            (
                one.get("property", ""),
                coding(one.get("system", ""), "", one.get("value", ""), one.get("display", "")),
            )
            for one in target.get("product", [])
        )
        concept = coding(
            group.get("target", ""),
            group.get("targetVersion", ""),
            target.get("code", ""),
            target.get("display", ""),
        )
        return Match(target.get("equivalence", ""), concept, self._name, products)


def _depends(target: dict[str, Any], known: Sequence[Dependency], needed: Needed) -> bool:
    """Whether what a target depends on is known to hold; what is not known is noted."""
    for rule in target.get("dependsOn", []):
        element = rule.get("property", "")
        said = [one for one in known if one.element == element]
        if not said:
            needed.elements.append(element)
            return False
        system, value = rule.get("system", ""), rule.get("value", "")
        if not any(
            code == value and (not system or system == own) for one in said for own, code in one.codings
        ):
            return False
    return True


def _turned(
    group: dict[str, Any], element: dict[str, Any], target: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    concept = coding(
        group.get("source", ""),
        group.get("sourceVersion", ""),
        element.get("code", ""),
        element.get("display", ""),
    )
    return turn(target.get("equivalence", "")), concept


def turn(equivalence: str) -> str:
    """The equivalence seen from the other side."""
    return _BACKWARDS.get(equivalence, equivalence)


def coding(system: str, version: str, code: str, display: str) -> dict[str, Any]:
    """A Coding; empty without a code."""
    if not code:
        return {}
    return present({"system": system, "version": version, "code": code, "display": display})


def present(values: dict[str, str]) -> dict[str, Any]:
    """What is not empty."""
    return {name: value for name, value in values.items() if value}
