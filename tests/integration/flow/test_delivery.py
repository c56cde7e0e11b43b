"""Delivery: bytes fixed before the first send, retries, silence, crashes, dead letters; on both databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hub import conversations, mapping
from hub.channels import Channel
from hub.conversations import Conversations, Target
from hub.delivery import DeliveryWorker
from hub.errors import Misconfigured, OutcomeUnknown, Rejected, Retryable
from hub.messages import Applied, Message, NotApplied, json_line
from hub.metrics import Metrics
from hub.store import Store, Tx, inbox, outbox, talks
from hub.store.outbox import Row
from hub.store.resources import draft, put
from tests.integration.flow.parts import Fake, channel, pipeline

PLACE = """
mapping: s/place
direction: out
format: json
kind: PLACE
counter: = 'clinic-1'
business_id: = %no
let:
  no: = 'N' + %delivery.number.toString()
message:
  no: = %no
  task: = id
  created: = %delivery.created
  priority: = %settings.priority
"""

PLACED = """
mapping: s/placed
format: json
kinds: [PLACE reply]
facts:
  order: = order
"""

CONVERSATION = """
conversation: order
trigger: {resource: Task, when: = status = 'requested'}
steps:
  - {step: place, send: s/place, reply: s/placed}
"""


class County:
    """A store, a fake target and a running delivery worker."""

    def __init__(self, store: Store, folder: Path, conversation: str = CONVERSATION) -> None:
        files = {"place.yaml": PLACE, "placed.yaml": PLACED, "order.conversation.yaml": conversation}
        (folder / "s").mkdir()
        for name, text in files.items():
            (folder / "s" / name).write_text(text, "utf-8")
        self.store = store
        self.target = Fake("target")
        self.channel: Channel = channel(
            "target", self.target, retry_seconds=0.01, retry_seconds_max=0.02, attempts=3
        )
        self.channel.state = "running"
        mappings = mapping.load([folder])
        target = Target(channel="target", documents=("s/order",), values={"priority": "high"})
        self.conversations = Conversations(conversations.load([folder]), [target])
        store.changed.append(self.conversations.stored)
        store.committed.append(self.conversations.committed)
        flow = pipeline(store, mappings=mappings, conversations=self.conversations)
        self.worker = DeliveryWorker(
            store, flow, self.conversations, {"target": self.channel}, now=store.now, metrics=Metrics()
        )
        self.conversations.woken = self.worker.wake

    async def task(self, id: str = "1") -> None:
        body = json_line(
            {"resourceType": "Task", "id": id, "status": "requested", "intent": "order"}
        ).encode()

        async def work(tx: Tx) -> None:
            await put(tx, draft(self.store, body, owner="api"))

        await self.store.write(work)

    async def rows(self) -> list[Row]:
        return list(reversed(await outbox.listing(self.store)))

    async def row(self) -> Row:
        return (await self.rows())[-1]

    async def state(self) -> str:
        return (await talks.listing(self.store))[0].state


def reply(**content: Any) -> Message:
    return Message(
        key="", body=json.dumps(content).encode(), kind="PLACE reply", content_type="application/json"
    )


@pytest.fixture
async def county(store: Store, ticking: Any, tmp_path: Path) -> AsyncIterator[County]:
    made = County(store, tmp_path)
    tick = asyncio.create_task(_tick(ticking))
    yield made
    await made.worker.stop()
    tick.cancel()
    await asyncio.gather(tick, return_exceptions=True)


async def _tick(ticking: Any) -> None:
    """Time passes, so that pauses end."""
    while True:
        ticking.advance(0.01)
        await asyncio.sleep(0.001)


async def until(holds: Callable[[], Awaitable[bool]], county: County | None = None) -> None:
    for _ in range(1000):
        if await holds():
            return
        await asyncio.sleep(0.005)
    rows = [(row.id, row.step, row.state, row.error) for row in await county.rows()] if county else []
    raise AssertionError(f"it did not come about: {rows}")


async def settled(county: County, *states: str) -> Row:
    async def holds() -> bool:
        rows = await county.rows()
        return bool(rows) and rows[-1].state in states

    await until(holds, county)
    return await county.row()


async def test_a_delivery_goes_out_and_its_reply_comes_in_as_a_message(county: County) -> None:
    county.target.answers = [reply(order="77")]
    await county.worker.start(alone=True)
    await county.task()
    row = await settled(county, "delivered")
    sent = json.loads(county.target.sent[0].body)
    assert (sent["no"], sent["task"], sent["priority"]) == ("N1", "1", "high")
    assert sent["created"].endswith("+08:00")
    assert (row.business_id, row.number, row.kind, row.body) == ("N1", 1, "PLACE", county.target.sent[0].body)
    kept = await inbox.load(county.store, row.reply)
    assert kept is not None and (kept.state, kept.in_reply_to, kept.body) == (
        "stored",
        row.id,
        reply(order="77").body,
    )
    (talk,) = await talks.listing(county.store)
    assert (talk.state, talk.facts) == ("done", {"order": "77"})


async def test_the_bytes_are_durable_before_they_leave(county: County) -> None:
    seen: list[tuple[str, bytes]] = []

    async def send(delivery: Any) -> Message:
        row = await outbox.load(county.store, delivery.id)
        assert row is not None
        seen.append((row.state, row.body))
        return reply(order="1")

    county.target.send = send  # type: ignore[method-assign]
    await county.worker.start(alone=True)
    await county.task()
    row = await settled(county, "delivered")
    assert seen == [("in_flight", row.body)]


async def test_a_retry_sends_the_same_bytes(county: County) -> None:
    county.target.answers = [Retryable("busy"), Retryable("busy"), reply(order="1")]
    await county.worker.start(alone=True)
    await county.task()
    row = await settled(county, "delivered")
    assert row.attempts == 3
    assert len({(one.body, one.business_id, one.created) for one in county.target.sent}) == 1
    assert [one.attempt for one in county.target.sent] == [1, 2, 3]


async def test_after_the_last_attempt_it_is_a_dead_letter_that_can_be_replayed(county: County) -> None:
    county.target.answers = [Retryable("busy")] * 3
    await county.worker.start(alone=True)
    await county.task()
    row = await settled(county, "dead")
    assert "busy (3 attempts)" in row.error and await county.state() == "waiting"
    assert len(county.target.sent) == 3

    county.target.answers = [reply(order="1")]
    assert await county.worker.replay(row.id)
    await settled(county, "delivered")
    assert county.target.sent[3].body == county.target.sent[0].body
    assert await county.state() == "done"
    assert not await county.worker.replay(row.id), "it is none any more"


async def test_a_refusal_is_stored_and_never_sent_again(county: County) -> None:
    county.target.answers = [Rejected("no such drug", reply=reply(order=None))]
    await county.worker.start(alone=True)
    await county.task()
    row = await settled(county, "refused")
    assert row.error == "no such drug" and row.reply > 0
    assert await county.state() == "refused"
    assert len(county.target.sent) == 1


async def test_an_unanswered_effect_is_confirmed_not_repeated(county: County) -> None:
    county.target.answers = [OutcomeUnknown("time-out")]
    county.target.confirmations = [Applied(reply(order="9"))]
    await county.worker.start(alone=True)
    await county.task()
    await settled(county, "delivered")
    assert len(county.target.sent) == 1
    assert (await talks.listing(county.store))[0].facts == {"order": "9"}


async def test_what_certainly_did_not_happen_is_sent_again(county: County) -> None:
    county.target.answers = [OutcomeUnknown("time-out"), reply(order="1")]
    county.target.confirmations = [NotApplied("nothing there")]
    await county.worker.start(alone=True)
    await county.task()
    await settled(county, "delivered")
    assert [one.body for one in county.target.sent] == [county.target.sent[0].body] * 2


async def test_an_outcome_nobody_can_tell_waits_for_a_person(county: County) -> None:
    county.target.answers = [OutcomeUnknown("time-out")]
    await county.worker.start(alone=True)
    await county.task()
    row = await settled(county, "dead")
    assert "unknown" in row.error and len(county.target.sent) == 1
    assert await county.state() == "waiting"


async def test_an_adapter_that_breaks_counts_as_unanswered(county: County) -> None:
    county.target.answers = [ZeroDivisionError("a bug")]
    county.target.confirmations = [Applied(reply(order="1"))]
    await county.worker.start(alone=True)
    await county.task()
    await settled(county, "delivered")
    assert len(county.target.sent) == 1


async def test_a_crash_between_send_and_answer_asks_before_anything_else(county: County) -> None:
    await county.task()
    row = await county.row()

    async def crashed(tx: Tx) -> None:
        letter = outbox.Letter(
            number=1,
            created=tx.now,
            kind="PLACE",
            business_id="N1",
            content_type="application/json",
            headers="{}",
            mapping=b"",
            body=b'{"no":"N1"}',
        )
        await outbox.claim(tx, row, "in_flight", tx.now + 10**9, 1)
        await outbox.write(tx, row.id, letter)

    await county.store.write(crashed)
    county.target.confirmations = [Applied(reply(order="5"))]
    await county.worker.start(alone=True)
    await settled(county, "delivered")
    assert county.target.sent == []
    assert (await talks.listing(county.store))[0].facts == {"order": "5"}


async def test_what_another_worker_took_meanwhile_is_left_to_it(county: County) -> None:
    """It was ready when this worker looked, and is on its way from another one when its turn comes."""
    await county.task()
    row = await county.row()
    await county.store.write(lambda tx: outbox.claim(tx, row, "in_flight", tx.now + 10**9, 1))
    await county.worker._deliver(county.channel, row.id)
    taken = await county.row()
    assert (taken.state, taken.attempts, taken.unanswered) == ("in_flight", 1, False)
    assert taken.due > county.store.now() + 9 * 10**8 and county.target.sent == []


async def test_an_answer_that_came_meanwhile_is_not_undone_by_who_took_over(county: County) -> None:
    """A worker whose lease ran out answers after all, just before the other one gives up on it."""
    await county.task()
    row = await county.row()
    taken: list[Row] = []

    async def take_over(tx: Tx) -> None:
        await outbox.claim(tx, row, "in_flight", tx.now + 10**9, 1)
        claimed = await outbox.load(tx, row.id)
        assert claimed is not None
        taken.append(claimed)

    await county.store.write(take_over)
    await county.worker._answered(county.channel, taken[-1], reply(order="7"))
    assert await county.state() == "done"
    await county.worker._unanswered(county.channel, taken[-1], "no answer")
    await county.worker._bury(taken[-1], "too late")
    await county.worker._again(county.channel, taken[-1], "again")
    assert (await county.row()).state == "delivered" and await county.state() == "done"
    assert len(await county.rows()) == 1


async def test_misconfiguration_pauses_the_channel_and_keeps_the_delivery(county: County) -> None:
    county.target.answers = [Misconfigured("wrong password")]
    await county.worker.start(alone=True)
    await county.task()

    async def paused() -> bool:
        return county.channel.state == "paused"

    await until(paused)
    row = await settled(county, "pending")
    assert "wrong password" in county.channel.reason and row.body
    await asyncio.sleep(0.05)
    assert len(county.target.sent) == 1, "a paused channel sends nothing"


async def test_a_delivery_that_cannot_be_written_says_which_document(
    store: Store, ticking: Any, tmp_path: Path
) -> None:
    county = County(store, tmp_path, CONVERSATION.replace("s/place,", "s/nothing,"))
    tick = asyncio.create_task(_tick(ticking))
    await county.worker.start(alone=True)
    await county.task()
    row = await settled(county, "dead")
    await county.worker.stop()
    tick.cancel()
    assert "s/nothing" in row.error and await county.state() == "waiting"


async def test_one_key_goes_in_order_and_others_pass(county: County) -> None:
    release = asyncio.Event()
    started: list[str] = []

    async def send(delivery: Any) -> Message:
        task = json.loads(delivery.body)["task"]
        started.append(task)
        if task == "1":
            await release.wait()
        return reply(order=task)

    county.target.send = send  # type: ignore[method-assign]
    await county.worker.start(alone=True)
    await county.task("1")
    await county.task("2")

    async def second_done() -> bool:
        return (await county.rows())[1].state == "delivered"

    await until(second_done)
    release.set()
    await settled(county, "delivered")
    assert sorted(started) == ["1", "2"]


async def test_two_workers_on_one_database_send_once(store: Store, ticking: Any, tmp_path: Path) -> None:
    county = County(store, tmp_path)
    second = DeliveryWorker(
        store,
        county.worker.pipeline,
        county.conversations,
        {"target": county.channel},
        now=store.now,
        metrics=Metrics(),
    )
    tick = asyncio.create_task(_tick(ticking))
    for number in range(10):
        await county.task(str(number))
    county.target.answers = [reply(order=str(number)) for number in range(10)]
    await asyncio.gather(county.worker.start(alone=False), second.start(alone=False))

    async def done() -> bool:
        return all(row.state == "delivered" for row in await county.rows())

    await until(done)
    await asyncio.gather(county.worker.stop(), second.stop())
    tick.cancel()
    assert sorted(one.id for one in county.target.sent) == sorted(row.id for row in await county.rows())
