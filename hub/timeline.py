"""The timeline of one prescription: when, who, what, which resource.

It is put together from what is stored anyway: versions and the messages they came with, conversations and
their deliveries. Nothing is written for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from hub import r4
from hub.clock import to_datetime
from hub.conversations import references
from hub.errors import NotFound
from hub.store import Store, inbox, outbox, talks
from hub.store.inbox import Kept
from hub.store.resources import Stored, history
from hub.store.search.parsing import parse_query
from hub.store.search.planner import search

PAGE = 200
FOLLOWED = ("SupplyRequest", "SupplyDelivery")
"""Types without a search parameter for what they refer to: the newest `PAGE` of each are looked through."""

Tree = dict[str, Any]


class Step(msgspec.Struct, frozen=True, order=True):
    """One line: `at` in microseconds; `step` in the flow's own words; `resource` is `Type/id`."""

    at: int
    step: str
    system: str
    resource: str


async def journey(store: Store, prescription: str) -> list[Step]:
    """Every step of a prescription (`value` or `system|value`), oldest first; NotFound if it is not known."""
    found = await related(store, prescription)
    if not found:
        raise NotFound(f"no MedicationRequest has the prescription number {prescription!r}")
    steps: list[Step] = []
    arrivals: dict[int, list[Stored]] = {}
    for reference in found:
        type_name, _, id = reference.partition("/")
        for version in await history(store, type_name, id):
            if not version.deleted:
                arrivals.setdefault(version.message or -version.updated, []).append(version)
        for talk in await talks.about(store, reference):
            steps += [
                step
                for row in await outbox.of_conversation(store, talk.id)
                for step in _of_delivery(row, talk)
            ]
    for seq, versions in arrivals.items():
        steps += _of_message(await inbox.load(store, seq) if seq > 0 else None, versions)
    return sorted(dict.fromkeys(steps), key=lambda step: (step.at, _ORDER.get(step.step, 5)))


_ORDER = {"received": 0, "mapped": 1, "stored": 2}
_MAINLY = ("MedicationRequest", "SupplyDelivery", "Encounter", "Patient")


def plain(steps: Iterable[Step], store: Store) -> list[dict[str, str]]:
    """The steps as JSON rows, times in the hub's zone."""
    return [
        {
            "when": to_datetime(one.at).astimezone(store.zone).isoformat(" ", "milliseconds")[:23],
            "step": one.step,
            "system": one.system,
            "resource": one.resource,
        }
        for one in steps
    ]


async def related(store: Store, prescription: str) -> list[str]:
    """`Type/id` of everything that belongs to a prescription, the prescription's lines first."""
    lines = [tree for tree in await _all(store, "MedicationRequest", []) if prescription in _numbers(tree)]
    if not lines:
        return []
    names = [_name(tree) for tree in lines]
    about = [reference for reference in references(lines) if not reference.startswith("MedicationRequest/")]
    patients = {one for one in about if one.startswith("Patient/")}
    claims = [
        tree
        for patient in sorted(patients)
        for tree in await _all(store, "Claim", [("patient", patient)])
        if set(references(tree)) & set(names)
    ]
    answers = [
        tree for claim in claims for tree in await _all(store, "ClaimResponse", [("request", _name(claim))])
    ]
    lists = [tree for name in names for tree in await _all(store, "List", [("item", name)])]
    orders = [tree for one in lists for tree in await _all(store, "Task", [("focus", _name(one))])]
    supplies = await _supplies(store, orders)
    receipts = [
        tree
        for one in supplies
        if one["resourceType"] == "SupplyDelivery"
        for tree in await _all(store, "Task", [("focus", _name(one))])
    ]
    trees = [*lines, *claims, *answers, *lists, *orders, *supplies, *receipts]
    return list(dict.fromkeys([*about, *map(_name, trees)]))


async def _supplies(store: Store, orders: Sequence[Tree]) -> list[Tree]:
    """The order lines and deliveries that hang on an order, however many references away."""
    known = {
        reference
        for tree in orders
        for reference in references(tree)
        if reference.startswith("SupplyRequest/")
    }
    candidates = [tree for name in FOLLOWED for tree in await _all(store, name, [])]
    found: list[Tree] = []
    grown = True
    while grown:
        grown = False
        for tree in candidates:
            if tree not in found and (_name(tree) in known or set(references(tree)) & known):
                found.append(tree)
                known.add(_name(tree))
                grown = True
    return found


async def _all(store: Store, type_name: str, parameters: list[tuple[str, str]]) -> list[Tree]:
    newest = ("_sort", "-_lastUpdated")
    query = parse_query(type_name, [*parameters, ("_count", str(PAGE)), *([] if parameters else [newest])])
    page = await search(store, query)
    return [r4.tree(hit.body) for hit in page.entries]


def _of_message(message: Kept | None, versions: list[Stored]) -> list[Step]:
    """A message is received and mapped once (told of its main resource), and stores several."""
    system = message.channel if message else "fhir"
    steps = [Step(one.updated, word(one), system, f"{one.type}/{one.id}") for one in versions]
    main = min(versions, key=lambda one: _MAINLY.index(one.type) if one.type in _MAINLY else len(_MAINLY))
    about = f"{main.type}/{main.id}"
    if message is None:
        steps.append(Step(main.updated, "received", system, about))
    elif not message.in_reply_to:
        steps.append(Step(message.received, "received", system, about))
        steps.append(Step(main.updated, "mapped", system, about))
    return steps


def word(version: Stored) -> str:
    """What storing this version means, in the flow's own words."""
    if version.type not in ("ClaimResponse", "SupplyDelivery", "SupplyRequest", "Task"):
        return "stored"
    tree = r4.tree(version.body)
    if version.type == "ClaimResponse":
        if tree.get("outcome") == "error":
            return "refused"
        return "settled" if tree.get("use") == "claim" else "pre-settled"
    if version.type == "SupplyDelivery":
        return "delivered" if tree.get("status") == "completed" else "shipped"
    if version.type == "SupplyRequest":
        return "ordered" if version.message else "demanded"
    return "stored"


def _of_delivery(row: outbox.Row, talk: talks.Talk) -> list[Step]:
    words = {"delivered": "sent", "refused": "refused", "unknown": "unanswered", "dead": "dead letter"}
    if row.state not in words:
        return []
    what = f"{words[row.state]} {row.kind or row.step}"
    return [Step(row.created or row.opened, what, row.channel, talk.focus)]


def _numbers(tree: Tree) -> set[str]:
    """What a prescription line goes by: `value` and `system|value` of its group and its own identifiers."""
    found = [
        one for one in (tree.get("groupIdentifier"), *tree.get("identifier", ())) if isinstance(one, dict)
    ]
    values = [str(one.get("value", "")) for one in found]
    return {*values, *(f"{one.get('system', '')}|{value}" for one, value in zip(found, values, strict=True))}


def _name(tree: Tree) -> str:
    return f"{tree['resourceType']}/{tree['id']}"
