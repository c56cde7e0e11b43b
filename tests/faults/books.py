"""Three sets of books, compared: what the hospitals got acknowledged, what the hub has, what the insurer did.

The hub's side is read with plain SQL from its stopped database, by none of the hub's own code.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import asyncpg

from hub.store.names import TYPE_NUMBER
from hub.store.shrinking import grown
from tests.faults.county import County

Sql = list[tuple[Any, ...]]


@dataclasses.dataclass
class Figures:
    """What a loop amounted to; those of `WRONG` must be 0."""

    kills: int = 0
    messages_sent: int = 0
    acknowledged: int = 0
    sent_more_than_once: int = 0
    duplicates_kept: int = 0
    claims: int = 0
    settlements: int = 0
    reversed: int = 0
    fenced: int = 0
    lost_answers: int = 0
    unknown_resolved: int = 0
    versions: int = 0
    never_acknowledged: int = 0
    acknowledged_lost: int = 0
    acknowledged_without_effect: int = 0
    taken_twice: int = 0
    effects_doubled: int = 0
    settlements_unknown_to_the_hub: int = 0
    responses_without_settlement: int = 0
    unresolved: int = 0
    amounts_off: int = 0
    gaps_in_history: int = 0
    database_damaged: int = 0

    @property
    def wrong(self) -> dict[str, int]:
        """The figures that should be 0 and are not."""
        return {name: value for name in WRONG if (value := getattr(self, name))}

    def __str__(self) -> str:
        found = dataclasses.asdict(self).items()
        return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in found)


WRONG = (
    "never_acknowledged",
    "acknowledged_lost",
    "acknowledged_without_effect",
    "taken_twice",
    "effects_doubled",
    "settlements_unknown_to_the_hub",
    "responses_without_settlement",
    "unresolved",
    "amounts_off",
    "gaps_in_history",
    "database_damaged",
)


async def select(url: str, *statements: str) -> list[Sql]:
    """The rows of each statement."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        try:
            return [connection.execute(text).fetchall() for text in statements]
        finally:
            connection.close()
    server = await asyncpg.connect(url)
    try:
        return [[tuple(row) for row in await server.fetch(text)] for text in statements]
    finally:
        await server.close()


async def compare(county: County, url: str) -> Figures:
    """Read all books after the hub has stopped."""
    messages, deliveries, conversations, versions, heads = await select(
        url,
        "SELECT seq, channel, key, state, kind, body FROM message WHERE in_reply_to = 0",
        "SELECT kind, state, attempts, open FROM delivery",
        "SELECT state FROM conversation",
        "SELECT pid, version, type, message, body FROM version ORDER BY sequence",
        "SELECT pid, type, version, deleted FROM head",
    )
    figures = Figures(kills=county.hub.kills, versions=len(versions))
    figures.lost_answers = len(county.insurer.faults.struck)
    _messages(figures, county, messages, versions)
    _settlements(figures, county, versions, heads)
    figures.unresolved += sum(1 for (state,) in conversations if state != "done")
    figures.unresolved += sum(1 for _, _, _, is_open in deliveries if is_open)
    figures.unknown_resolved = sum(1 for _, state, _, _ in deliveries if state == "unknown")
    _history(figures, versions, heads)
    if url.startswith("sqlite"):
        ((told,),) = (await select(url, "PRAGMA integrity_check"))[0]
        figures.database_damaged = int(told != "ok")
    return figures


def _messages(figures: Figures, county: County, messages: Sql, versions: Sql) -> None:
    kept: dict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
    for row in messages:
        if row[3] == "stored":
            kept[row[1], row[2]].append(row)
    figures.duplicates_kept = sum(1 for row in messages if row[3] == "duplicate")
    figures.taken_twice = sum(len(rows) - 1 for rows in kept.values())
    effective = {row[3] for row in versions}
    for channel, ward in county.wards:
        accepted = {sent.control_id for sent in ward.sent if sent.code == "AA"}
        figures.never_acknowledged += len({sent.control_id for sent in ward.sent} - accepted)
        for sent in ward.sent:
            figures.messages_sent += 1
            figures.sent_more_than_once += sent.times > 1
            if sent.code != "AA":
                continue
            figures.acknowledged += 1
            found = kept.get((channel, _key(sent.body)), [])
            if not any(bytes(row[5]) == sent.body for row in found):
                figures.acknowledged_lost += 1
            elif not any(row[0] in effective for row in found):
                figures.acknowledged_without_effect += 1


def _key(body: bytes) -> str:
    """MSH-3, 4, 7 and 10, as the standard counts them."""
    header = body.split(b"\r", 1)[0].decode("ascii", "replace").split("|")
    return "|".join(header[number] for number in (2, 3, 6, 9))


def _settlements(figures: Figures, county: County, versions: Sql, heads: Sql) -> None:
    current = {(row[0], row[2]) for row in heads if not row[3]}
    bodies: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for pid, number, kind, _, body in versions:
        if (pid, number) in current and kind in (TYPE_NUMBER["Claim"], TYPE_NUMBER["ClaimResponse"]):
            bodies[kind].append(json.loads(grown(bytes(body)), parse_float=Decimal))
    claims, responses = bodies[TYPE_NUMBER["Claim"]], bodies[TYPE_NUMBER["ClaimResponse"]]
    settled = [one for one in responses if one["use"] == "claim" and one["outcome"] == "complete"]
    insurer = county.insurer.books()
    books = insurer["settlements"]
    standing = [one for one in books if not one["reversed"]]
    figures.claims, figures.settlements = len(claims), len(standing)
    figures.reversed, figures.fenced = len(books) - len(standing), len(insurer["fenced"])

    visits = Counter((one["institution"], one["ipt_otp_no"]) for one in standing)
    figures.effects_doubled = sum(number - 1 for number in visits.values())
    told = {tuple(_named(one, "setl-id", "medins-setl-id")) for one in settled}
    real = {(one["setl_id"], one["msgid"]) for one in standing}
    figures.settlements_unknown_to_the_hub = len(real - told)
    figures.responses_without_settlement = len(told - real)
    answered = Counter(one["request"]["reference"] for one in settled)
    figures.unresolved += sum(1 for claim in claims if answered[f"Claim/{claim['id']}"] != 1)

    prescribed = list(_prescribed(county))
    figures.taken_twice += max(0, len(claims) - len(prescribed))
    figures.acknowledged_without_effect += max(0, len(prescribed) - len(claims))
    paid = sorted(Decimal(str(one["medfee_sumamt"])) for one in standing)
    figures.amounts_off = int(paid != sorted(prescribed))


def _named(response: dict[str, Any], *systems: str) -> Iterable[str]:
    for system in systems:
        found = [one["value"] for one in response["identifier"] if one["system"].endswith(f"/sid/{system}")]
        yield found[0] if len(found) == 1 else ""


def _prescribed(county: County) -> Iterable[Decimal]:
    """FT1-11 of every acknowledged prescription: what the hospitals charged."""
    seen = set()
    for channel, ward in county.wards:
        for sent in ward.sent:
            if sent.code != "AA" or sent.kind != "OMP^O09" or (channel, _key(sent.body)) in seen:
                continue
            seen.add((channel, _key(sent.body)))
            for line in sent.body.split(b"\r"):
                if line.startswith(b"FT1|"):
                    yield Decimal(line.split(b"|")[11].split(b"^")[0].decode())


def _history(figures: Figures, versions: Sql, heads: Sql) -> None:
    """Every resource has versions 1 to n, each once, and its head is the last one."""
    numbers: dict[int, list[int]] = defaultdict(list)
    for pid, number, *_ in versions:
        if number:
            numbers[pid].append(number)
    last = {pid: number for pid, _, number, _ in heads}
    for pid in numbers.keys() | last.keys():
        found = sorted(numbers[pid])
        if found != list(range(1, len(found) + 1)) or last.get(pid) != len(found):
            figures.gaps_in_history += 1
