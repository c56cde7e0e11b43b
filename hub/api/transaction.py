"""transaction: all entries of a Bundle take effect, or none does, http://hl7.org/fhir/R4/http.html#transaction

1. Outside the transaction: read the entries, give POSTs their ids, check and index what needs no look-up.
2. Inside: delete; find what ifNoneExist and conditional updates mean, first in the store, then among what
   this transaction brings; write in a fixed order, those with conditional references as soon as the
   references are resolved; see that no criteria match more than one resource now; then answer the reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from hub import security
from hub.api import body, bundle, drafts, references, steps, table
from hub.api.body import Head
from hub.api.bundle import Reply
from hub.api.create import criteria_of
from hub.api.delete import deleted
from hub.api.exchange import Answer, Api, Ask, Parameters
from hub.api.outcome import BadRequest, located
from hub.api.steps import ORDER, Step
from hub.api.update import check_id, target_of
from hub.audit import Action
from hub.errors import HubError, Issue, NotSupported, PreconditionFailed
from hub.store import resources
from hub.store.backend import Tx
from hub.store.resources import Draft, Written


class Plan(msgspec.Struct, kw_only=True):
    """A transaction, checked. `known` maps fullUrl and `Type/id` → `Type/id`; `waits` names fullUrls whose
    resource only the database can tell; `drafts` are ready before the transaction begins."""

    steps: list[Step]
    heads: dict[int, Head]
    targets: dict[int, str]
    known: dict[str, str]
    waits: set[str]
    drafts: dict[int, Draft]


async def transaction(api: Api, ask: Ask, content: bundle.Bundle) -> Answer:
    """200 with one response entry per entry, in their order; any failure undoes everything."""
    plan = _plan(api, ask, content)

    async def work(tx: Tx) -> dict[int, Reply]:
        return await _run(api, tx, plan)

    replies = await api.store.write(work)
    entries = [bundle.reply(api.base, replies[step.index]) for step in plan.steps]
    return Answer(body=bundle.document("transaction-response", entries))


def _plan(api: Api, ask: Ask, content: bundle.Bundle) -> Plan:
    planned = [steps.step(api, ask, index, entry) for index, entry in enumerate(content.entry)]
    plan = Plan(steps=planned, heads={}, targets={}, known={}, waits=set(), drafts={})
    for step in planned:
        with _at(step):
            security.authorize(ask.caller, _ACTIONS[step.ask.method], step.ask.type)
            _aim(api, plan, step)
    _check_overlap(plan.targets, plan)
    for step in planned:
        if step.ask.body and step.index in plan.targets and not _needs_database(plan, step):
            with _at(step):
                plan.drafts[step.index] = _draft(api, plan, step, {})
    return plan


def _aim(api: Api, plan: Plan, step: Step) -> None:
    """Where an entry goes, as far as it can be told without the database."""
    ask = step.ask
    if ask.method in ("GET", "HEAD"):
        return
    _check_shape(step)
    if ask.method == "DELETE":
        if ask.id:
            plan.targets[step.index] = ask.id
        else:
            drafts.check_criteria(ask.query)
        return
    head = plan.heads[step.index] = body.of_type(ask.body, ask.type)
    waits = False
    if ask.method == "POST":
        waits = bool(ask.if_none_exist)
        if not waits:
            plan.targets[step.index] = api.new_id()
    elif ask.id:
        check_id(head, ask.id)
        plan.targets[step.index] = ask.id
    else:
        drafts.check_criteria(ask.query)
        waits = True
    _know(plan, step, waits)


def _know(plan: Plan, step: Step, waits: bool) -> None:
    if step.full_url:
        if step.full_url in plan.known or step.full_url in plan.waits:
            raise BadRequest(issues=[Issue(code="duplicate", diagnostics="two entries have this fullUrl")])
        if waits:
            plan.waits.add(step.full_url)
        else:
            plan.known[step.full_url] = f"{step.ask.type}/{plan.targets[step.index]}"


def _check_shape(step: Step) -> None:
    ask = step.ask
    if ask.method == "PATCH" or ask.name:
        raise NotSupported(
            f"{ask.method} {'$' + ask.name if ask.name else ''} is not offered in a transaction"
        )
    expected = 1 if ask.method == "POST" else 2 if ask.id else 1
    if not ask.type or len(step.path) != expected:
        raise BadRequest(issues=[Issue(code="value", diagnostics=f"request.url does not fit a {ask.method}")])


def _check_overlap(targets: dict[int, str], plan: Plan) -> None:
    """No resource twice in one transaction, whether named or found."""
    seen: dict[str, int] = {}
    for index, id in targets.items():
        name = f"{plan.steps[index].ask.type}/{id}"
        if name in seen:
            text = f"entries {seen[name]} and {index} are about the same resource"
            raise BadRequest(
                issues=[Issue(code="duplicate", diagnostics=text, expression=f"Bundle.entry[{index}]")]
            )
        seen[name] = index


def _needs_database(plan: Plan, step: Step) -> bool:
    """Whether a link of the resource leads to what only the database can tell."""
    links = references.links(step.ask.body)
    waits = references.resolver({url: url for url in plan.waits}, step.full_url)
    return any(
        references.CONDITIONAL.fullmatch(link) or (plan.waits and waits(link) is not None) for link in links
    )


def _draft(api: Api, plan: Plan, step: Step, found: dict[str, str]) -> Draft:
    """The resource with its links resolved; `found` adds what conditional references mean."""
    lookup = references.resolver(plan.known | found, step.full_url)
    resolved = references.replace(step.ask.body, lookup)
    owner = step.ask.caller.organisation
    return drafts.draft(api, resolved, step.ask.type, plan.targets[step.index], owner)


async def _run(api: Api, tx: Tx, outer: Plan) -> dict[int, Reply]:
    """The part inside the transaction; it may run again, so it works on its own copy of the plan."""
    plan = msgspec.structs.replace(
        outer, targets=dict(outer.targets), known=dict(outer.known), drafts=dict(outer.drafts)
    )
    replies: dict[int, Reply] = {}
    await _delete_all(tx, plan, replies)
    missing = await _find_all(api, tx, plan, replies)
    _check_overlap(plan.targets, plan)
    await _write_ready(tx, plan, _waiting(plan, replies), replies)
    same = await _find_among(api, tx, plan, missing, replies)
    _check_overlap(plan.targets, plan)
    waiting = _waiting(plan, replies)
    while waiting:
        later = [step for step in waiting if not await _write(api, tx, plan, step, replies, last=False)]
        if len(later) == len(waiting):
            await _write(api, tx, plan, later[0], replies, last=True)
            later = later[1:]
        waiting = later
    await _check_matches(tx, plan, missing, same, replies)
    for step in plan.steps:
        if ORDER[step.ask.method] == ORDER["GET"]:
            with _at(step):
                replies[step.index] = await table.reply_to(api.within(tx), step)
    return replies


async def _delete_all(tx: Tx, plan: Plan, replies: dict[int, Reply]) -> None:
    for step in plan.steps:
        if step.ask.method != "DELETE":
            continue
        with _at(step):
            id = step.ask.id or await drafts.only_match(tx, step.ask.type, step.ask.query)
            if id:
                plan.targets[step.index] = id
            answer = await deleted(tx, step.ask, id) if id else Answer(status=204)
            replies[step.index] = Reply(
                status=bundle.phrase(204), version=answer.version, updated=answer.updated
            )


def _waiting(plan: Plan, replies: dict[int, Reply]) -> list[Step]:
    """What has a target and is still to be written, in the order in which it takes effect."""
    found = [step for step in plan.steps if step.index in plan.targets and step.index not in replies]
    return sorted(found, key=lambda step: (ORDER[step.ask.method], step.ask.type, plan.targets[step.index]))


async def _find_all(api: Api, tx: Tx, plan: Plan, replies: dict[int, Reply]) -> list[Step]:
    """What conditional creates and updates mean in the store; those that find nothing come back."""
    missing = []
    for step in plan.steps:
        if not step.ask.body or step.index in plan.targets:
            continue
        with _at(step):
            found = await drafts.only_match(tx, step.ask.type, _criteria(step.ask))
            if found is None:
                missing.append(step)
            else:
                await _found(api, tx, plan, step, found, replies)
    return missing


async def _found(api: Api, tx: Tx, plan: Plan, step: Step, found: str, replies: dict[int, Reply]) -> None:
    """A conditional update has its target; a conditional create has its answer and writes nothing."""
    ask = step.ask
    if ask.method == "PUT":
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
        with _at(step):
            found = await drafts.only_match(tx, ask.type, _criteria(ask))
            if found is not None:
                await _found(api, tx, plan, step, found, replies)
                continue
            key = (ask.type, tuple(sorted(_criteria(ask))))
            if ask.method == "POST" and key in first:
                target = same[step.index] = first[key]
            else:
                named = ask.method == "PUT"
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
        with _at(step):
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
    return ask.if_match is not None or ask.if_none_match == "*"


async def _write(api: Api, tx: Tx, plan: Plan, step: Step, replies: dict[int, Reply], *, last: bool) -> bool:
    """Write one entry; False while a conditional reference finds nothing and others may still bring it."""
    with _at(step):
        draft = plan.drafts.get(step.index)
        if draft is None:
            found = await _conditional(tx, step, last=last)
            if found is None:
                return False
            draft = _draft(api, plan, step, found)
        ask = step.ask
        must_not_exist = ask.if_none_match == "*"
        written: Written = await resources.put(
            tx, draft, if_match=ask.if_match, must_not_exist=must_not_exist
        )
        await drafts.record(tx, ask, written)
        replies[step.index] = _reply(step, drafts.answer(ask, written))
    return True


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


_ACTIONS: dict[str, Action] = {
    "DELETE": "delete",
    "POST": "create",
    "PUT": "update",
    "PATCH": "update",
    "GET": "read",
    "HEAD": "read",
}


@contextmanager
def _at(step: Step) -> Iterator[None]:
    """Every error inside names the entry it is about."""
    try:
        yield
    except HubError as error:
        located(error, step.place)
        raise
