"""update, also creating with a client's id, and conditional update,
http://hl7.org/fhir/R4/http.html#update, #upsert and #cond-update"""

from __future__ import annotations

from hub.api import body, drafts
from hub.api.body import Head
from hub.api.exchange import Answer, Api, Ask, Interaction
from hub.api.outcome import BadRequest
from hub.errors import Conflict, Issue
from hub.store import resources
from hub.store.backend import Tx


async def update(api: Api, ask: Ask) -> Answer:
    """200 with the new (or, for the same content, the old) version; 201 when it was not there."""
    check_id(body.of_type(ask.body, ask.type), ask.id)
    draft = drafts.draft(api, ask.body, ask.type, ask.id, ask.caller.organisation)
    must_not_exist = ask.if_none_match == "*"

    async def work(tx: Tx) -> Answer:
        await drafts.check_none_match(tx, ask, ask.id)
        written = await resources.put(tx, draft, if_match=ask.if_match, must_not_exist=must_not_exist)
        await drafts.record(tx, ask, written)
        return drafts.answer(ask, written)

    return await api.store.write(work)


async def conditional_update(api: Api, ask: Ask) -> Answer:
    """Update what the criteria match, create where they match nothing, 412 where they match several."""
    head = body.of_type(ask.body, ask.type)
    new_id = api.new_id()
    drafts.check_criteria(ask.query)

    async def work(tx: Tx) -> Answer:
        found = await drafts.only_match(tx, ask.type, ask.query)
        target = target_of(head, found, new_id)
        draft = drafts.draft(api, ask.body, ask.type, target, ask.caller.organisation)
        draft.assigned = found is None and head.id is None
        if found is None:
            await check_free(tx, ask.type, head)
        must_not_exist = ask.if_none_match == "*"
        await drafts.check_none_match(tx, ask, target)
        written = await resources.put(tx, draft, if_match=ask.if_match, must_not_exist=must_not_exist)
        await drafts.record(tx, ask, written)
        return drafts.answer(ask, written)

    return await api.store.write(work)


def check_id(head: Head, id: str) -> None:
    """The body carries the id of the URL, and it can be one."""
    place = f"{head.resource_type}.id"
    if not body.is_id(id):
        text = "an id has 1 to 64 characters: letters, digits, - and ."
        raise BadRequest(issues=[Issue(code="value", diagnostics=text, expression=place)])
    if head.id != id:
        said = "has none" if head.id is None else "has another"
        text = f"the URL names an id and the body {said}; they must be the same"
        raise BadRequest(issues=[Issue(code="invalid", diagnostics=text, expression=place)])


def target_of(head: Head, found: str | None, new_id: str) -> str:
    """Where a conditional update goes: the match, the client's id, or a new one."""
    if found is not None:
        if head.id not in (None, found):
            text = (
                f"the criteria match {head.resource_type}/{found} and the body has another id; leave it out"
            )
            raise BadRequest(
                issues=[Issue(code="invalid", diagnostics=text, expression=f"{head.resource_type}.id")]
            )
        return found
    if head.id is None:
        return new_id
    check_id(head, head.id)
    return head.id


async def check_free(tx: Tx, type_name: str, head: Head) -> None:
    """Where the criteria match nothing, the client's id must not be that of another resource: Conflict."""
    stored = await resources.get(tx, type_name, head.id) if head.id is not None else None
    if stored is not None and not stored.deleted:
        raise Conflict(f"{type_name}/{head.id} exists and does not match the criteria; update it by its id")


UPDATE = Interaction("update", "update", update, writes=True)
CONDITIONAL_UPDATE = Interaction("update", "update", conditional_update, writes=True)
