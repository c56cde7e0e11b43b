"""Deliveries that only carry news."""

from __future__ import annotations

from hub.store import Store, Tx, notices, outbox


async def test_what_waits_for_another_try_goes_out_at_once_when_it_is_asked_to(store: Store) -> None:
    async def failed(tx: Tx) -> None:
        await notices.notify(tx, "news", [("a", "Patient/1"), ("a", "Patient/2"), ("b", "Patient/3")])
        for which in await outbox.ready(tx, "news", tx.now, 10):
            await outbox.mark(tx, which, "pending", due=tx.now + 600_000_000)

    await store.write(failed)
    later = store.now() + 1_000_000
    assert await outbox.ready(store, "news", later, 10) == []

    async def again(tx: Tx) -> int:
        return await notices.replay_key(tx, "news", "a")

    assert await store.write(again) == 2
    (first,) = await outbox.ready(store, "news", later, 10)
    row = await outbox.load(store, first)
    assert row is not None and (row.ordering, row.business_id) == ("a", "Patient/1")
    assert await notices.waiting(store, "news", "b") == {"pending": 1}
