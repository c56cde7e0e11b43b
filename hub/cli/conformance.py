"""`hub conformance run`: TestScripts against a FHIR server, this hub or any other."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

from hub import clock, conformance
from hub.cli import show
from hub.cli.commands import NotReachable
from hub.conformance import Result, Script, Unreachable, report

COLUMNS = ("suite", "result", "tests", "passed", "failed", "skipped", "reason")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def run(target: str, suites: Sequence[str], folder: Path | None, *, as_json: bool) -> int:
    """Print a row per TestScript and write the reports; 1 unless all passed."""
    results = asyncio.run(_run(target, conformance.read(suites)))
    if folder is not None:
        report.write(results, folder, clock.to_datetime(clock.now()))
    found = [row | {"reason": _CONTROL.sub(" ", row["reason"])} for row in report.rows(results)]
    show.rows(found, COLUMNS, as_json=as_json)
    return 0 if all(one.verdict == "pass" for one in results) else 1


async def _run(url: str, scripts: Sequence[Script]) -> list[Result]:
    async with conformance.reach(url) as server:
        try:
            await server.check()
        except Unreachable as error:
            raise NotReachable(f"{url}: {error}") from error
        return [await conformance.run(one, server) for one in scripts]
