"""`hub conversation retry`: what stopped is done anew, but only where that can double no effect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.errors import Conflict, NotFound, OutcomeUnknown, Rejected, Retryable
from hub.store import Store, Tx, outbox, talks
from hub.store.outbox import Row

from .test_conversations import Scene, settled_again
from .test_delivery import County, _tick, reply, settled

UNDONE = """
conversation: order
trigger: {resource: Task}
steps:
  - step: order
    send: s/order
    unknown:
      ask: [{step: look, send: s/look}]
      found: = %facts.seen.exists()
      undo: {step: cancel, send: s/cancel}
"""


@pytest.fixture
def scene(store: Store, ticking: Any, tmp_path: Path) -> Scene:
    return Scene(store, ticking, tmp_path)


@pytest.fixture
async def county(store: Store, ticking: Any, tmp_path: Path) -> AsyncIterator[County]:
    made = County(store, tmp_path)
    tick = asyncio.create_task(_tick(ticking))
    yield made
    await made.worker.stop()
    tick.cancel()
    await asyncio.gather(tick, return_exceptions=True)


async def retry(which: Scene | County, *, sure: bool = False) -> None:
    talk = (await talks.listing(which.store))[0]
    await which.store.write(lambda tx: which.conversations.retry(tx, talk.id, sure=sure))


async def bury(scene: Scene, *, unanswered: bool = False) -> Row:
    """The delivery that is to go out becomes a dead letter."""
    row = await scene.row()

    async def work(tx: Tx) -> None:
        await outbox.doubt(tx, row.id, unanswered)
        await outbox.mark(tx, row.id, "dead", error="12 attempts")
        await scene.conversations.wait_for_person(tx, row, "12 attempts")

    await scene.store.write(work)
    return row


async def steps(scene: Scene) -> list[str]:
    return [row.step for row in reversed(await outbox.listing(scene.store))]


async def test_a_refused_step_is_done_anew(scene: Scene) -> None:
    await scene.task()
    await scene.answer()
    await scene.answer(refused="not insured")
    scene.woken.clear()
    await retry(scene)
    talk, row = await scene.talk(), await scene.row()
    assert (talk.state, talk.reason, row.step, row.state, row.body) == (
        "running",
        "",
        "settle",
        "pending",
        b"",
    )
    assert scene.woken == ["insurer"]
    await scene.answer(setl_id="9")
    await scene.answer()
    assert (await scene.talk()).state == "done"


async def test_only_what_stopped_is_retried(scene: Scene) -> None:
    await scene.task()
    with pytest.raises(Conflict, match="running"):
        await retry(scene)
    with pytest.raises(NotFound):
        await scene.store.write(lambda tx: scene.conversations.retry(tx, 99))
    await scene.answer()
    await scene.answer()
    await scene.answer()
    with pytest.raises(Conflict, match="done"):
        await retry(scene)
    assert await steps(scene) == ["sign-in", "settle", "print"]


async def test_a_dead_letter_that_was_never_sent_gives_way(scene: Scene) -> None:
    await scene.task()
    await scene.answer()
    dead = await bury(scene)
    await retry(scene)
    given_up = await outbox.load(scene.store, dead.id)
    assert given_up is not None and (given_up.state, given_up.open) == ("cancelled", False)
    assert (await scene.row()).id > dead.id
    assert await outbox.ready(scene.store, "insurer", scene.store.now(), 9) == [(await scene.row()).id]


async def test_an_unanswered_effect_is_done_anew_only_by_somebody_who_is_sure(scene: Scene) -> None:
    await scene.task()
    await scene.answer()
    dead = await bury(scene, unanswered=True)
    with pytest.raises(Conflict, match="--sure"):
        await retry(scene)
    still = await outbox.load(scene.store, dead.id)
    assert still is not None and still.state == "dead", "a refused retry changes nothing"
    assert (await scene.talk()).state == "waiting"
    await retry(scene, sure=True)
    assert await steps(scene) == ["sign-in", "settle", "settle"]


async def test_an_unanswered_question_is_simply_asked_again(scene: Scene) -> None:
    await scene.task()
    await bury(scene, unanswered=True)
    await retry(scene)
    assert await steps(scene) == ["sign-in", "sign-in"]


async def test_a_harmless_step_needs_nobody_to_be_sure(scene: Scene) -> None:
    await scene.task()
    await scene.answer()
    await scene.answer()
    await bury(scene, unanswered=True)
    await retry(scene)
    assert await steps(scene) == ["sign-in", "settle", "print", "print"]


async def test_what_took_effect_is_never_done_anew(scene: Scene) -> None:
    await scene.task()
    await scene.answer()
    await scene.answer(stopped="I1 does not hold")
    for sure in (False, True):
        with pytest.raises(Conflict, match="took effect"):
            await retry(scene, sure=sure)
    assert await steps(scene) == ["sign-in", "settle"]


async def test_a_dead_question_starts_its_round_again_with_a_new_horizon(scene: Scene) -> None:
    await scene.task()
    await scene.answer()
    await scene.silence("H1")
    scene.clock.advance(60)
    await bury(scene)
    await retry(scene)
    await scene.answer()
    assert (await scene.row()).step == "ask-lines", "not reversed before the horizon has passed again"
    scene.clock.advance(11)
    await scene.answer()
    assert (await scene.row()).step == "reverse"


async def test_who_is_sure_ends_the_questions(scene: Scene) -> None:
    await scene.task()
    await scene.answer()
    await scene.silence("H1")
    await bury(scene)
    await retry(scene, sure=True)
    assert (await scene.row()).step == "settle"
    await scene.answer()
    assert (await scene.row()).step == "ask-lines", "and it still looks whether the first one came late"
    await scene.answer()
    assert (await scene.row()).step == "print"


async def test_a_second_attempt_that_was_refused_is_done_anew(scene: Scene) -> None:
    await settled_again(scene)
    await scene.answer(refused="not insured any more")
    await scene.answer()
    assert (await scene.talk()).state == "refused"
    await retry(scene)
    assert (await scene.row()).step == "settle"
    await scene.answer()
    await scene.answer()
    assert (await scene.row()).step == "print"


async def test_a_surplus_is_looked_for_again_never_added_to(scene: Scene) -> None:
    await settled_again(scene)
    await scene.answer()
    await scene.answer(setl_id="9")
    await scene.answer(found_msgid="H1")
    assert "twice" in (await scene.talk()).reason
    await retry(scene, sure=True)
    assert (await scene.row()).step == "ask-lines"
    await scene.answer(setl_id="9")
    await scene.answer(found_msgid="none")
    assert (await scene.row()).step == "print", "somebody undid one of them"


async def test_a_refused_reversal_is_sent_again(scene: Scene) -> None:
    await scene.task()
    await scene.answer()
    await scene.silence("H1")
    scene.clock.advance(11)
    await scene.answer()
    await scene.answer(refused="closed for the night")
    assert (await scene.talk()).state == "waiting"
    await retry(scene)
    assert (await steps(scene))[-2:] == ["reverse", "reverse"]
    await scene.answer()
    assert (await scene.row()).step == "settle"


async def test_what_was_undone_is_done_anew(store: Store, ticking: Any, tmp_path: Path) -> None:
    scene = Scene(store, ticking, tmp_path, UNDONE)
    await scene.task()
    await scene.silence("H1")
    await scene.answer()
    cancelled = await scene.answer()
    assert (cancelled.step, (await scene.talk()).reason) == ("cancel", "order was undone")

    async def replay(tx: Tx) -> None:
        await scene.conversations.advance(tx, cancelled, {})

    await scene.store.write(replay)
    assert (await scene.talk()).state == "waiting", "its answer once more changes nothing"
    await retry(scene)
    assert await steps(scene) == ["order", "look", "cancel", "order"]


async def test_two_who_retry_at_once_send_once(scene: Scene) -> None:
    await scene.task()
    await scene.answer()
    await bury(scene)
    outcomes = await asyncio.gather(*(retry(scene) for _ in range(4)), return_exceptions=True)
    assert sum(one is None for one in outcomes) == 1
    assert await steps(scene) == ["sign-in", "settle", "settle"]


async def test_replaying_the_dead_letter_and_retrying_at_once_send_once(county: County) -> None:
    county.target.answers = [Retryable("busy")] * 3
    await county.worker.start(alone=True)
    await county.task()
    dead = await settled(county, "dead")
    county.target.sent.clear()
    county.target.answers = [reply(order="1"), reply(order="2")]
    await asyncio.gather(county.worker.replay(dead.id), retry(county), return_exceptions=True)
    await settled(county, "delivered")
    assert len(county.target.sent) == 1 and await county.state() == "done"


async def test_fresh_bytes_after_a_refusal(county: County) -> None:
    county.target.answers = [Rejected("no such drug"), reply(order="2")]
    await county.worker.start(alone=True)
    await county.task()
    await settled(county, "refused")
    await retry(county)
    await settled(county, "delivered")
    first, second = county.target.sent
    assert (first.business_id, second.business_id) == ("N1", "N2")
    assert await county.state() == "done"


@pytest.mark.parametrize("error", [OutcomeUnknown("time-out"), ZeroDivisionError("a bug")])
async def test_what_went_unanswered_is_remembered(county: County, error: Exception) -> None:
    county.target.answers = [error, reply(order="2")]
    await county.worker.start(alone=True)
    await county.task()
    dead = await settled(county, "dead")
    assert dead.unanswered
    with pytest.raises(Conflict, match="--sure"):
        await retry(county)
    await retry(county, sure=True)
    await settled(county, "delivered")
    assert [one.business_id for one in county.target.sent] == ["N1", "N2"]


async def test_what_could_not_be_sent_needs_nobody_to_be_sure(county: County) -> None:
    county.target.answers = [Retryable("busy")] * 3 + [reply(order="2")]
    await county.worker.start(alone=True)
    await county.task()
    assert not (await settled(county, "dead")).unanswered
    await retry(county)
    await settled(county, "delivered")
