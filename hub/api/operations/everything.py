"""$everything of a Patient and of an Encounter: their compartment and what it refers to.

http://hl7.org/fhir/R4/patient-operation-everything.html, encounter-operation-everything.html

Members of the compartment come first, by number, then what they refer to. A page goes on after a number, so
that nothing comes twice and nothing that stays is left out while data changes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec

from hub import r4
from hub.api import body as bodies
from hub.api import bundle
from hub.api.exchange import Answer, Api, Ask, Offered, Parameters
from hub.api.operations.closure import Closure, patients_of
from hub.api.outcome import BadRequest
from hub.api.parameters import Given, given, wrong
from hub.errors import Gone, Issue, NotFound
from hub.store import compartments, resources
from hub.store.compartments import Member

MAX_PATIENTS = 200
WHOLE = 10_000
"""Entries of an answer for which no `_count` was asked; the rest follows by `next`."""
MAX_COUNT = 1000
_READ = 500
_NAMES = frozenset({"start", "end", "_since", "_type", "_count", "_cursor"})
_BORN = frozenset({"Patient", "Person", "RelatedPerson"})
"""Their main date is a birth date, which is no date of care."""


class _Asked(msgspec.Struct):
    """What to give. Times in microseconds; `after` (part, number): the last one of the page before."""

    types: frozenset[str] = frozenset()
    since: int = 0
    start: float = r4.MIN_MICROS
    end: float = r4.MAX_MICROS
    count: int | None = None
    part: int = 0
    after: int = 0

    def shows(self, one: Member) -> bool:
        return (not self.types or one.type in self.types) and one.updated >= self.since

    def cares(self, one: Member) -> bool:
        """Whether it falls into the dates of care; what has no date does."""
        if one.type in _BORN:
            return True
        found = compartments.dates(one)
        return not found or any(lo <= self.end and hi >= self.start for lo, hi in found)


async def everything(api: Api, ask: Ask) -> Answer:
    """200 with a searchset; 404 and 410 for the resource it is asked of."""
    parameters = given(ask)
    asked = _read(api, ask, parameters)
    focus = await _focus(api, ask)
    limit = asked.count if asked.count is not None else WHOLE
    entries: list[bytes] = []
    last: tuple[int, int] | None = None
    more = False
    matches = 0
    async for part, one in _all(api, ask.type, focus, asked):
        if len(entries) == limit:
            more = True
            break
        last = (part, one.pid)
        matches += part == 0
        entries.append(bundle.hit(api.base, one.type, one.id, one.body, ("match", "include")[part]))
    path = "/".join(segment for segment in (ask.type, ask.id, "$everything") if segment)
    used = _used(parameters)
    links = [("self", bundle.link(api.base, path, used))]
    if more and last is not None:
        cursor = ("_cursor", f"{last[0]}.{last[1]}")
        links.append(("next", bundle.link(api.base, path, [*_without_cursor(used), cursor])))
    whole = not (more or asked.part or asked.after)
    return Answer(body=bundle.document("searchset", entries, links=links, total=matches if whole else None))


async def _all(
    api: Api, compartment: str, focus: Sequence[str], asked: _Asked
) -> AsyncIterator[tuple[int, Member]]:
    """(0, member of the compartment), then (1, what those refer to), from the cursor on."""
    closure = Closure(api.reader, await patients_of(api.reader, compartment, focus))
    begin = asked.after if asked.part == 0 else 0
    async for one in _members(api, compartment, focus, begin):
        if asked.cares(one):
            closure.add(one)
            if asked.part == 0 and asked.shows(one):
                yield 0, one
    async for one in _members(api, compartment, focus, 0, begin):  # what earlier pages gave refers, too
        if asked.cares(one):
            closure.add(one)
    for one in await closure.referenced():
        if (asked.part == 0 or one.pid > asked.after) and asked.shows(one):
            yield 1, one


async def _members(
    api: Api, compartment: str, focus: Sequence[str], after: int, until: int | None = None
) -> AsyncIterator[Member]:
    """The members with numbers above `after`, up to `until`."""
    while focus and (until is None or after < until):
        page = await compartments.members(api.reader, compartment, focus, after=after, count=_READ)
        for one in page:
            if until is None or one.pid <= until:
                yield one
        if len(page) < _READ:
            return
        after = page[-1].pid


async def _focus(api: Api, ask: Ask) -> list[str]:
    """The ids whose compartments are asked for, links of patients followed."""
    if ask.id:
        stored = await resources.get(api.reader, ask.type, ask.id)
        if stored is None:
            raise NotFound(f"{ask.type}/{ask.id} is not known")
        if stored.deleted:
            raise Gone(f"{ask.type}/{ask.id} was deleted; its versions are at {ask.type}/{ask.id}/_history")
        return await _linked(api, ask.id) if ask.type == "Patient" else [ask.id]
    found = await compartments.ids_of(api.reader, ask.type, MAX_PATIENTS + 1)
    if len(found) > MAX_PATIENTS:
        text = f"there are more than {MAX_PATIENTS} patients; ask for one of them, or use Patient/$export"
        raise BadRequest(issues=[Issue(code="too-costly", diagnostics=text)])
    return found


async def _linked(api: Api, id: str) -> list[str]:
    """A Patient and every Patient that `Patient.link` ties to it, in either direction, however far."""
    link = r4.search_parameter("Patient", "link")
    found = [id]
    for one in found:
        if len(found) > MAX_PATIENTS:
            break
        stored = await resources.get(api.reader, "Patient", one)
        names = _links(api, stored.body) if stored is not None and not stored.deleted else []
        if link is not None:
            names += await compartments.linked(api.reader, link.number, f"Patient/{one}")
        found += [name for name in dict.fromkeys(names) if name not in found]
    return found[:MAX_PATIENTS]


def _links(api: Api, patient: bytes) -> list[str]:
    names = []
    for link in r4.tree(patient).get("link", []):
        target = r4.local_reference(link.get("other", {}).get("reference", ""), api.base)
        type_name, _, id = target.partition("/_history/")[0].partition("/")
        if type_name == "Patient" and bodies.is_id(id):
            names.append(id)
    return names


def _read(api: Api, ask: Ask, parameters: Given) -> _Asked:
    allowed = _NAMES if ask.type == "Patient" else _NAMES - {"start", "end"}
    for name in parameters.values:
        if name not in allowed and not ask.lenient:
            raise wrong(name, "$everything has no parameter of this name")
    asked = _Asked(types=_types(parameters), count=parameters.whole("_count"))
    if asked.count is not None:
        asked.count = min(asked.count, MAX_COUNT)
    zone = api.store.zone
    try:
        if parameters.text("_since"):
            asked.since = int(r4.date_range(parameters.text("_since").replace(" ", "+"), zone)[0])
        if parameters.text("start"):
            asked.start = r4.date_range(parameters.text("start"), zone)[0]
        if parameters.text("end"):
            asked.end = r4.date_range(parameters.text("end"), zone)[1]
    except ValueError as error:
        raise wrong("start, end, _since", "expected dates, and an instant for _since") from error
    asked.part, asked.after = _cursor(parameters.text("_cursor"))
    return asked


def _types(parameters: Given) -> frozenset[str]:
    found = {name for text in parameters.all("_type") for name in str(text).split(",") if name}
    if not found <= set(r4.TYPES):
        raise wrong("_type", "expected resource types of FHIR R4, separated by commas")
    return frozenset(found)


def _cursor(text: str) -> tuple[int, int]:
    part, _, after = text.partition(".")
    if not text:
        return 0, 0
    if part not in ("0", "1") or not (after.isascii() and after.isdigit() and len(after) < 19):
        raise wrong("_cursor", "it is not one this hub gave")
    return int(part), int(after)


def _used(parameters: Given) -> Parameters:
    return [(name, str(value)) for name, values in parameters.values.items() for value in values]


def _without_cursor(used: Parameters) -> Parameters:
    return [(name, value) for name, value in used if name != "_cursor"]


PATIENT_EVERYTHING = Offered(
    name="everything",
    url="http://hl7.org/fhir/OperationDefinition/Patient-everything",
    run=everything,
    on=frozenset({"type", "instance"}),
    types=frozenset({"Patient"}),
    description="The Patient compartment, what it refers to, and the same of linked Patients. "
    f"For all patients while there are at most {MAX_PATIENTS}.",
)
ENCOUNTER_EVERYTHING = Offered(
    name="everything",
    url="http://hl7.org/fhir/OperationDefinition/Encounter-everything",
    run=everything,
    on=frozenset({"instance"}),
    types=frozenset({"Encounter"}),
    description="The Encounter compartment and what it refers to.",
)
