"""create and conditional create, http://hl7.org/fhir/R4/http.html#create and #ccreate"""

from __future__ import annotations

from hub.api import body, drafts
from hub.api.exchange import Answer, Api, Ask, Interaction, Parameters
from hub.api.negotiation import query_of
from hub.store import resources
from hub.store.backend import Tx

_FORMATS = frozenset({"_format", "_pretty", "_summary", "_elements"})


async def create(api: Api, ask: Ask) -> Answer:
    """201 with an id of the server's, or 200 with what If-None-Exist found.

    Criteria in the URL count like those of the header: some clients put them there, and whoever ignored
    them would double a resource.
    """
    body.of_type(ask.body, ask.type)
    draft = drafts.draft(api, ask.body, ask.type, api.new_id(), ask.caller.organisation)
    draft.assigned = True
    criteria = criteria_of(ask.if_none_exist) or [pair for pair in ask.query if pair[0] not in _FORMATS]

    async def work(tx: Tx) -> Answer:
        if criteria:
            found = await drafts.only_match(tx, ask.type, criteria)
            stored = await resources.get(tx, ask.type, found) if found else None
            if stored is not None:
                return drafts.existing(ask, stored)
        written = await resources.put(tx, draft, must_not_exist=True)
        await drafts.record(tx, ask, written)
        return drafts.answer(ask, written)

    return await api.store.write(work)


def criteria_of(text: str) -> Parameters:
    """`identifier=a|b&...` as parameters."""
    return query_of(text.encode("ascii", "replace"))


CREATE = Interaction("create", "create", create, writes=True)
