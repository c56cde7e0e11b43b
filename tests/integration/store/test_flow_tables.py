"""Inbox, outbox and conversations: what is written in one transaction is read back as it was."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hub.errors import Issue
from hub.messages import Message
from hub.store import Store, Tx, inbox, outbox, talks
from hub.store.talks import Talk


def message(key: str, body: bytes = b"MSH|1") -> Message:
    return Message(key=key, body=body, kind="ADT^A04", content_type="application/hl7-v2", charset="UTF-8")


async def test_a_message_is_kept_verbatim_and_holds_its_key(store: Store) -> None:
    issue = Issue(severity="warning", code="code-invalid", diagnostics="an unknown drug", expression="RXO-1")

    async def work(tx: Tx) -> int:
        return await inbox.keep(tx, "his", message("k1"), "stored", received=5, issues=[issue])

    seq = await store.write(work)
    held = await inbox.find(store, "his", "k1")
    assert held is not None and (held.seq, held.state) == (seq, "stored")
    assert held.digest == message("k1").body_hash()
    assert await inbox.find(store, "other", "k1") is None
    kept = await inbox.load(store, seq)
    assert kept is not None and kept.body == b"MSH|1" and kept.issues == [issue] and kept.received == 5


async def test_listings_filter_and_count(store: Store) -> None:
    async def work(tx: Tx) -> None:
        await inbox.keep(tx, "his", message("k1"), "stored", received=1)
        await inbox.keep(tx, "his", message("k2"), "invalid", received=2)
        await inbox.keep(tx, "lab", message("k1"), "stored", received=3)

    await store.write(work)
    assert [one.key for one in await inbox.listing(store)] == ["k1", "k2", "k1"]
    assert [one.key for one in await inbox.listing(store, channel="his", state="invalid")] == ["k2"]
    assert sorted(await inbox.counts(store)) == [
        ("his", "invalid", False, 1),
        ("his", "stored", False, 1),
        ("lab", "stored", False, 1),
    ]


async def test_the_backlog_is_first_in_first_out(store: Store) -> None:
    async def work(tx: Tx) -> list[int]:
        numbers = [await inbox.keep(tx, "his", message(f"k{n}"), "received", received=n) for n in range(3)]
        for seq in numbers:
            await inbox.wait(tx, seq)
        await inbox.done(tx, numbers[1])
        return numbers

    first, _, third = await store.write(work)
    assert await inbox.waiting(store, 0, 10) == [first, third]
    assert await inbox.waiting(store, first, 10) == [third]


async def test_the_cursor_and_the_pause_survive(store: Store) -> None:
    async def work(tx: Tx) -> None:
        await inbox.move_cursor(tx, "his", "a")
        await inbox.move_cursor(tx, "his", "b")
        await inbox.say(tx, "his", True, "maintenance")

    await store.write(work)
    assert await inbox.read_cursor(store, "his") == "b"
    assert await inbox.read_cursor(store, "lab") == ""
    said = await inbox.said(store)
    assert (said["his"].paused, said["his"].reason) == (True, "maintenance")


async def test_a_code_is_queued_once_per_message(store: Store) -> None:
    async def work(tx: Tx) -> None:
        await inbox.queue_codes(tx, 1, [("drug", "s", "X"), ("drug", "s", "X")])
        await inbox.queue_codes(tx, 2, [("drug", "s", "X")])

    await store.write(work)
    assert await inbox.unmapped_codes(store) == [{"map": "drug", "system": "s", "code": "X", "messages": 2}]


async def add(tx: Tx, ordering: str, due: int = 0) -> int:
    return await outbox.add(
        tx,
        "insurer",
        conversation=1,
        step="settle",
        document="s/2207A",
        reply_document="",
        effect=True,
        ordering=ordering,
        due=due,
    )


async def test_within_an_ordering_key_nothing_overtakes(store: Store) -> None:
    async def work(tx: Tx) -> list[int]:
        return [await add(tx, "a"), await add(tx, "a"), await add(tx, "b"), await add(tx, "c", due=2**60)]

    a1, a2, b1, _ = await store.write(work)
    later = store.now() + 1_000_000
    assert await outbox.ready(store, "insurer", later, 10) == [a1, b1]

    async def bury(tx: Tx) -> None:
        await outbox.mark(tx, a1, "dead", error="no")

    await store.write(bury)
    assert await outbox.ready(store, "insurer", later, 10) == [b1], "a dead letter holds back its key"

    async def deliver(tx: Tx) -> None:
        await outbox.mark(tx, a1, "delivered")

    await store.write(deliver)
    assert await outbox.ready(store, "insurer", later, 10) == [a2, b1]


async def test_only_one_worker_claims_a_delivery(store: Store) -> None:
    which = await store.write(lambda tx: add(tx, "a"))
    row = await outbox.load(store, which)
    assert row is not None

    async def claim(tx: Tx) -> bool:
        return await outbox.claim(tx, row, "in_flight", row.due + 1000, 1)

    assert [await store.write(claim), await store.write(claim)] == [True, False]


async def test_counters_count_by_scope(store: Store) -> None:
    async def work(tx: Tx) -> list[int]:
        return [await outbox.number(tx, "x"), await outbox.number(tx, "x"), await outbox.number(tx, "y")]

    assert await store.write(work) == [1, 2, 1]


async def test_the_bytes_of_a_delivery_are_fixed(store: Store) -> None:
    which = await store.write(lambda tx: add(tx, "a"))

    letter = outbox.Letter(
        number=7,
        created=9,
        kind="2207A",
        business_id="H1",
        content_type="application/json",
        headers='{"path":"/x"}',
        mapping=b"hash",
        body=b"{}",
    )
    await store.write(lambda tx: outbox.write(tx, which, letter))
    row = await outbox.load(store, which)
    assert row is not None
    assert (row.number, row.created, row.kind, row.business_id, row.body) == (7, 9, "2207A", "H1", b"{}")
    assert row.headers == '{"path":"/x"}' and row.mapping == b"hash"


async def test_facts_keep_their_literals(store: Store) -> None:
    talk = Talk(
        id=0,
        document="s/settle",
        key="Claim/1",
        channel="insurer",
        focus="Claim/1",
        ordering="Claim/1",
        state="running",
        place={"step": "a"},
        facts={"amount": Decimal("105.00"), "rows": [{"code": "X"}]},
    )
    which = await store.write(lambda tx: talks.begin(tx, talk))
    found = await talks.load(store, which)
    assert found is not None
    assert str(found.facts["amount"]) == "105.00" and found.facts["rows"] == [{"code": "X"}]
    assert await talks.find(store, "s/settle", "Claim/1") == which
    assert await talks.find(store, "s/settle", "Claim/2") == 0


async def test_one_conversation_per_document_and_key(store: Store) -> None:
    def talk() -> Talk:
        return Talk(
            id=0,
            document="d",
            key="k",
            channel="c",
            focus="f/1",
            ordering="k",
            state="running",
            place={},
            facts={},
        )

    await store.write(lambda tx: talks.begin(tx, talk()))
    with pytest.raises(Exception, match=r"(?i)unique|try again"):
        await store.write(lambda tx: talks.begin(tx, talk()))
