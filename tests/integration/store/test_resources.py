"""Versions, owners, events: what is written and what stays."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import func, select

from hub.errors import Forbidden, InvalidResource, PreconditionFailed
from hub.store import Store, Tx, statement
from hub.store.resources import (
    Draft,
    Written,
    delete,
    draft,
    get,
    history,
    put,
    put_all,
    superseded,
    version,
)
from hub.store.tables import index_equal, index_text
from hub.store.tables import version as versions
from tests.integration.store.samples import identifier, patient

_VERSIONS = statement(select(func.count()).select_from(versions))
_INDEX = [statement(select(t).order_by(*t.columns)) for t in (index_equal, index_text)]


async def _put(store: Store, one: Draft, **options: Any) -> Written:
    async def work(tx: Tx) -> Written:
        return await put(tx, one, **options)

    return await store.write(work)


async def _delete(store: Store, id: str, **options: Any) -> Written | None:
    async def work(tx: Tx) -> Written | None:
        return await delete(tx, "Patient", id, owner="county-hospital", **options)

    return await store.write(work)


async def test_a_new_resource_is_version_1_with_its_meta_first(store: Store) -> None:
    written = await _put(
        store, patient(store, gender="female", meta={"tag": [{"code": "x"}], "versionId": "9"})
    )
    assert (written.change, written.version) == ("created", 1)
    stored = await get(store, "Patient", "p1")
    assert stored is not None
    assert stored.body == written.body
    assert stored.body == (
        b'{"resourceType":"Patient","id":"p1","meta":{"versionId":"1",'
        b'"lastUpdated":"2026-02-02T02:40:00.000Z","tag":[{"code":"x"}]},"gender":"female"}'
    )


async def test_numbers_and_texts_stay_as_they_were_sent(store: Store) -> None:
    body = (
        b'{"resourceType":"Observation","id":"o","status":"final",'
        b'"code":{"text":"\\u8840"},"valueQuantity":{"value":105.00}}'
    )
    await _put(store, draft(store, body, owner="a"))
    stored = await get(store, "Observation", "o")
    assert stored is not None
    assert b'"valueQuantity":{"value":105.00}' in stored.body
    assert b'"text":"\\u8840"' in stored.body


async def test_the_same_content_makes_no_version(store: Store, ticking: Any) -> None:
    first = await _put(store, patient(store, gender="female"))
    ticking.advance(10)
    again = await _put(store, patient(store, gender="female", meta={"versionId": "7"}))
    assert (again.change, again.version, again.updated) == ("unchanged", 1, first.updated)
    assert again.body == first.body
    assert await store.rows(_VERSIONS) == [(1,)]


@pytest.mark.parametrize(
    ("body", "change"),
    [
        (
            b'{"resourceType":"Patient","id":"p1","active":true,"name":[{"family":"b","text":"\xe4\xb8\xad"}]}',
            "unchanged",
        ),
        (
            b'{"id":"p1","name":[{"text":"\\u4e2d","family":"b"}],"resourceType":"Patient","active":true}',
            "unchanged",
        ),
        (
            b'{"resourceType":"Patient","id":"p1","active":true,"name":[{"family":"b","text":"\\u4e2c"}]}',
            "updated",
        ),
        (
            b'{"resourceType":"Patient","id":"p1","active":true,"name":[{"family":"b"},{"text":"\\u4e2d"}]}',
            "updated",
        ),
    ],
)
async def test_neither_the_order_of_members_nor_escapes_make_a_version(
    store: Store, body: bytes, change: str
) -> None:
    first = (
        b'{"resourceType":"Patient","id":"p1","active":true,"name":[{"text":"\xe4\xb8\xad","family":"b"}]}'
    )
    await _put(store, draft(store, first, owner="a"))
    assert (await _put(store, draft(store, body, owner="a"))).change == change


async def test_a_decimal_with_other_digits_is_another_one(store: Store) -> None:
    claim = b'{"resourceType":"Invoice","id":"o","status":"issued","totalNet":{"value":%b}}'
    await _put(store, draft(store, claim % b"105.00", owner="a"))
    assert (await _put(store, draft(store, claim % b"105.00", owner="a"))).change == "unchanged"
    assert (await _put(store, draft(store, claim % b"105.0", owner="a"))).change == "updated"


async def test_the_same_content_is_found_unchanged_by_a_process_that_remembers_nothing(store: Store) -> None:
    await _put(store, patient(store, gender="female"))
    store.memory.clear()
    assert (await _put(store, patient(store, gender="female"))).change == "unchanged"


async def test_an_update_keeps_the_earlier_version(store: Store, ticking: Any) -> None:
    await _put(store, patient(store, gender="female"))
    ticking.advance(1)
    await _put(store, patient(store, gender="male"))
    ticking.advance(1)
    await _put(store, patient(store, gender="other"))
    found = [await version(store, "Patient", "p1", number) for number in (1, 2, 3)]
    assert [json.loads(one.body)["gender"] for one in found if one] == ["female", "male", "other"]
    assert await version(store, "Patient", "p1", 4) is None
    assert [one.version for one in await history(store, "Patient", "p1")] == [3, 2, 1]
    assert [one.version for one in await history(store, "Patient", "p1", count=2)] == [3, 2]


async def test_an_update_changes_only_the_index_rows_that_differ(store: Store) -> None:
    await _put(store, patient(store, name=[{"family": "Zhao", "given": ["Min"]}], identifier=identifier("1")))
    before = [await store.rows(rows) for rows in _INDEX]
    await _put(store, patient(store, name=[{"family": "Qian", "given": ["Min"]}], identifier=identifier("1")))
    after = [await store.rows(rows) for rows in _INDEX]
    assert before[0] == after[0]
    assert {row[1] for row in before[1]} - {row[1] for row in after[1]} == {"zhao", "z000"}
    assert {row[1] for row in after[1]} - {row[1] for row in before[1]} == {"qian", "q500"}


async def test_another_owner_never_overwrites(store: Store) -> None:
    await _put(store, patient(store, gender="female"))
    with pytest.raises(Forbidden, match="belongs to county-hospital"):
        await _put(store, patient(store, gender="male", owner="clinic"))


async def test_an_older_event_is_kept_and_changes_nothing(store: Store) -> None:
    await _put(store, patient(store, gender="female", at=2000))
    late = await _put(store, patient(store, gender="male", at=1000))
    assert (late.change, late.version) == ("superseded", 1)
    kept = await superseded(store, "Patient", "p1")
    assert [(json.loads(one.body)["gender"], one.event_time) for one in kept] == [("male", 1000)]
    current = await get(store, "Patient", "p1")
    assert current is not None
    assert b"female" in current.body
    assert [one.version for one in await history(store, "Patient", "p1")] == [1]


async def test_an_unchanged_newer_event_still_holds_back_older_ones(store: Store) -> None:
    await _put(store, patient(store, gender="female", at=1000))
    await _put(store, patient(store, gender="female", at=3000))
    store.memory.clear()
    assert (await _put(store, patient(store, gender="male", at=2000))).change == "superseded"


async def test_a_deleted_resource_leaves_the_index_and_keeps_its_versions(store: Store) -> None:
    await _put(store, patient(store, name=[{"family": "Sun"}]))
    written = await _delete(store, "p1")
    assert written is not None
    assert (written.change, written.version) == ("deleted", 2)
    stored = await get(store, "Patient", "p1")
    assert stored is not None
    assert stored.deleted
    assert [await store.rows(rows) for rows in _INDEX] == [[], []]
    assert [(one.version, one.deleted) for one in await history(store, "Patient", "p1")] == [
        (2, True),
        (1, False),
    ]
    assert await _delete(store, "p1") is None
    assert await _delete(store, "never") is None


async def test_a_deleted_resource_returns_only_by_a_newer_event(store: Store) -> None:
    await _put(store, patient(store, gender="female", at=1000))
    await _delete(store, "p1", event_time=2000)
    assert (await _put(store, patient(store, gender="female", at=1500))).change == "superseded"
    back = await _put(store, patient(store, gender="female", at=2500))
    assert (back.change, back.version) == ("restored", 3)


async def test_if_match_must_hold(store: Store) -> None:
    await _put(store, patient(store, gender="female"))
    with pytest.raises(PreconditionFailed):
        await _put(store, patient(store, gender="male"), if_match=2)
    assert (await _put(store, patient(store, gender="male"), if_match=1)).version == 2
    with pytest.raises(PreconditionFailed):
        await _put(store, patient(store, "p2"), if_match=1)
    with pytest.raises(PreconditionFailed):
        await _put(store, patient(store, gender="other"), must_not_exist=True)
    with pytest.raises(PreconditionFailed):
        await _delete(store, "p1", if_match=1)


async def test_eight_writers_on_one_resource_lose_nothing(store: Store) -> None:
    await _put(store, patient(store, multipleBirthInteger=0))

    async def add_ten() -> None:
        done = 0
        while done < 10:
            stored = await get(store, "Patient", "p1")
            assert stored is not None
            number = json.loads(stored.body)["multipleBirthInteger"]
            try:
                await _put(store, patient(store, multipleBirthInteger=number + 1), if_match=stored.version)
            except PreconditionFailed:
                continue
            done += 1

    await asyncio.gather(*(add_ten() for _ in range(8)))
    found = await history(store, "Patient", "p1")
    assert [one.version for one in found] == list(range(81, 0, -1))
    assert [json.loads(one.body)["multipleBirthInteger"] for one in found] == list(range(80, -1, -1))


async def test_a_unit_that_fails_leaves_nothing_remembered(store: Store) -> None:
    async def failing(tx: Tx) -> None:
        await put(tx, patient(store, gender="female"))
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(failing)
    assert await get(store, "Patient", "p1") is None
    assert (await _put(store, patient(store, gender="female"))).change == "created"


async def test_several_drafts_in_one_unit(store: Store) -> None:
    async def work(tx: Tx) -> list[Written]:
        drafts = [patient(tx, "a"), patient(tx, "b"), patient(tx, "a", gender="male")]
        return await put_all(tx, drafts, message=7)

    written = await store.write(work)
    assert [(one.id, one.version, one.change) for one in written] == [
        ("a", 1, "created"),
        ("b", 1, "created"),
        ("a", 2, "updated"),
    ]
    assert {one.message for one in await history(store)} == {7}
    again = await store.write(work)
    assert [one.change for one in again] == ["updated", "unchanged", "updated"]


async def test_history_of_a_type_and_of_everything(store: Store, ticking: Any) -> None:
    for number in range(5):
        await _put(store, patient(store, f"p{number}"))
        ticking.advance(1)
    await _put(store, draft(store, b'{"resourceType":"Organization","id":"o","active":true}', owner="a"))
    first = await history(store, "Patient", count=3)
    rest = await history(store, "Patient", count=3, before=first[-1].sequence)
    assert [one.id for one in first + rest] == ["p4", "p3", "p2", "p1", "p0"]
    assert [one.id for one in await history(store, count=2)] == ["o", "p4"]
    assert [one.id for one in await history(store, "Patient", since=first[1].updated)] == ["p4", "p3"]


async def test_changed_is_told_inside_the_transaction(store: Store) -> None:
    told: list[tuple[str, str]] = []

    async def tell(tx: Tx, written: list[Written]) -> None:
        assert await get(tx, "Patient", written[0].id) is not None
        told.extend((one.id, one.change) for one in written)

    store.changed.append(tell)
    await _put(store, patient(store))
    await _put(store, patient(store))
    await _put(store, patient(store, gender="male"))
    assert told == [("p1", "created"), ("p1", "updated")]


async def test_an_invalid_resource_is_refused_with_its_path(store: Store) -> None:
    with pytest.raises(InvalidResource) as caught:
        patient(store, gender="unknown thing")
    assert any("gender" in issue.expression for issue in caught.value.issues)
