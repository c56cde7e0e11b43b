"""kill -9 in a loop: nothing that was acknowledged is lost, and no claim is settled twice.

`HUB_FAULT_CYCLES` says how often (20), `HUB_FAULT_SEED` repeats a run as far as timing allows.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.faults.books import compare
from tests.faults.county import county
from tests.faults.running import SERVE

CYCLES = int(os.environ.get("HUB_FAULT_CYCLES", "20"))
SHARE = {"sqlite": 1, "postgresql": 4}
"""PostgreSQL, which commits in a process that nobody kills, gets a quarter of the cycles."""
LEASES = (str(Path(__file__).with_name("short_leases.py")),)


def seed() -> int:
    """A new one for every run, printed; or the one that is named."""
    chosen = int(os.environ.get("HUB_FAULT_SEED") or random.SystemRandom().randrange(1_000_000))
    print(f"\nHUB_FAULT_SEED={chosen}")
    return chosen


@pytest.mark.slow
@pytest.mark.timeout(300 + 30 * CYCLES)
async def test_nothing_is_lost_and_nothing_doubled(database_url: str, tmp_path: Path) -> None:
    # Where several workers may share an outbox, a dead worker's sends are taken up when its lease ends: after
    # three minutes, which a loop of kills cannot wait for.
    kind = database_url.partition(":")[0]
    program, cycles = SERVE if kind == "sqlite" else LEASES, max(CYCLES // SHARE[kind], 2)
    async with county(tmp_path, database_url, seed=seed(), program=program) as scene:
        scene.open(pause=0.25)
        await scene.run(cycles)
        await scene.rest()
        figures = await compare(scene, database_url)
        print(f"{kind}: {figures}")
        assert figures.wrong == {}, f"{figures.wrong}\n{scene.hub.tail()}"
        assert figures.kills == cycles
        assert figures.acknowledged >= cycles and figures.claims >= cycles // 2
        assert figures.sent_more_than_once > 0, "no kill ever met an unacknowledged message"
        assert figures.lost_answers > 0
