"""Search inside a compartment: what its parameters tie to one patient, encounter, person or device.

http://hl7.org/fhir/R4/compartmentdefinition.html
"""

from __future__ import annotations

from hub import r4
from hub.store.backend import Reader
from hub.store.parameters import Parameters
from hub.store.search.conditions import Either
from hub.store.search.planner import search_found
from hub.store.search.query import Query

MAX_LINKED = 1000


def types_in(compartment: str) -> list[str]:
    """The resource types that can be in a compartment, the compartment's own among them."""
    return sorted({compartment, *r4.COMPARTMENTS[compartment]})


async def confine(reader: Reader, query: Query, compartment: str, id: str) -> None:
    """Let a query see the members of one compartment only. A resource is a member of its own."""
    tied = _tied(query.known, query.type, compartment, id)
    if query.type != compartment:
        query.given.append(Either(tied))
        return
    ids = [id]
    if tied:
        others = Query(query.type, query.known, given=[Either(tied)])
        ids += [one.id for one in await search_found(reader, others, MAX_LINKED)]
    query.ids.append(tuple(ids))


def _tied(known: Parameters, type_name: str, compartment: str, id: str) -> tuple[tuple[int, int], ...]:
    """The index keys of which a member has one."""
    key = r4.hash_reference(f"{compartment}/{id}")
    found = [known.find(type_name, code) for code in r4.COMPARTMENTS[compartment].get(type_name, ())]
    return tuple((one.number, key) for one in found if one is not None and one.plan is not None)
