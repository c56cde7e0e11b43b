"""transaction: all entries of a Bundle take effect, or none does, http://hl7.org/fhir/R4/http.html#transaction

1. Outside the transaction: read the entries, give POSTs their ids, check and index what needs no look-up.
2. Inside: delete; find what ifNoneExist and conditional updates mean, first in the store, then among what
   this transaction brings; write in a fixed order, those with conditional references as soon as the
   references are resolved; see that no criteria match more than one resource now; then answer the reads.
"""

from __future__ import annotations

import msgspec

from hub.api import bundle, drafts, patch, references, table
from hub.api.bundle import Reply
from hub.api.create import criteria_of
from hub.api.delete import deleted, nothing
from hub.api.exchange import Answer, Api, Ask, Parameters
from hub.api.patching import document
from hub.api.planning import Plan, at, check_overlap, draft_of, linked, plan_of
from hub.api.steps import ORDER, Step
from hub.api.update import check_free, target_of
from hub.errors import Issue, NotSupported, PreconditionFailed
from hub.store import resources
from hub.store.backend import Tx
from hub.store.resources import Draft, Written


async def transaction(api: Api, ask: Ask, content: bundle.Bundle) -> Answer:
    """200 with one response entry per entry, in their order; any failure undoes everything."""
    plan = plan_of(api, ask, content)

    async def work(tx: Tx) -> dict[int, Reply]:
        return await run(api, tx, plan)

    replies = await api.store.write(work)
    entries = bundle.replies(api.base, (replies[step.index] for step in plan.steps))
    return Answer(body=bundle.document("transaction-response", entries))


async def run(api: Api, tx: Tx, outer: Plan) -> dict[int, Reply]:
    """The part inside the transaction; it may run again, so it works on its own copy of the plan."""
    plan = msgspec.structs.replace(
        outer, targets=dict(outer.targets), known=dict(outer.known), drafts=dict(outer.drafts)
    )
    replies: dict[int, Reply] = {}
    await _delete_all(tx, plan, replies)
    missing = await _find_all(api, tx, plan, replies)
    check_overlap(plan)
    await _write_ready(tx, plan, _waiting(plan, replies), replies)
    same = await _find_among(api, tx, plan, missing, replies)
    check_overlap(plan)
    waiting = _waiting(plan, replies)
    while waiting:
        later = [step for step in waiting if not await _write(api, tx, plan, step, replies, last=False)]
        if len(later) == len(waiting):
            await _write(api, tx, plan, later[0], replies, last=True)
            later = later[1:]
        waiting = later
    await _check_matches(tx, plan, missing, same, replies)
    for step in plan.steps:
        if step.reads:
            with at(step):
                replies[step.index] = await _read(api, tx, step)
    return replies


async def _read(api: Api, tx: Tx, step: Step) -> Reply:
    """Answer a read from what the transaction has written so far.

    An operation that waits for anything but the database cannot be answered inside the one writer of SQLite.
    """
    asked = table.reply_to(api.within(tx), step)
    if tx.postgres or not step.ask.name:
        return await asked
    try:
        asked.send(None)
    except StopIteration as stop:
        reply: Reply = stop.value
        return reply
    asked.close()
    raise NotSupported(f"${step.ask.name} cannot be answered inside this transaction; ask it by itself")


async def _delete_all(tx: Tx, plan: Plan, replies: dict[int, Reply]) -> None:
    for step in plan.steps:
        if step.ask.method != "DELETE":
            continue
        with at(step):
            id = step.ask.id or await drafts.only_match(tx, step.ask.type, step.ask.query)
            if id:
                plan.targets[step.index] = id
            replies[step.index] = _reply(step, await deleted(tx, step.ask, id) if id else nothing(step.ask))


def _waiting(plan: Plan, replies: dict[int, Reply]) -> list[Step]:
    """What has a target and is still to be written, in the order in which it takes effect."""
    found = [step for step in plan.steps if step.index in plan.targets and step.index not in replies]
    return sorted(found, key=lambda step: (ORDER[step.ask.method], step.ask.type, plan.targets[step.index]))


async def _find_all(api: Api, tx: Tx, plan: Plan, replies: dict[int, Reply]) -> list[Step]:
    """What conditional creates and updates mean in the store; those that find nothing come back."""
    missing = []
    for step in plan.steps:
        if step.reads or not step.ask.body or step.index in plan.targets:
            continue
        with at(step):
            if step.ask.method == "PATCH":
                await _found(api, tx, plan, step, await patch.only_match(tx, step.ask), replies)
                continue
            found = await drafts.only_match(tx, step.ask.type, _criteria(step.ask))
            if found is None:
                missing.append(step)
            else:
                await _found(api, tx, plan, step, found, replies)
    return missing


async def _found(api: Api, tx: Tx, plan: Plan, step: Step, found: str, replies: dict[int, Reply]) -> None:
    """A conditional update or patch has its target; a conditional create has its answer."""
    ask = step.ask
    if ask.method == "PATCH":
        plan.targets[step.index] = found
    elif ask.method == "PUT":
        plan.targets[step.index] = target_of(plan.heads[step.index], found, api.new_id())
    else:
        stored = await resources.get(tx, ask.type, found)
        assert stored is not None  # its criteria are locked
        replies[step.index] = _reply(step, drafts.existing(ask, stored))
    if step.full_url:
        plan.known[step.full_url] = f"{ask.type}/{found}"


async def _find_among(
    api: Api, tx: Tx, plan: Plan, missing: list[Step], replies: dict[int, Reply]
) -> dict[int, str]:
    """The same among what this transaction wrote and will write: for each create that means what another
    entry with the same criteria creates, that id."""
    same: dict[int, str] = {}
    first: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}
    for step in missing:
        ask = step.ask
        with at(step):
            found = await drafts.only_match(tx, ask.type, _criteria(ask))
            if found is not None:
                await _found(api, tx, plan, step, found, replies)
                continue
            key = (ask.type, tuple(sorted(_criteria(ask))))
            if ask.method == "POST" and key in first:
                target = same[step.index] = first[key]
            else:
                named = ask.method == "PUT"
                if named:
                    await check_free(tx, ask.type, plan.heads[step.index])
                target = target_of(plan.heads[step.index], None, api.new_id()) if named else api.new_id()
                plan.targets[step.index] = first[key] = target
            if step.full_url:
                plan.known[step.full_url] = f"{ask.type}/{target}"
    return same


async def _check_matches(
    tx: Tx, plan: Plan, missing: list[Step], same: dict[int, str], replies: dict[int, Reply]
) -> None:
    """Criteria that found nothing match one resource at most now, and where an entry counted on another's
    resource, that one; else nothing of the transaction takes effect."""
    for step in missing:
        with at(step):
            found = await resources.resolve(tx, step.ask.type, _criteria(step.ask))
            drafts.check_single(step.ask.type, found)
            target = same.get(step.index)
            if target is None:
                continue
            stored = await resources.get(tx, step.ask.type, target)
            if found != [target] or stored is None:
                text = "an entry before it has the same criteria, and its resource does not match them"
                raise PreconditionFailed(issues=[Issue(code="conflict", diagnostics=text)])
            replies[step.index] = _reply(step, drafts.existing(step.ask, stored))


def _criteria(ask: Ask) -> Parameters:
    return criteria_of(ask.if_none_exist) if ask.method == "POST" else ask.query


async def _write_ready(tx: Tx, plan: Plan, steps_: list[Step], replies: dict[int, Reply]) -> None:
    """Write together what was drafted outside and has no condition of its own."""
    ready = [step for step in steps_ if step.index in plan.drafts and not _conditional_write(step.ask)]
    written = await resources.put_all(tx, [plan.drafts[step.index] for step in ready])
    if written:
        await drafts.record(tx, ready[0].ask, *written)
    for step, one in zip(ready, written, strict=True):
        replies[step.index] = _reply(step, drafts.answer(step.ask, one))


def _conditional_write(ask: Ask) -> bool:
    return ask.if_match is not None or bool(ask.if_none_match)


async def _write(api: Api, tx: Tx, plan: Plan, step: Step, replies: dict[int, Reply], *, last: bool) -> bool:
    """Write one entry; False while a conditional reference finds nothing and others may still bring it."""
    with at(step):
        draft, ask = plan.drafts.get(step.index), step.ask
        found = {} if draft is not None else await _conditional(tx, step, last=last)
        if found is None:
            return False
        if ask.method == "PATCH":
            change = document.read(linked(plan, step, found), limit=api.max_body)
            written = await patch.written(api, tx, ask, plan.targets[step.index], change)
        else:
            written = await _put(tx, ask, draft or draft_of(api, plan, step, found))
        replies[step.index] = _reply(step, drafts.answer(ask, written))
    return True


async def _put(tx: Tx, ask: Ask, draft: Draft) -> Written:
    must_not_exist = ask.if_none_match == "*"
    await drafts.check_none_match(tx, ask, draft.id)
    written = await resources.put(tx, draft, if_match=ask.if_match, must_not_exist=must_not_exist)
    await drafts.record(tx, ask, written)
    return written


async def _conditional(tx: Tx, step: Step, *, last: bool) -> dict[str, str] | None:
    """What each `Type?criteria` reference of a resource means (rule 5 of a transaction)."""
    found: dict[str, str] = {}
    for link in references.references(step.ask.body):
        match = references.CONDITIONAL.fullmatch(link)
        if match is None or link in found:
            continue
        criteria: Parameters = criteria_of(match[2])
        target = await drafts.only_match(tx, match[1], criteria)
        if target is None:
            if not last:
                return None
            text = f"a conditional reference to {match[1]} matches nothing"
            raise PreconditionFailed(issues=[Issue(code="not-found", diagnostics=text)])
        found[link] = f"{match[1]}/{target}"
    return found


def _reply(step: Step, answer: Answer) -> Reply:
    return table.reply_of(step.ask, answer)
