"""The negative controls: a hub with a fault put in must turn the loop red, or the loop proves nothing.

Neither waits for a lucky moment: the faulty hub stands still in the gap that its fault opens, the kill comes
once the other side has what falls into the gap, and a sound hub goes on from what was committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.books import Figures, compare
from tests.faults.county import County, county
from tests.faults.running import SERVE

HERE = Path(__file__).parent
SEED = 20_260_301
PAUSE_SECONDS = 1.0


async def loop(folder: Path, script: str, struck: Callable[[County], list[Any]]) -> tuple[Figures, list[Any]]:
    """One kill, as soon as anything is `struck` by it; the figures, and what was struck."""
    url = f"sqlite:///{folder / 'hub.db'}"
    async with county(folder, url, seed=SEED, program=(str(HERE / script),)) as scene:
        await scene.hub.start()
        scene.open(pause=PAUSE_SECONDS)
        while not struck(scene):
            assert scene.hub.alive, scene.hub.tail()
            await asyncio.sleep(0.01)
        found = struck(scene)
        scene.resting = True
        scene.hub.kill()
        scene.hub.program = SERVE
        await scene.rest()
        figures = await compare(scene, url)
        print(f"\n{script}: {len(found)} struck; {figures}")
        return figures, found


def acknowledged(scene: County) -> list[Any]:
    """What the hospitals got AA for."""
    return [sent for _, ward in scene.wards for sent in ward.sent if sent.code == "AA"]


def settled(scene: County) -> list[Any]:
    """What the insurer did."""
    return list(scene.insurer.books()["settlements"])


async def test_acknowledging_before_the_commit_is_found(tmp_path: Path) -> None:
    figures, lost = await loop(tmp_path, "eager.py", acknowledged)
    assert figures.acknowledged_lost >= len(lost) > 0


async def test_sending_before_the_commit_is_found(tmp_path: Path) -> None:
    figures, unknown = await loop(tmp_path, "forgetful.py", settled)
    assert figures.settlements_unknown_to_the_hub >= len(unknown) > 0
    assert figures.acknowledged_lost == 0


async def test_the_same_kill_finds_nothing_in_a_sound_hub(tmp_path: Path) -> None:
    figures, settlements = await loop(tmp_path, "standstill.py", settled)
    assert len(settlements) > 0
    assert figures.wrong == {}
