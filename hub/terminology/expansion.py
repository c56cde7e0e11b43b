"""A value set written out: http://hl7.org/fhir/R4/valueset-operation-expand.html"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from hub import r4
from hub.errors import TooCostly
from hub.terminology import words
from hub.terminology.compose import Key, Member, Used

LARGEST = 10_000
"""Codes in one answer; more are fetched with `offset` and `count`."""
UNCLOSED = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"
_LEFT_OUT = frozenset({"compose", "expansion", "text", "contained"})


class Wanted(msgspec.Struct, kw_only=True):
    """What an expansion is to show.

    text          must occur in code or names, word by word
    offset, count the page; a count of None is everything
    designations  whether to show them; `uses` shows only those of these languages or uses (`system|code`)
    definition    whether the compose goes along
    nested        codes below the codes that subsume them
    selectable    leave out concepts that only group others
    without       canonical URLs of code systems to leave out
    """

    text: str = ""
    offset: int = 0
    count: int | None = None
    designations: bool = False
    uses: Sequence[str] = ()
    definition: bool = False
    active: bool = False
    nested: bool = False
    selectable: bool = False
    language: str = ""
    without: Sequence[str] = ()


def kept(used: Used, wanted: Wanted) -> list[Member]:
    """The members that the parameters leave, in their order."""
    pieces = [piece for piece in r4.fold(wanted.text).split() if piece]
    without = {_url(one, used) for one in wanted.without}
    return [
        one
        for one in used.members.values()
        if not (wanted.active and one.inactive)
        and not (wanted.selectable and one.abstract)
        and one.system not in without
        and (not pieces or words.contains(one, pieces))
    ]


def expanded(
    value_set: dict[str, Any],
    used: Used,
    wanted: Wanted,
    *,
    identifier: str,
    timestamp: str,
    parameters: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """The ValueSet with its expansion; TooCostly for a page of more than `LARGEST` codes."""
    left = kept(used, wanted)
    nested = wanted.nested and wanted.count is None and not wanted.offset
    page = left if wanted.count is None else left[wanted.offset : wanted.offset + wanted.count]
    if wanted.count is None:
        page = left[wanted.offset :]
    if len(page) > LARGEST:
        raise TooCostly(
            f"the expansion has {len(page)} codes: ask for pages with offset and count ({LARGEST})"
        )
    expansion: dict[str, Any] = {
        "identifier": identifier,
        "timestamp": timestamp,
        "total": len(left),
        "offset": wanted.offset,
    }
    if used.open:
        expansion = {"extension": [{"url": UNCLOSED, "valueBoolean": True}], **expansion}
    stated = [{"name": "version", "valueUri": one} for one in used.systems]
    if parameters or stated:
        expansion["parameter"] = [*parameters, *stated]
    rows = _nest(page, wanted) if nested else [_row(one, wanted) for one in page]
    if rows:
        expansion["contains"] = rows
    shown = {
        name: value for name, value in value_set.items() if name not in _LEFT_OUT or _defines(name, wanted)
    }
    return {"resourceType": "ValueSet", **shown, "expansion": expansion}


def _defines(name: str, wanted: Wanted) -> bool:
    return name == "compose" and wanted.definition


def _url(canonical: str, used: Used) -> str:
    """The system to leave out; one with another version than the one used stays."""
    url, _, version = canonical.partition("|")
    return url if not version or canonical in used.systems else ""


def _row(member: Member, wanted: Wanted) -> dict[str, Any]:
    row: dict[str, Any] = {"system": member.system}
    if member.abstract:
        row["abstract"] = True
    if member.inactive:
        row["inactive"] = True
    if member.version:
        row["version"] = member.version
    row["code"] = member.code
    display = words.shown(member, wanted.language)
    if display:
        row["display"] = display
    if wanted.designations or wanted.uses:
        found = [one for one in words.designations(member) if not wanted.uses or words.fits(one, wanted.uses)]
        if found:
            row["designation"] = found
    return row


def _nest(page: list[Member], wanted: Wanted) -> list[dict[str, Any]]:
    """Each code below the first parent that is here, too."""
    rows: dict[Key, dict[str, Any]] = {(one.system, one.code): _row(one, wanted) for one in page}
    top: list[dict[str, Any]] = []
    placed: dict[Key, Key] = {}
    for one in page:
        key = (one.system, one.code)
        parents = one.concept.parents if one.concept is not None else ()
        parent = next(
            ((one.system, code) for code in parents if _free(placed, (one.system, code), key, rows)), None
        )
        if parent is None:
            top.append(rows[key])
        else:
            placed[key] = parent
            rows[parent].setdefault("contains", []).append(rows[key])
    return top


def _free(placed: dict[Key, Key], parent: Key, child: Key, rows: dict[Key, dict[str, Any]]) -> bool:
    """Whether a parent is here and not itself below the child."""
    if parent not in rows:
        return False
    above: Key | None = parent
    while above is not None:
        if above == child:
            return False
        above = placed.get(above)
    return True
