"""patch and conditional patch, http://hl7.org/fhir/R4/http.html#patch

JSON Patch and FHIRPath Patch (http://hl7.org/fhir/R4/fhirpatch.html); what comes out is checked like an
update.
"""

from __future__ import annotations

from hub.api import drafts
from hub.api.exchange import Answer, Api, Ask, Interaction
from hub.api.outcome import Unprocessable
from hub.api.patching.document import Change, patched, read
from hub.errors import Gone, InvalidResource, NotFound, PreconditionFailed
from hub.store import resources
from hub.store.backend import Tx
from hub.store.names import ANY_VERSION, name_key
from hub.store.resources import Written


async def patch(api: Api, ask: Ask) -> Answer:
    """200 with the new (or, when nothing changed, the old) version; 404, 410, 412, 422."""
    change = read(ask.body, limit=api.max_body)

    async def work(tx: Tx) -> Answer:
        return drafts.answer(ask, await written(api, tx, ask, ask.id, change))

    return await api.store.write(work)


async def conditional_patch(api: Api, ask: Ask) -> Answer:
    """Patch the one match; 404 for none, 412 for several (http://hl7.org/fhir/R4/http.html#patch)."""
    change = read(ask.body, limit=api.max_body)
    drafts.check_criteria(ask.query)

    async def work(tx: Tx) -> Answer:
        id = await only_match(tx, ask)
        return drafts.answer(ask, await written(api, tx, ask, id, change))

    return await api.store.write(work)


async def only_match(tx: Tx, ask: Ask) -> str:
    """The id of the one resource the criteria match; NotFound, or PreconditionFailed for several."""
    found = await drafts.only_match(tx, ask.type, ask.query)
    if found is None:
        raise NotFound(f"the criteria match no {ask.type}; a patch creates nothing")
    return found


async def written(api: Api, tx: Tx, ask: Ask, id: str, change: Change) -> Written:
    """Apply a change inside a transaction: read, patch, check, store."""
    await tx.lock([name_key(ask.type, id)])
    stored = await resources.get(tx, ask.type, id)
    if stored is None:
        raise NotFound(f"{ask.type}/{id} is not known; a patch creates nothing")
    if stored.deleted:
        raise Gone(f"{ask.type}/{id} was deleted; an update brings it back")
    if ask.if_match not in (None, ANY_VERSION, stored.version):
        text = f"{ask.type}/{id} is at version {stored.version}, not {ask.if_match}; read it again"
        raise PreconditionFailed(text)
    if {"*", str(stored.version)} & set(ask.if_none_match.split(",")):
        raise PreconditionFailed(f"{ask.type}/{id} exists, as version {stored.version}")
    content = patched(stored.body, change)
    try:
        draft = drafts.draft(api, content, ask.type, id, ask.caller.organisation)
    except InvalidResource as invalid:
        raise Unprocessable(issues=invalid.issues) from invalid
    done = await resources.put(tx, draft, if_match=stored.version)
    await drafts.record(tx, ask, done)
    return done


PATCH = Interaction("patch", "update", patch, writes=True)
CONDITIONAL_PATCH = Interaction("patch", "update", conditional_patch, writes=True)
