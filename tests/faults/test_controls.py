"""The negative controls: a hub with a fault put in must turn the loop red, or the loop proves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.books import Figures, compare
from tests.faults.county import county

HERE = Path(__file__).parent
SEED = 20_260_301
CYCLES = 4


async def loop(folder: Path, script: str) -> Figures:
    url = f"sqlite:///{folder / 'hub.db'}"
    async with county(folder, url, seed=SEED, program=(str(HERE / script),)) as scene:
        scene.drain_seconds = 20.0
        scene.open(pause=0.1)
        await scene.run(CYCLES)
        await scene.rest()
        figures = await compare(scene, url)
        print(f"\n{script}: {figures}")
        return figures


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_acknowledging_before_the_commit_is_found(tmp_path: Path) -> None:
    figures = await loop(tmp_path, "eager.py")
    assert figures.acknowledged_lost > 0


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_sending_before_the_commit_is_found(tmp_path: Path) -> None:
    figures = await loop(tmp_path, "forgetful.py")
    assert figures.acknowledged_lost == 0
    assert figures.effects_doubled + figures.settlements_unknown_to_the_hub > 0
