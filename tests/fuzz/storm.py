"""Requests by chance against a hub that runs, and what was wrong with the answers."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.fuzz.client import Client, NoAnswer
from tests.fuzz.judging import complaint
from tests.fuzz.requests import Request, request

SHOWN = 600


@dataclass
class Report:
    """How many requests got which status, how long they took, and every complaint by its kind."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    complaints: dict[str, list[str]] = field(default_factory=dict)

    def complain(self, what: str, about: Request, answer: bytes = b"") -> None:
        """Keep a complaint with the request it is about."""
        wire = about.wire("hub")
        text = wire[:SHOWN].decode("utf-8", "replace") + (
            f" ... {len(wire)} bytes" if len(wire) > SHOWN else ""
        )
        self.complaints.setdefault(what, []).append(
            f"{text}\n--> {answer[:SHOWN].decode('utf-8', 'replace')}"
        )

    def __str__(self) -> str:
        times = sorted(self.seconds) or [0.0]
        told = ", ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()))
        p99, longest = times[len(times) * 99 // 100 - 1], times[-1]
        lines = [f"{len(self.seconds)} requests ({told}); p99 {p99 * 1000:.0f} ms, longest {longest:.2f} s"]
        for what, examples in self.complaints.items():
            lines.append(f"\n== {what}: {len(examples)} times")
            lines += examples[:5]
        return "\n".join(lines)


async def storm(
    host: str, port: int, *, seed: int, seconds: float, most: int = 10**9, workers: int = 8
) -> Report:
    """Ask until the time is over, or `most` questions are; the same seed asks the same questions."""
    report = Report()
    until = time.monotonic() + seconds

    async def work(number: int) -> None:
        rng = random.Random(f"{seed}/{number}")
        client = Client(host, port)
        for _ in range(most // workers):
            if time.monotonic() > until:
                break
            await _ask(client, request(rng), report)
        await client.close()

    await asyncio.gather(*(work(number) for number in range(workers)))
    return report


async def _ask(client: Client, asked: Request, report: Report) -> None:
    try:
        answer = await client.send(asked)
    except NoAnswer:
        await client.close()
        try:
            answer = await client.send(asked)
        except NoAnswer as error:
            report.complain(f"no answer: {error}", asked)
            return
    except TimeoutError:
        await client.close()
        report.complain("no answer in time", asked)
        return
    report.statuses[answer.status] += 1
    report.seconds.append(answer.seconds)
    if wrong := complaint(asked, answer):
        report.complain(wrong, asked, answer.body)
