"""`hub demo`: one prescription travels from a hospital's message to a delivered drug."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path

from rich.console import Console

from hub.cli.demo import journey, messages, report
from hub.cli.demo.stage import MESSAGES, Stage, stage
from hub.errors import HubError
from hub.messages import json_line


def run(*, once: bool = False, as_json: bool = False, file: Path | None = None, port: int = 0) -> int:
    """Play the demo; the exit code: 0 good, 1 something did not arrive."""
    return asyncio.run(_run(once, as_json, file, port))


async def _run(once: bool, as_json: bool, file: Path | None, port: int) -> int:
    console = Console(stderr=as_json, highlight=False)
    try:
        async with stage(port, keep=not once) as one:
            if file is not None:
                await _third_party(one, file, console, as_json)
            else:
                await _journey(one, console, as_json)
            if not once:
                report.show_where_next(console, one)
                await _until_interrupted()
    except HubError as error:
        console.print(f"[red]demo failed[/red]: {error}")
        return 1
    return 0


async def _journey(one: Stage, console: Console, as_json: bool) -> None:
    prescriptions = await journey.play(one, lambda text: console.print(f"[dim]·[/dim] {text}"))
    found = await report.report(one, prescriptions)
    if as_json:
        print(json_line(found))
    else:
        report.show(console, found, one)


async def _third_party(one: Stage, file: Path, console: Console, as_json: bool) -> None:
    hospital = type(one.simulators["county-hospital"])(target=one.target(MESSAGES))
    try:
        sent, left_out = await messages.send_all(one, hospital, file)
    finally:
        await hospital.stop()
    if as_json:
        rows = [
            {"name": s.name, "kind": s.kind, "ack": s.ack, "state": s.state, "reason": s.reason} for s in sent
        ]
        print(json_line({"messages": messages.totals(sent), "each": rows}))
    else:
        messages.show(console, sent, left_out)


async def _until_interrupted() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    await stop.wait()
