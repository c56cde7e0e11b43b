"""$match: which stored Patients are this person, http://hl7.org/fhir/R4/patient-operation-match.html"""

from __future__ import annotations

from typing import Any

import msgspec

from hub import identity, r4
from hub.api import bundle
from hub.api.exchange import Answer, Api, Ask, Offered
from hub.api.parameters import given, wrong
from hub.errors import Issue
from hub.identity import Agreement
from hub.store.search.planner import Hit

GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
COUNT = 50
_NAMES = frozenset({"resource", "onlyCertainMatches", "count"})


async def match(api: Api, ask: Ask) -> Answer:
    """200 with a searchset, the best match first; empty where there is none. 400 without a Patient."""
    parameters = given(ask)
    for name in parameters.values:
        if name not in _NAMES and not ask.lenient:
            raise wrong(name, "$match has no parameter of this name")
    patient = parameters.one("resource")
    if not isinstance(patient, dict) or patient.get("resourceType") != "Patient":
        raise wrong("resource", "expected a Patient")
    count = parameters.whole("count")
    person = identity.person_of(patient)
    ranked = await _ranked(api, person, only_certain=parameters.flag("onlyCertainMatches"))
    ranked = ranked[: COUNT if count is None else count]
    entries = [_entry(api, hit, agreement) for agreement, hit in ranked]
    if not (person.cards or person.identifiers or person.names or person.phones):
        text = "nothing to match by: no usable identifier, name or telephone number"
        entries.append(bundle.told([Issue(severity="warning", code="incomplete", diagnostics=text)]))
    links = [("self", bundle.link(api.base, "Patient/$match", []))]
    return Answer(body=bundle.document("searchset", entries, links=links, total=len(ranked)))


async def _ranked(api: Api, person: identity.Person, *, only_certain: bool) -> list[tuple[Agreement, Hit]]:
    """Those that agree, the best first; equal ones by id, so that the order is always the same."""
    found = []
    for hit in await identity.candidates(api.reader, person):
        agreement = identity.compare(person, identity.person_of(r4.tree(hit.body)))
        if agreement.grade == "certain" or (not only_certain and agreement.grade != "certainly-not"):
            found.append((agreement, hit))
    return sorted(found, key=lambda one: (-one[0].score, one[1].id))


def _entry(api: Api, hit: Hit, agreement: Agreement) -> bytes:
    extension: list[dict[str, Any]] = [{"url": GRADE, "valueCode": agreement.grade}]
    how = {"extension": extension, "mode": "match", "score": agreement.score}
    return b'{"fullUrl":%b,"resource":%b,"search":%b}' % (
        msgspec.json.encode(f"{api.base}/Patient/{hit.id}"),
        hit.body,
        msgspec.json.encode(how),
    )


MATCH = Offered(
    name="match",
    url="http://hl7.org/fhir/OperationDefinition/Patient-match",
    run=match,
    on=frozenset({"type"}),
    types=frozenset({"Patient"}),
    description="Stored Patients that are probably this person, graded. Without an identifier in common "
    "nothing is certain.",
)
