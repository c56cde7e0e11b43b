"""What a set of resources refers to, and what that refers to, without anybody else's data.

For `$everything`: "any resource referenced from those, including binaries"
(http://hl7.org/fhir/R4/patient-operation-everything.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from hub import r4
from hub.api import body as bodies
from hub.store import compartments, resources
from hub.store.backend import Reader
from hub.store.compartments import Member

MOST = 10_000
_LINK = re.compile(rb'"(?:reference|url)"\s*:\s*("(?:[^"\\]|\\.)*")')
_string = msgspec.json.Decoder(str).decode

Name = tuple[str, str]
"""Type and id."""


class Closure:
    """Collects members; `referenced` gives what they lead to.

    patients  ids of those whose data this is: what refers to another Patient is somebody else's
    """

    def __init__(self, reader: Reader, patients: frozenset[str]) -> None:
        self._reader = reader
        self._patients = patients
        self._members: set[Name] = set()
        self._wanted: dict[Name, None] = {}

    def add(self, member: Member) -> None:
        """One resource that belongs to the patients."""
        self._members.add((member.type, member.id))
        for name in links(self._reader, member.body):
            self._wanted[name] = None

    async def referenced(self) -> list[Member]:
        """By number: every resource that is no member and that a chain of references leads to."""
        found: list[Member] = []
        seen = set(self._members)
        wanted = [name for name in self._wanted if name not in seen]
        while wanted and len(found) < MOST:
            seen.update(wanted)
            step = [one for one in await compartments.named(self._reader, wanted) if self._ours(one)]
            found += step
            wanted = list(
                dict.fromkeys(
                    name for one in step for name in links(self._reader, one.body) if name not in seen
                )
            )
        return sorted(found, key=lambda one: one.pid)

    def _ours(self, one: Member) -> bool:
        if one.type == "Patient":
            return one.id in self._patients
        return all(id in self._patients for kind, id in links(self._reader, one.body) if kind == "Patient")


def links(reader: Reader, body: bytes) -> Iterator[Name]:
    """(type, id) of everything a body refers to on this server; of URLs, the Binaries."""
    for raw in _LINK.findall(body):
        text = _string(raw)
        if reader.base_url:
            text = r4.local_reference(text, reader.base_url)
        type_name, _, id = text.partition("#")[0].partition("/_history/")[0].partition("/")
        if type_name in r4.TYPES and bodies.is_id(id):
            yield type_name, id


async def patients_of(reader: Reader, compartment: str, focus: Sequence[str]) -> frozenset[str]:
    """Whose data a compartment is: the patients themselves, or those of the encounters."""
    if compartment == "Patient":
        return frozenset(focus)
    found: set[str] = set()
    for id in focus:
        stored = await resources.get(reader, compartment, id)
        if stored is not None:
            found.update(name for kind, name in links(reader, stored.body) if kind == "Patient")
    return frozenset(found)
