"""Run a TestScript: setup, tests, then teardown whatever happened before (http://hl7.org/fhir/R4/testscript.html).

An operation or assert that is not supported is a `skip` with its reason, and so is its test; a script that
makes no sense is an `error`. The first failure ends a test: its further actions are skipped.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from hub.conformance import asserts, operations
from hub.conformance.results import Action, Outcome, Part, Result
from hub.conformance.scripts import Script
from hub.conformance.session import Fixture, Session
from hub.conformance.target import Answered, Target
from hub.errors import HubError, InvalidMessage, NotSupported

_AFTER = "not run: an earlier action did not succeed"


async def run(script: Script, target: Target) -> Result:
    """Run one script. Nothing it meets raises; the result tells."""
    begin = time.monotonic()
    session = Session(script, target)
    setup = await _setup(session)
    ready = setup.verdict == "pass"
    tests = [
        await _part(session, one.get("action", []), _name(one, number), one.get("description", ""), ready)
        for number, one in enumerate(script.resource.get("test", []), 1)
    ]
    return Result(
        id=script.id,
        title=str(script.resource.get("title") or script.resource.get("name")),
        url=str(script.resource.get("url", "")),
        target=target.base,
        setup=setup,
        tests=tests,
        teardown=await _teardown(session),
        seconds=time.monotonic() - begin,
    )


def _name(test: Mapping[str, Any], number: int) -> str:
    return str(test.get("name") or test.get("id") or number)


async def _setup(session: Session) -> Part:
    try:
        session.load()
    except HubError as error:
        return Part("setup", [_judged("operation", error, "fixtures")])
    created: list[Action] = []
    for name, fixture in session.fixtures.items():
        if fixture.autocreate and all(one.outcome == "pass" for one in created):
            created.append(await _create(session, name))
    ready = all(one.outcome == "pass" for one in created)
    given = session.script.resource.get("setup", {}).get("action", [])
    part = await _part(session, given, "setup", "", ready)
    return Part("setup", [*created, *part.actions])


async def _create(session: Session, name: str) -> Action:
    coding = {"type": {"code": "create"}, "sourceId": name, "encodeRequestUrl": True}
    action = await _operation(session, coding, f"autocreate {name}")
    answer = session.answer
    if action.outcome == "pass" and answer is not None and not 200 <= answer.status < 300:
        return Action(
            "operation", "fail", f"expected a status 2xx, came {answer.status}", f"autocreate {name}"
        )
    return action


async def _part(
    session: Session, given: Sequence[Mapping[str, Any]], name: str, description: str, ready: bool
) -> Part:
    """Run actions in order until one fails; without setup none is run."""
    actions: list[Action] = []
    for one in given:
        if not ready:
            kind: Any = "operation" if "operation" in one else "assert"
            actions.append(Action(kind, "skip", _AFTER, _label(one.get(kind, {}))))
            continue
        action = await _action(session, one)
        actions.append(action)
        ready = action.outcome in ("pass", "warning") or _only_unchecked(one, action)
    return Part(name, actions, description)


def _only_unchecked(given: Mapping[str, Any], action: Action) -> bool:
    """An assert that was not judged changes nothing for those after it."""
    return "assert" in given and action.outcome == "skip"


async def _action(session: Session, given: Mapping[str, Any]) -> Action:
    if "operation" in given:
        return await _operation(session, given["operation"], _label(given["operation"]))
    wanted = given.get("assert", {})
    label = _label(wanted)
    try:
        problem = asserts.check(wanted, session)
    except InvalidMessage as error:
        problem = str(error)
    except HubError as error:
        return _judged("assert", error, label)
    if not problem:
        return Action("assert", "pass", "holds", label)
    return Action("assert", "warning" if wanted.get("warningOnly") else "fail", problem, label)


def _label(given: Mapping[str, Any]) -> str:
    return str(given.get("label") or given.get("description") or "")


async def _operation(session: Session, given: Mapping[str, Any], label: str) -> Action:
    try:
        asked = operations.plan(given, session)
        session.request = asked
        session.answer = None
        answer = await session.target.ask(asked)
    except HubError as error:
        return _judged("operation", error, label)
    session.answer = answer
    if "requestId" in given:
        session.requests[str(given["requestId"])] = asked
    if "responseId" in given:
        session.answers[str(given["responseId"])] = answer
    _remember(session, given, answer, asked.method)
    return Action("operation", "pass", f"{asked.method}, answered {answer.status}", label)


def _remember(session: Session, given: Mapping[str, Any], answer: Answered, method: str) -> None:
    """A fixture that was written is from now on what the server made of it."""
    fixture: Fixture | None = session.fixtures.get(str(given.get("sourceId", "")))
    if fixture is None or method not in ("POST", "PUT") or not 200 <= answer.status < 300:
        return
    kind, id, version = answer.identity
    if kind and id and kind == fixture.tree.get("resourceType") and kind != "Bundle":
        fixture.created = (kind, id, version)


def _judged(kind: Any, error: HubError, label: str) -> Action:
    outcome: Outcome = "skip" if isinstance(error, NotSupported) else "error"
    return Action(kind, outcome, str(error), label)


async def _teardown(session: Session) -> Part:
    """Every operation, also after one that failed; then the fixtures that are to be deleted."""
    given = session.script.resource.get("teardown", {}).get("action", [])
    actions = [await _operation(session, one["operation"], _label(one["operation"])) for one in given]
    for name, fixture in reversed(session.fixtures.items()):
        if fixture.autodelete and fixture.created:
            delete = {"type": {"code": "delete"}, "targetId": name, "encodeRequestUrl": True}
            actions.append(await _operation(session, delete, f"autodelete {name}"))
    return Part("teardown", actions)
