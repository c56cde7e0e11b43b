"""The patients of a Group, as it was at the transaction time of an export.

http://hl7.org/fhir/R4/group.html: members that are inactive, or whose period is another one, are none; a
member that is a Group stands for its own members.
"""

from __future__ import annotations

from typing import Any

from hub import r4
from hub.store import reading
from hub.store.backend import Reader

MOST_GROUPS = 1000


async def patients_of(
    reader: Reader, group: str, *, moment: int, sequence: int = reading.MAX
) -> frozenset[str] | None:
    """The ids of its patients; None when there was no such Group at this place in commit order.

    moment  microseconds: what the periods of members are compared with
    """
    first = await _body(reader, group, sequence)
    if first is None:
        return None
    patients: set[str] = set()
    groups = [group]
    for id in groups:
        body = first if id == group else await _body(reader, id, sequence)
        for type_name, member in _members(reader, body, moment) if body is not None else ():
            if type_name == "Patient":
                patients.add(member)
            elif type_name == "Group" and member not in groups and len(groups) < MOST_GROUPS:
                groups.append(member)
    return frozenset(patients)


async def _body(reader: Reader, id: str, sequence: int) -> bytes | None:
    found = await reading.history(reader, "Group", id, before=sequence + 1, count=1)
    return found[0].body if found and not found[0].deleted else None


def _members(reader: Reader, body: bytes, moment: int) -> list[tuple[str, str]]:
    """(type, id) of those that belong to it at a moment (microseconds)."""
    found = []
    for member in r4.tree(body).get("member", []):
        if member.get("inactive") is True or not _during(member.get("period"), reader, moment):
            continue
        name = r4.local_reference(member.get("entity", {}).get("reference", ""), reader.base_url)
        type_name, _, id = name.partition("/_history/")[0].partition("/")
        found.append((type_name, id))
    return found


def _during(period: dict[str, Any] | None, reader: Reader, moment: int) -> bool:
    period = period or {}
    start, end = period.get("start"), period.get("end")
    if start and r4.date_range(start, reader.zone)[0] > moment:
        return False
    return not end or r4.date_range(end, reader.zone)[1] >= moment
