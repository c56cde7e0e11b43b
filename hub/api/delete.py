"""delete and conditional delete, http://hl7.org/fhir/R4/http.html#delete and #cdelete"""

from __future__ import annotations

from hub.api import drafts, outcome
from hub.api.exchange import Answer, Api, Ask, Interaction
from hub.store import resources
from hub.store.backend import Tx


async def delete(api: Api, ask: Ask) -> Answer:
    """204, also for what is not there; the ETag names the version that is the deletion."""

    async def work(tx: Tx) -> Answer:
        return await deleted(tx, ask, ask.id)

    return await api.store.write(work)


async def conditional_delete(api: Api, ask: Ask) -> Answer:
    """Delete the one match; 204 for none, 412 for several."""
    drafts.check_criteria(ask.query)

    async def work(tx: Tx) -> Answer:
        found = await drafts.only_match(tx, ask.type, ask.query)
        return await deleted(tx, ask, found) if found else nothing(ask)

    return await api.store.write(work)


async def deleted(tx: Tx, ask: Ask, id: str) -> Answer:
    """Delete inside a transaction."""
    written = await resources.delete(tx, ask.type, id, owner=ask.caller.organisation, if_match=ask.if_match)
    if written is None:
        return nothing(ask)
    await drafts.record(tx, ask, written)
    answer = _told(ask, f"{ask.type}/{id} deleted as version {written.version}")
    answer.version, answer.updated = written.version, written.updated
    return answer


def nothing(ask: Ask) -> Answer:
    """The answer when there was nothing to delete."""
    return _told(ask, "there was nothing to delete")


def _told(ask: Ask, text: str) -> Answer:
    """204, or 200 with an OperationOutcome for those who prefer one."""
    if ask.returns == "OperationOutcome":
        return Answer(body=outcome.success(text))
    return Answer(status=204)


DELETE = Interaction("delete", "delete", delete, writes=True)
CONDITIONAL_DELETE = Interaction("delete", "delete", conditional_delete, writes=True)
