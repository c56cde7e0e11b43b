"""What the demo tells at the end: one timeline per prescription, the counts, and where to look next."""

from __future__ import annotations

import shutil
import sys
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.table import Table

from hub.cli.demo.messages import OUTCOMES
from hub.cli.demo.stage import INSURER, PLATFORM, Stage

TYPES = (
    "Patient",
    "Organization",
    "Practitioner",
    "Condition",
    "Encounter",
    "Coverage",
    "MedicationRequest",
    "Claim",
    "ClaimResponse",
    "List",
    "Task",
    "SupplyRequest",
    "SupplyDelivery",
    "Medication",
)


async def report(stage: Stage, prescriptions: list[str]) -> dict[str, Any]:
    """The JSON object that `hub demo --once --json` prints."""
    journeys = [await stage.get(f"/admin/journeys/{quote(one, safe='')}") for one in prescriptions]
    counts = {one: await _count(stage, one) for one in TYPES}
    return {
        "journeys": journeys,
        "counts": {name: number for name, number in counts.items() if number},
        "messages": await _messages(stage),
        "settlements": await _settlements(stage),
        "orders": await _orders(stage),
    }


async def _count(stage: Stage, type_name: str) -> int:
    return len(await stage.resources(type_name, _count=500))


async def _messages(stage: Stage) -> dict[str, int]:
    figures = dict.fromkeys(("received", *OUTCOMES), 0)
    for row in (await stage.get("/admin/messages/counts"))["counts"]:
        if not row["reply"]:
            figures["received"] += row["messages"]
            figures[row["state"]] = figures.get(row["state"], 0) + row["messages"]
    return figures


async def _settlements(stage: Stage) -> dict[str, int]:
    claims = [one for one in await stage.resources("Claim", _count=500) if one["use"] == "claim"]
    books = stage.simulators[INSURER].books()["settlements"]
    resolved = (await stage.get("/admin/deliveries", state="unknown", limit=500))["deliveries"]
    return {
        "claims": len(claims),
        "at_insurer": len([one for one in books if not one["reversed"]]),
        "unknown_resolved": len(resolved),
    }


async def _orders(stage: Stage) -> dict[str, int]:
    """Order lines: those the hub knows, those at the platform, those received in full."""
    books = stage.simulators[PLATFORM].books()
    requests = await stage.resources("SupplyRequest", _count=500)
    lines = [one for one in requests if any(_is_order_line(id) for id in one.get("identifier", ()))]
    received: dict[str, float] = {}
    for delivery in await stage.resources("SupplyDelivery", _count=500):
        if delivery["status"] == "completed":
            line = delivery["basedOn"][0]["reference"]
            received[line] = received.get(line, 0) + delivery["suppliedItem"]["quantity"]["value"]
    full = [one for one in lines if received.get(f"SupplyRequest/{one['id']}", 0) == one["quantity"]["value"]]
    return {"lines": len(lines), "at_platform": len(books["orders"]), "received": len(full)}


def _is_order_line(identifier: dict[str, Any]) -> bool:
    return str(identifier.get("system", "")).endswith("/ord-detl-id")


def show(console: Console, found: dict[str, Any], stage: Stage) -> None:
    """The same for people: when, who, what, which resource (long ids shortened; --json has them whole)."""
    for journey in found["journeys"]:
        system, _, number = journey["prescription"].rpartition("|")
        title = f"Prescription {number} of {system.rsplit('/', 2)[-2]}"
        table = Table("when", "who", "what", "which resource", title=title, title_justify="left", box=None)
        for (when, who, what), steps in groupby(
            journey["steps"], key=lambda step: (step["when"][11:23], step["system"], step["step"])
        ):
            table.add_row(when, who, what, ", ".join(_short(step["resource"]) for step in steps))
        console.print(table)
        console.print()
    counts = ", ".join(f"{number} {name}" for name, number in found["counts"].items())
    console.print(f"[bold]FHIR resources[/bold]: {counts}")
    for name in ("messages", "settlements", "orders"):
        figures = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in found[name].items())
        console.print(f"[bold]{name}[/bold]: {figures}")


def _short(reference: str) -> str:
    type_name, _, id = reference.partition("/")
    return f"{type_name}/{id}" if len(id) <= 12 else f"{type_name}/{id[:8]}…"


def show_where_next(console: Console, stage: Stage) -> None:
    """Where to look while the hub is up."""
    base = f"http://{stage.settings.host}:{stage.settings.port}"
    console.print(f"\nThe hub is up at {base} (folder {stage.folder}). Look around:")
    for path in (
        "/fhir/Patient",
        "/fhir/ClaimResponse?_include=ClaimResponse:request",
        "/fhir/SupplyDelivery",
        "/admin/messages",
        "/admin/conversations",
        "/docs",
    ):
        console.print(f"  curl -s '{base}{path}'", soft_wrap=True)
    command = "hub" if shutil.which("hub") else f"'{Path(sys.argv[0]).resolve()}'"
    console.print(f"  {command} message list --config '{stage.folder / 'hub.toml'}'", soft_wrap=True)
    console.print("Ctrl-C ends it.")
