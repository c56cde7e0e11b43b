"""Which codes a value set has: its includes, its imports, less its excludes.

http://hl7.org/fhir/R4/valueset.html#compositions. Within one include everything must hold, several includes
add up. Value sets that include themselves are refused; so is what is larger than `MOST`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from hub.errors import HubError, NotFound, NotSupported, TooCostly, Unworkable
from hub.terminology.filters import selected
from hub.terminology.source import Source, split
from hub.terminology.systems import PARTIAL, Concept, System

MOST = 500_000
"""Codes that may be looked at for one answer."""
MOST_SETS = 500
DEEPEST = 30

Key = tuple[str, str]
"""System and code."""


class Member(msgspec.Struct, frozen=True):
    """One code of a value set. `display` and `designations` are those the value set states itself."""

    system: str
    code: str
    display: str = ""
    version: str = ""
    concept: Concept | None = None
    inactive: bool = False
    abstract: bool = False
    designations: tuple[dict[str, Any], ...] = ()


Members = dict[Key, Member]


class Used(msgspec.Struct, frozen=True):
    """The codes of a value set, and from what they come.

    systems  the code systems, `url|version`
    open     whether one of them does not bring all its codes
    """

    members: Members
    systems: tuple[str, ...] = ()
    open: bool = False


class Versions(msgspec.Struct, frozen=True):
    """Which versions of code systems to use, by URL.

    wanted   where the value set names none
    checked  the same, and the value set must not name another
    forced   whatever the value set names
    """

    wanted: Mapping[str, str] = {}
    checked: Mapping[str, str] = {}
    forced: Mapping[str, str] = {}

    def of(self, system: str, stated: str) -> str:
        """The version of a system to use (empty: the best); Unworkable where one must not be."""
        if system in self.forced:
            return self.forced[system]
        if stated:
            if self.checked.get(system, stated) != stated:
                raise Unworkable(
                    f"the value set names version {stated} of {system}, not the one to check against"
                )
            return stated
        return self.checked.get(system) or self.wanted.get(system, "")


class Composer:
    """Works out one answer."""

    def __init__(self, source: Source, versions: Versions = Versions()) -> None:  # noqa: B008
        self._systems: dict[str, None] = {}
        self._open = False
        self._source = source
        self._versions = versions
        self._known: dict[str, Members] = {}
        self._stack: list[str] = []
        self._looked = 0
        self._sets = 0

    async def used(self, value_set: dict[str, Any]) -> Used:
        """Every code and where it comes from; raises what `members` does."""
        members = await self.members(value_set)
        return Used(members, tuple(self._systems), self._open)

    async def members(self, value_set: dict[str, Any]) -> Members:
        """Every code, in the order of the includes; NotFound or NotSupported for what cannot be listed."""
        name = _canonical(value_set)
        if name and name in self._known:
            return self._known[name]
        with self._inside(name):
            compose = value_set.get("compose")
            found = self._expanded(value_set) if compose is None else await self._composed(compose)
        if name:
            self._known[name] = found
        return found

    async def _composed(self, compose: dict[str, Any]) -> Members:
        found: Members = {}
        for part in compose.get("include", []):
            for key, member in (await self.part(part)).items():
                found.setdefault(key, member)
        for part in compose.get("exclude", []):
            for key in await self.part(part):
                found.pop(key, None)
        if compose.get("inactive") is False:
            found = {key: member for key, member in found.items() if not member.inactive}
        return found

    async def find(self, value_set: dict[str, Any], system: str, code: str) -> Member | None:
        """The member with this code, asking only the parts that can have it; a system of "" is any.

        Raises what stood in the way where nothing else decides, Unworkable where several systems have it.
        """
        compose = value_set.get("compose")
        with self._inside(_canonical(value_set)):
            if compose is None:
                members = self._expanded(value_set).values()
                return _only([one for one in members if one.code == code and system in ("", one.system)])
            found = await self._any(compose.get("include", []), system, code)
            if found is None or (found.inactive and compose.get("inactive") is False):
                return None
            return None if await self._any(compose.get("exclude", []), found.system, found.code) else found

    async def part(self, part: dict[str, Any]) -> Members:
        """The codes of one include or exclude."""
        found: Members | None = None
        if "system" in part:
            found = await self._of_system(part)
        for canonical in part.get("valueSet", []):
            imported = await self.members(await self.value_set(canonical))
            self._count(len(imported))
            if found is None:
                found = dict(imported)
            else:
                found = {key: member for key, member in found.items() if key in imported}
        return found or {}

    async def value_set(self, canonical: str) -> dict[str, Any]:
        """The value set of a canonical URL; NotFound."""
        found = await self._source.value_set(*split(canonical))
        if found is None:
            raise NotFound(f"the value set {canonical} is not known here")
        return found

    async def system(self, url: str, stated: str = "") -> System | None:
        """The code system of a URL in the version to use, noted as used; None where the URL is not known.

        Raises NotFound where only the version is not known.
        """
        version = self._versions.of(url, stated)
        found = await self._source.code_system(url, version)
        if found is not None:
            self._systems.setdefault(found.canonical)
        elif version and await self._source.code_system(url) is not None:
            raise NotFound(f"version {version} of the code system {url} is not known here")
        return found

    async def _any(self, parts: Iterable[dict[str, Any]], system: str, code: str) -> Member | None:
        """The member that any part has; what a part cannot say counts only if no other has it."""
        found: list[Member] = []
        doubt: HubError | None = None
        for part in parts:
            if system and part.get("system", system) != system:
                continue
            try:
                member = await self._in_part(part, system or part.get("system", ""), code)
            except (NotFound, NotSupported) as error:
                doubt = doubt or error
                continue
            if member is not None:
                found.append(member)
                if system:
                    break
        if not found and doubt is not None:
            raise doubt
        return _only(found)

    async def _in_part(self, part: dict[str, Any], system: str, code: str) -> Member | None:
        """The member that everything in one include or exclude has."""
        found: Member | None = None
        if "system" in part:
            members = await self._of_system(part, code)
            known = await self.system(system, part.get("version", ""))
            concept = known.find(code) if known is not None else None
            found = members.get((system, concept.code if concept is not None else code))
            if found is None:
                return None
        for canonical in part.get("valueSet", []):
            imported = await self.find(await self.value_set(canonical), system, code)
            if imported is None:
                return None
            found = found or imported
        return found

    async def _of_system(self, part: dict[str, Any], code: str | None = None) -> Members:
        """What a part has of its code system; of one code only, where that is all that is asked."""
        url = part["system"]
        if part.get("withheld"):
            raise NotSupported(
                f"the codes of {url} in this value set carry a copyright notice and are not shipped"
            )
        system = await self.system(url, part.get("version", ""))
        if "concept" in part:
            return self._stated(part, system)
        if system is None:
            raise NotFound(f"the code system {url} is not known here")
        if not system.listed:
            raise NotSupported(f"the codes of {url} cannot be listed here ({system.content})")
        self._open = self._open or system.content in PARTIAL
        filters = part.get("filter", [])
        concepts: Iterable[Concept] = system.concepts.values()
        if code is not None:
            one = system.find(code)
            concepts = [] if one is None else [one]
        else:
            self._count(len(system.concepts))
        if filters:
            concepts = selected(system, filters, concepts)
        stated = part.get("version", "")
        return {(url, each.code): _member(system, each, stated) for each in concepts}

    def _stated(self, part: dict[str, Any], system: System | None) -> Members:
        """The codes a value set lists itself, less those that a complete code system does not have."""
        url, version = part["system"], part.get("version", "")
        self._count(len(part["concept"]))
        found: Members = {}
        for one in part["concept"]:
            code, display = one.get("code", ""), one.get("display", "")
            designations = tuple(one.get("designation", ()))
            concept = system.find(code) if system is not None else None
            if system is None or concept is None:
                if system is None or not system.complete:
                    found[url, code] = Member(url, code, display, version, designations=designations)
                continue
            found[url, concept.code] = _member(system, concept, version, display, designations)
        return found

    def _expanded(self, value_set: dict[str, Any]) -> Members:
        """The codes of a value set that has an expansion and no definition."""
        found: Members = {}
        waiting = list(reversed((value_set.get("expansion") or {}).get("contains", [])))
        while waiting:
            one = waiting.pop()
            waiting += reversed(one.get("contains", []))
            if "code" in one and "system" in one:
                found[one["system"], one["code"]] = Member(
                    one["system"],
                    one["code"],
                    one.get("display", ""),
                    one.get("version", ""),
                    inactive=one.get("inactive", False),
                    abstract=one.get("abstract", False),
                    designations=tuple(one.get("designation", ())),
                )
        self._count(len(found))
        return found

    @contextmanager
    def _inside(self, name: str) -> Iterator[None]:
        """While a value set is worked out, it must not be met again."""
        if name and name in self._stack:
            raise Unworkable(f"the value set {name} includes itself")
        self._sets += 1
        if len(self._stack) >= DEEPEST or self._sets > MOST_SETS:
            raise TooCostly(f"the value set includes others more than {DEEPEST} deep or {MOST_SETS} in all")
        depth = len(self._stack)
        self._stack.append(name)
        try:
            yield
        finally:
            del self._stack[depth:]

    def _count(self, number: int) -> None:
        self._looked += number
        if self._looked > MOST:
            raise TooCostly(f"more than {MOST} codes would have to be looked at")


def _only(found: list[Member]) -> Member | None:
    if len({one.system for one in found}) > 1:
        raise Unworkable("several code systems of the value set have this code: say which is meant")
    return found[0] if found else None


def _canonical(value_set: dict[str, Any]) -> str:
    url, version = value_set.get("url", ""), value_set.get("version", "")
    return f"{url}|{version}" if url and version else url


def _member(
    system: System,
    concept: Concept,
    version: str = "",
    display: str = "",
    designations: tuple[dict[str, Any], ...] = (),
) -> Member:
    return Member(
        system.url,
        concept.code,
        display,
        version,
        concept,
        system.inactive(concept),
        system.abstract(concept),
        designations,
    )
