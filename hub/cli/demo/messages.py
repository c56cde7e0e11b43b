"""`hub demo --messages FILE`: somebody else's HL7 v2 messages through the MLLP port, each accounted for.

FILE is a text file of messages (each begins with MSH), or JSON: a list of strings or of objects with
`message` (and, if they like, `id`). Only the kinds that this hub maps are sent.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from hub.cli.demo.stage import MESSAGES, Stage
from hub.errors import Misconfigured

SENT_KINDS = ("ADT^", "OMP^O09", "RDE^O11")
OUTCOMES = ("stored", "invalid", "conflict", "duplicate", "rejected")


class Sent(msgspec.Struct, frozen=True):
    """One message that was sent: its name in the file, its kind, what the hub answered and why."""

    name: str
    kind: str
    ack: str
    state: str
    reason: str


def read(file: Path) -> list[tuple[str, str]]:
    """(name, text) of every message in a file; Misconfigured if there is none to read."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{file}: expected a UTF-8 file of HL7 v2 messages: {error}") from error
    if text.lstrip().startswith("["):
        rows = json.loads(text)
        return [
            (str(row.get("id", number)), str(row["message"]))
            if isinstance(row, dict)
            else (str(number), str(row))
            for number, row in enumerate(rows, 1)
        ]
    lines = text.replace("\r\n", "\r").replace("\n", "\r").split("\r")
    messages: list[list[str]] = []
    for line in lines:
        if line.startswith("MSH"):
            messages.append([])
        if line and messages:
            messages[-1].append(line)
    if not messages:
        raise Misconfigured(f"{file}: found no line that begins with MSH")
    return [(str(number), "\r".join(one) + "\r") for number, one in enumerate(messages, 1)]


def kind_of(text: str) -> str:
    """`ADT^A04` from MSH-9."""
    fields = text.split("\r", 1)[0].split(text[3]) if len(text) > 3 else []
    return "^".join(fields[8].split("^")[:2]) if len(fields) > 8 else ""


async def send_all(stage: Stage, hospital: Any, file: Path) -> tuple[list[Sent], int]:
    """Send every message of the mapped kinds; what became of each, and how many kinds were left out."""
    wanted = [(name, text, kind_of(text)) for name, text in read(file)]
    chosen = [one for one in wanted if one[2].startswith(SENT_KINDS)]
    acks = []
    for name, text, kind in chosen:
        acks.append((name, kind, await hospital.act("send", content=text.encode())))
    rows = await stage.get("/admin/messages", channel=MESSAGES, limit=max(len(chosen), 1))
    kept = sorted(rows["messages"], key=lambda row: row["id"])
    return [
        Sent(
            name,
            kind,
            next((line.split("|")[1] for line in ack.split("\r") if line.startswith("MSA")), "none"),
            row["state"],
            "; ".join(issue["diagnostics"] for issue in row["issues"]),
        )
        for (name, kind, ack), row in zip(acks, kept, strict=True)
    ], len(wanted) - len(chosen)


def totals(sent: list[Sent]) -> dict[str, int]:
    """received = stored + invalid + conflict + duplicate + rejected."""
    counted = Counter(one.state for one in sent)
    return {"received": len(sent), **{state: counted.get(state, 0) for state in OUTCOMES}}


def show(console: Console, sent: list[Sent], left_out: int) -> None:
    """Every message with its reason, and the sum."""
    table = Table("message", "kind", "ack", "became", "why", title="Third-party messages", box=None)
    table.columns[0].overflow = table.columns[4].overflow = "fold"
    for one in sent:
        table.add_row(one.name, one.kind, one.ack, one.state, one.reason)
    console.print(table)
    figures = totals(sent)
    parts = " + ".join(f"{figures[state]} {state}" for state in OUTCOMES)
    console.print(f"received {figures['received']} = {parts}; {left_out} of other kinds were not sent")
