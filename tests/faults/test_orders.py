"""kill -9 while prescriptions become orders: every box that was prescribed is ordered exactly once."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hub.testing import running
from hub_his_hl7v2.simulator import DRUGS
from hub_procurement_zhejiang.simulator import Simulator as Platform
from tests.faults.books import compare
from tests.faults.county import County, county
from tests.faults.test_kill import CYCLES, seed

TROUBLE = (
    ("ZJ9653", "lose-reply"),
    ("ZJ9656", "lose-reply"),
    ("ZJ9656", "lose-request"),
    ("ZJ9657", "lose-reply"),
)
SLOW = (("ZJ9653", 0.3), ("ZJ9656", 0.3))


async def demand(scene: County, platform: Platform) -> None:
    """Somebody asks again and again for what is prescribed to be ordered; the answer may get lost."""
    while not scene.resting:
        kind, what = scene.rng.choice(TROUBLE)
        platform.faults.add(what, kind)  # type: ignore[arg-type]
        kind, seconds = scene.rng.choice(SLOW)
        platform.faults.add("late", kind, seconds=seconds)
        await scene.hub.post("/fhir/MedicationRequest/$demand", {"resourceType": "Parameters"})
        await asyncio.sleep(scene.rng.uniform(0.2, 0.8))


@pytest.mark.slow
@pytest.mark.timeout(300 + 30 * CYCLES)
async def test_every_box_is_ordered_exactly_once(sqlite_url: str, tmp_path: Path) -> None:
    cycles = max(CYCLES // 4, 2)
    async with running(Platform()) as platform:
        more: dict[str, Any] = {
            "procurement": {
                "adapter": "procurement-zhejiang",
                "mapping": "procurement-zhejiang",
                "conversations": ["procurement-zhejiang/place-order"],
                "poll_interval": 0.3,
                "effect_horizon": 1.5,
                "retry_seconds": 0.1,
                "retry_seconds_max": 1.0,
                "attempts": 60,
                **platform.channel(),
            }
        }
        async with county(tmp_path, sqlite_url, seed=seed(), drugs=DRUGS[:1], more=more) as scene:
            scene.open(pause=0.6)
            scene.also(demand(scene, platform))
            await scene.run(cycles)
            platform.faults.clear()
            await scene.rest(before=lambda: last_demand(scene, platform))
            figures = await compare(scene, sqlite_url)
            books = platform.books()
            memos = [row["planDetlMemo"] for plan in books["plans"] if plan["sent"] for row in plan["rows"]]
            lines = Counter(memo.split("/")[0] for memo in memos)
            ordered = sum(row["purcCnt"] for row in books["orders"])
            unsent = sum(1 for plan in books["plans"] if not plan["sent"])
            print(f"{figures}\norders {len(books['orders'])}, boxes {ordered}, plans left unsent {unsent}")
            assert figures.wrong == {}, f"{figures.wrong}\n{scene.hub.tail()}"
            assert len(books["orders"]) > 1
            assert [line for line, times in lines.items() if times > 1] == []
            assert ordered == boxes(scene)


async def last_demand(scene: County, platform: Platform) -> None:
    """What no demand held yet, without trouble."""
    platform.faults.clear()
    answer = await scene.hub.post("/fhir/MedicationRequest/$demand", {"resourceType": "Parameters"})
    assert answer is not None and answer.status_code == 200, answer and answer.text


def boxes(scene: County) -> int:
    """What the hospitals prescribed, from their own books: RXO-11."""
    prescribed = 0
    for _, ward in scene.wards:
        known = {sent.body for sent in ward.sent if sent.code == "AA" and sent.kind == "OMP^O09"}
        for body in known:
            fields = next(line for line in body.split(b"\r") if line.startswith(b"RXO|")).split(b"|")
            prescribed += int(fields[11])
    return prescribed
