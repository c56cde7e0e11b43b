"""What a concept is called: displays, designations and languages.

http://hl7.org/fhir/R4/codesystem-definitions.html#CodeSystem.concept.designation
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hub import r4
from hub.terminology.compose import Member
from hub.terminology.systems import Concept

LANGUAGES = "urn:ietf:bcp:47"


def display_of(concept: Concept, language: str = "") -> str:
    """The display of a concept, in a language if it has one."""
    return (_in(language, concept.designations) if language else "") or concept.display


def shown(member: Member, language: str = "") -> str:
    """The display of a member: in the language asked for, else as the value set states it."""
    if language:
        found = _in(language, member.designations)
        if not found and member.concept is not None:
            found = _in(language, member.concept.designations)
        if found:
            return found
    return member.display or (member.concept.display if member.concept is not None else "")


def designations(member: Member) -> list[dict[str, Any]]:
    """Every other word for a member."""
    return [*member.designations, *(member.concept.designations if member.concept is not None else ())]


def names(member: Member) -> set[str]:
    """Everything a member may be called, folded for comparing."""
    words = [member.display, *(one.get("value", "") for one in designations(member))]
    if member.concept is not None:
        words.append(member.concept.display)
    return {_plain(word) for word in words if word}


def called(member: Member, display: str) -> bool:
    """Whether a display is one of its names; case and spaces do not count."""
    return _plain(display) in names(member)


def contains(member: Member, pieces: Sequence[str]) -> bool:
    """Whether every folded piece occurs in its code or one of its names."""
    text = "\n".join((r4.fold(member.code), *map(r4.fold, names(member))))
    return all(piece in text for piece in pieces)


def fits(designation: dict[str, Any], tokens: Iterable[str]) -> bool:
    """Whether a designation has one of these languages or uses (`system|code`)."""
    use = designation.get("use") or {}
    language = designation.get("language", "")
    for token in tokens:
        system, bar, code = token.partition("|")
        if not bar:
            system, code = "", token
        if language and system in ("", LANGUAGES) and _same_language(language, code):
            return True
        if use.get("code") == code and system in ("", use.get("system", "")):
            return True
    return False


def _in(language: str, found: Iterable[dict[str, Any]]) -> str:
    for one in found:
        if "language" in one and _same_language(one["language"], language):
            return str(one.get("value", ""))
    return ""


def _same_language(stated: str, wanted: str) -> bool:
    """`zh-CN` is Chinese; who asks for `zh-CN` takes `zh`, too."""
    one, other = stated.lower().split("-"), wanted.lower().split("-")
    size = min(len(one), len(other))
    return one[:size] == other[:size]


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
