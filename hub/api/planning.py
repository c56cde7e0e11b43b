"""A transaction, checked before it begins: where each entry goes, and what the others may link to.

http://hl7.org/fhir/R4/http.html#trules
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from hub import security
from hub.api import body, bundle, drafts, operations, references, steps
from hub.api.body import Head
from hub.api.exchange import Api, Ask
from hub.api.outcome import BadRequest, located
from hub.api.patching import document
from hub.api.steps import Step
from hub.api.update import check_id
from hub.audit import Action
from hub.errors import HubError, Issue, NotSupported
from hub.store.resources import Draft


class Plan(msgspec.Struct, kw_only=True):
    """A transaction, checked. `known` maps fullUrl and `Type/id` → `Type/id`; `waits` names fullUrls whose
    resource only the database can tell; `drafts` are ready before the transaction begins."""

    steps: list[Step]
    heads: dict[int, Head]
    targets: dict[int, str]
    known: dict[str, str]
    waits: set[str]
    drafts: dict[int, Draft]


def plan_of(api: Api, ask: Ask, content: bundle.Bundle) -> Plan:
    """What a Bundle asks for, as far as it can be told without the database; every error names its entry."""
    planned = [_step(api, ask, index, entry) for index, entry in enumerate(content.entry)]
    plan = Plan(steps=planned, heads={}, targets={}, known={}, waits=set(), drafts={})
    for step in planned:
        with at(step):
            security.authorize(ask.caller, _action(step), step.ask.type)
            _aim(api, plan, step)
    check_overlap(plan)
    for step in planned:
        if step.ask.body and step.index in plan.targets and not _needs_database(plan, step):
            with at(step):
                plan.drafts[step.index] = draft_of(api, plan, step, {})
    return plan


def _step(api: Api, ask: Ask, index: int, entry: bundle.Entry) -> Step:
    try:
        return steps.step(api, ask, index, entry)
    except HubError as error:
        located(error, f"Bundle.entry[{index}]")
        raise


def _action(step: Step) -> Action:
    if step.ask.name:
        return "operation"
    return "search" if step.reads and not step.ask.id else _ACTIONS[step.ask.method]


def _aim(api: Api, plan: Plan, step: Step) -> None:
    """Where an entry goes, as far as it can be told without the database."""
    ask = step.ask
    if step.reads:
        _check_operation(step)
        return
    _check_shape(step)
    if ask.method == "DELETE":
        if ask.id:
            plan.targets[step.index] = ask.id
        else:
            drafts.check_criteria(ask.query)
        return
    waits = False
    if ask.method == "PATCH":
        document.read(ask.body, limit=api.max_body)
        if ask.id:
            plan.targets[step.index] = ask.id
        else:
            drafts.check_criteria(ask.query)
            waits = True
        _know(plan, step, waits)
        return
    head = plan.heads[step.index] = body.of_type(ask.body, ask.type)
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
    if ask.name:
        raise _not_here(ask)
    expected = 1 if ask.method == "POST" else 2 if ask.id else 1
    if not ask.type or len(step.path) != expected:
        raise BadRequest(issues=[Issue(code="value", diagnostics=f"request.url does not fit a {ask.method}")])


def _check_operation(step: Step) -> None:
    ask = step.ask
    if not ask.name:
        return
    found = operations.offered(ask.type, ask.id, ask.name)
    if found is None or not found.reads or ask.name not in _READING:
        raise _not_here(ask)


def _not_here(ask: Ask) -> NotSupported:
    return NotSupported(f"${ask.name[:64]} is not offered in a transaction; ask it by itself, or in a batch")


def check_overlap(plan: Plan) -> None:
    """No resource twice in one transaction, whether named or found."""
    seen: dict[str, int] = {}
    for index, id in plan.targets.items():
        name = f"{plan.steps[index].ask.type}/{id}"
        if name in seen:
            text = f"entries {seen[name]} and {index} are about the same resource"
            raise BadRequest(
                issues=[Issue(code="duplicate", diagnostics=text, expression=f"Bundle.entry[{index}]")]
            )
        seen[name] = index


def _needs_database(plan: Plan, step: Step) -> bool:
    """Whether a link of the resource leads to what only the database can tell; a patch always needs it."""
    if step.ask.method == "PATCH":
        return True
    if step.ask.type == "Bundle":
        return False
    links = references.links(step.ask.body)
    waits = references.resolver({url: url for url in plan.waits}, step.full_url)
    return any(
        references.CONDITIONAL.fullmatch(link) or (plan.waits and waits(link) is not None) for link in links
    )


def draft_of(api: Api, plan: Plan, step: Step, found: dict[str, str]) -> Draft:
    """The resource of an entry on its way into the store."""
    owner = step.ask.caller.organisation
    made = drafts.draft(api, linked(plan, step, found), step.ask.type, plan.targets[step.index], owner)
    made.assigned = step.ask.method == "POST"
    return made


def linked(plan: Plan, step: Step, found: dict[str, str]) -> bytes:
    """The body of an entry with its links resolved; `found` adds what conditional references mean.

    A Bundle as a resource is a world of its own: its links lead to its own entries.
    """
    if step.ask.type == "Bundle":
        return step.ask.body
    lookup = references.resolver(plan.known | found, step.full_url)
    changed = references.replace(step.ask.body, lookup)
    return references.replace_values(changed, lookup) if step.ask.method == "PATCH" else changed


_READING = frozenset(
    {
        "everything", "expand", "find-matches", "lookup", "match", "meta", "subsumes", "translate",
        "validate", "validate-code",
    }
)  # fmt: skip
"""The operations that only read what is stored: they are answered with the reads."""

_ACTIONS: dict[str, Action] = {
    "DELETE": "delete",
    "POST": "create",
    "PUT": "update",
    "PATCH": "update",
    "GET": "read",
    "HEAD": "read",
}


@contextmanager
def at(step: Step) -> Iterator[None]:
    """Every error inside names the entry it is about."""
    try:
        yield
    except HubError as error:
        located(error, step.place)
        raise
