"""Whether a code is in a value set or a code system, and what is known of a code.

http://hl7.org/fhir/R4/valueset-operation-validate-code.html,
http://hl7.org/fhir/R4/codesystem-operation-lookup.html, .../codesystem-operation-subsumes.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from hub.errors import HubError, NotFound, NotSupported
from hub.terminology import words
from hub.terminology.compose import Composer, Member
from hub.terminology.systems import PROPERTIES, Concept, System

_UNSUBSUMED = ("grouped-by", "part-of")
"""Hierarchies from which no subsumption follows (hierarchyMeaning)."""


class Code(msgspec.Struct, frozen=True):
    """What is to be judged."""

    code: str
    system: str = ""
    version: str = ""
    display: str = ""


class Verdict(msgspec.Struct):
    """`message` says why not, or what to note; `display` is the one to show."""

    result: bool
    message: str = ""
    display: str = ""


class Rules(msgspec.Struct, frozen=True):
    """abstract: whether concepts that only group others count (None: they do, and it is said)."""

    abstract: bool | None = None
    language: str = ""


async def in_value_set(composer: Composer, value_set: dict[str, Any], asked: Code, rules: Rules) -> Verdict:
    """Whether a value set has a code, with the display given for it."""
    name = value_set.get("url") or "given"
    try:
        member = await composer.find(value_set, asked.system, asked.code)
    except HubError as error:
        return Verdict(False, f"it cannot be decided whether the value set {name} has the code: {error}")
    if member is None:
        where = f" of the code system {asked.system}" if asked.system else ""
        return Verdict(False, f"the value set {name} does not have the code{where}")
    return judged(member, asked, rules)


async def in_code_system(system: System, asked: Code, rules: Rules) -> Verdict:
    """Whether a code system has a code, with the display given for it."""
    if asked.system and asked.system != system.url:
        return Verdict(False, f"the coding is of another code system than {system.url}")
    if asked.version and asked.version != system.version:
        return Verdict(False, f"version {asked.version} of the code system {system.url} is not known here")
    concept = system.find(asked.code)
    if concept is not None:
        return judged(_member(system, concept), asked, rules)
    if system.complete:
        return Verdict(False, f"the code system {system.canonical} does not have the code")
    return Verdict(False, f"the code is not among those known of {system.canonical} ({system.content})")


def judged(member: Member, asked: Code, rules: Rules) -> Verdict:
    """The verdict over a code that is there: its display, and whether it may be chosen."""
    display = words.shown(member, rules.language)
    if member.abstract and rules.abstract is False:
        return Verdict(False, "the code is abstract: it groups others and is not to be used itself", display)
    if asked.display and words.names(member) and not words.called(member, asked.display):
        return Verdict(False, "the display given is none of this code; see display", display)
    notes = []
    if member.inactive:
        notes.append("the code is inactive")
    if member.abstract and rules.abstract is None:
        notes.append("the code is abstract")
    return Verdict(True, "; ".join(notes), display)


def _member(system: System, concept: Concept) -> Member:
    inactive, abstract = system.inactive(concept), system.abstract(concept)
    return Member(system.url, concept.code, concept=concept, inactive=inactive, abstract=abstract)


def looked_up(
    system: System, code: str, *, language: str = "", properties: list[str]
) -> list[dict[str, Any]]:
    """What is known of a code, as parameters; NotFound."""
    concept = system.find(code)
    if concept is None:
        raise NotFound(f"the code system {system.canonical} does not have the code")
    wanted = set(properties)
    found: list[dict[str, Any]] = [{"name": "name", "valueString": system.name}]
    if system.version:
        found.append({"name": "version", "valueString": system.version})
    display = words.display_of(concept, language) or concept.code
    found.append({"name": "display", "valueString": display})
    found += [_designation(one) for one in concept.designations if _asked(one, wanted)]
    found += [
        {"name": "property", "part": parts}
        for name, parts in _properties(system, concept)
        if not wanted or name in wanted
    ]
    return found


def _asked(designation: dict[str, Any], wanted: set[str]) -> bool:
    language = designation.get("language", "")
    return not wanted or "designation" in wanted or f"lang.{language}" in wanted


def _designation(one: dict[str, Any]) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    if "language" in one:
        parts.append({"name": "language", "valueCode": one["language"]})
    if "use" in one:
        parts.append({"name": "use", "valueCoding": one["use"]})
    parts.append({"name": "value", "valueString": one.get("value", "")})
    return {"name": "designation", "part": parts}


def _properties(system: System, concept: Concept) -> list[tuple[str, list[dict[str, Any]]]]:
    found: list[tuple[str, list[dict[str, Any]]]] = []
    if system.url:
        found.append(("url", [_code("url"), {"name": "value", "valueUri": system.url}]))
    if concept.definition:
        value = {"name": "value", "valueString": concept.definition}
        found.append(("definition", [_code("definition"), value]))
    for name, codes in (("parent", concept.parents), ("child", concept.children)):
        for code in codes:
            parts = [_code(name), {"name": "value", "valueCode": code}]
            display = system.concepts[code].display
            found.append(
                (name, [*parts, *([{"name": "description", "valueString": display}] if display else [])])
            )
    for name, member, value in concept.properties:
        if system.properties.get(name, "") not in _HIERARCHY and name not in ("parent", "child"):
            found.append((name, [_code(name), {"name": "value", member: value}]))
    if system.inactive(concept) and not any(name == "inactive" for name, _ in found):
        found.append(("inactive", [_code("inactive"), {"name": "value", "valueBoolean": True}]))
    return found


_HIERARCHY = (PROPERTIES + "parent", PROPERTIES + "child")


def _code(name: str) -> dict[str, Any]:
    return {"name": "code", "valueCode": name}


def subsumption(system: System, one: str, other: str) -> str:
    """`equivalent`, `subsumes`, `subsumed-by` or `not-subsumed`; NotFound for a code that is not there."""
    a, b = system.find(one), system.find(other)
    if a is None or b is None:
        raise NotFound(f"the code system {system.canonical} does not have code{'B' if a else 'A'}")
    if a is b:
        return "equivalent"
    if system.meaning in _UNSUBSUMED:
        raise NotSupported(f"no subsumption follows from a hierarchy that is {system.meaning} ({system.url})")
    if b.code in system.below(a.code):
        return "subsumes"
    return "subsumed-by" if b.code in system.above(a.code) else "not-subsumed"
