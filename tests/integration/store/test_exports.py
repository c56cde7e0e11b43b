"""Bulk exports at work: one moment, every resource once, whatever is stopped, changed or lost meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import tracemalloc
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from hub.errors import Retryable
from hub.exports import Asked, Exports, Job, Progress, decoded, job
from hub.exports import engine as engine_module
from hub.store import Store, Tx, exports, open_store
from hub.store.exports import Row
from hub.store.resources import delete, put, put_all
from tests.conftest import Ticking
from tests.integration.store.samples import any_draft, patient

OWNER = "county-hospital"
PATIENTS = Asked(types=("Patient",))


def engine(store: Store, folder: Path, *, limit: int = 1000, jobs: int = 0) -> Exports:
    """The exports of one process, which does nothing by itself."""
    return Exports(store, folder, jobs=jobs, limit=limit, keep_hours=24, shape=lambda body, elements: body)


async def fill(store: Store, count: int, **members: Any) -> list[str]:
    """Patients p00000, p00001 ..."""
    ids = [f"p{number:05}" for number in range(count)]
    for start in range(0, count, 500):
        drafts = [patient(store, id, **members) for id in ids[start : start + 500]]
        await store.write(partial(put_all, drafts=drafts))
    return ids


async def begun(one: Exports, asked: Asked = PATIENTS) -> Row:
    row = await one.ask(OWNER, "http://127.0.0.1:8080/fhir/$export", asked)
    assert row is not None
    return row


async def claimed(one: Exports) -> Job:
    found = await one.claim()
    assert found is not None
    return found


async def worked(store: Store, folder: Path, id: str) -> list[dict[str, Any]]:
    """What is in the files of an export that is done, as far as it is counted."""
    row = await exports.load(store, id)
    assert row is not None and row.state == exports.DONE
    found = []
    for file in decoded(row.progress, Progress).files:
        content = (folder / id / file.name).read_bytes()[: file.size]
        lines = content.splitlines()
        assert len(lines) == file.count
        found += [json.loads(line) for line in lines]
    return found


async def finish(one: Job) -> None:
    while await one.step():
        pass


async def test_an_export_goes_on_after_a_restart_and_gives_each_resource_once(
    store: Store, ticking: Ticking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "CHUNK", 10)
    ids = await fill(store, 35)
    before = engine(store, tmp_path, limit=25)
    row = await begun(before)
    first = await claimed(before)
    assert await first.step() and await first.step()
    half = next((tmp_path / row.id).glob("*.ndjson"))
    with half.open("ab") as file:
        file.write(b'{"resourceType":"Patient","id":"p000')  # the third chunk, cut off
    (tmp_path / row.id / "Patient.1-9.ndjson").write_bytes(b"never counted\n")
    ticking.advance(61)
    after = engine(store, tmp_path, limit=25)
    await after.start()
    await finish(await claimed(after))
    assert [one["id"] for one in await worked(store, tmp_path, row.id)] == ids
    assert not (tmp_path / row.id / "Patient.1-9.ndjson").exists()
    await after.stop()


async def test_an_export_whose_files_were_lost_begins_again(
    store: Store, ticking: Ticking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "CHUNK", 10)
    ids = await fill(store, 15)
    one = engine(store, tmp_path)
    row = await begun(one)
    assert await (await claimed(one)).step()
    for path in (tmp_path / row.id).iterdir():
        path.unlink()
    ticking.advance(61)
    await finish(await claimed(one))
    assert [found["id"] for found in await worked(store, tmp_path, row.id)] == ids


async def test_one_process_at_a_time_works_on_an_export(
    store: Store, ticking: Ticking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "CHUNK", 10)
    ids = await fill(store, 30)
    one, other = engine(store, tmp_path), engine(store, tmp_path)
    row = await begun(one)
    slow = await claimed(one)
    assert await slow.step()
    assert await other.claim() is None
    ticking.advance(61)
    taken = await claimed(other)
    assert await taken.step()
    assert not await slow.step()  # it lost its claim without noticing, and its files count for nothing
    await finish(taken)
    assert [found["id"] for found in await worked(store, tmp_path, row.id)] == ids


async def test_a_stopped_process_leaves_its_export_to_others_at_once(store: Store, tmp_path: Path) -> None:
    await fill(store, 3)
    one, other = engine(store, tmp_path), engine(store, tmp_path)
    row = await begun(one)
    await claimed(one)
    await one.start()
    await one.stop()
    await finish(await claimed(other))
    assert len(await worked(store, tmp_path, row.id)) == 3


async def test_an_export_goes_on_when_the_database_was_away_for_a_moment(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "CHUNK", 10)
    monkeypatch.setattr(engine_module, "RETRY_SECONDS", 0.01)
    ids = await fill(store, 35)
    keep, calls = exports.keep, 0

    async def failing(tx: Tx, row: Row, progress: bytes, seconds: float) -> bool:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Retryable("the database does not answer")
        return await keep(tx, row, progress, seconds)

    monkeypatch.setattr(exports, "keep", failing)
    one = engine(store, tmp_path, jobs=1)
    await one.start()
    row = await begun(one)
    for _ in range(1000):
        found = await exports.load(store, row.id)
        if found is not None and found.state == exports.DONE:
            break
        await asyncio.sleep(0.01)
    await one.stop()
    assert calls > 2
    assert [found["id"] for found in await worked(store, tmp_path, row.id)] == ids


async def test_an_export_is_of_the_moment_it_was_asked_at(
    store: Store, ticking: Ticking, tmp_path: Path
) -> None:
    await fill(store, 4, gender="female")

    async def gone(id: str) -> None:
        await store.write(lambda tx: delete(tx, "Patient", id, owner=OWNER))

    await gone("p00003")
    ticking.advance(1)
    one = engine(store, tmp_path)
    row = await begun(one)
    ticking.advance(1)
    for id in ("p00000", "new", "p00003"):
        await store.write(partial(put, draft=patient(store, id, gender="male", at=ticking())))
    await gone("p00001")
    await gone("p00002")
    ticking.advance(1)  # a deletion gives way only to a newer event
    restored = patient(store, "p00002", gender="other", at=ticking())
    await store.write(lambda tx: put(tx, restored))
    await finish(await claimed(one))
    found = await worked(store, tmp_path, row.id)
    assert [(one["id"], one["gender"]) for one in found] == [
        ("p00000", "female"),
        ("p00001", "female"),
        ("p00002", "female"),
    ]
    later = await begun(one, Asked(types=("Patient",), since=row.moment))
    await finish(await claimed(one))
    since = await worked(store, tmp_path, later.id)
    changed = {one["id"] for one in since if one["resourceType"] == "Patient"}
    assert changed == {"p00000", "p00002", "p00003", "new"}
    deleted = [one["entry"][0]["request"]["url"] for one in since if one["resourceType"] == "Bundle"]
    assert deleted == ["Patient/p00001"]


async def test_compartment_and_search_are_judged_as_things_were(
    store: Store, ticking: Ticking, tmp_path: Path
) -> None:
    def observed(id: str, who: str, status: str) -> Any:
        body = {"resourceType": "Observation", "id": id, "status": status, "code": {"text": "x"}}
        return any_draft(store, body | {"subject": {"reference": f"Patient/{who}"}}, owner=OWNER)

    async def keep(*drafts: Any) -> None:
        await store.write(lambda tx: put_all(tx, drafts))

    await keep(patient(store, "p1"), patient(store, "p2"))
    await keep(observed("a", "p1", "final"), observed("b", "p1", "final"), observed("c", "p2", "final"))
    one = engine(store, tmp_path)
    asked = Asked(
        level="Patient",
        types=("Observation",),
        patients=("p1",),
        filters={"Observation": [[("status", "final")]]},
    )
    row = await begun(one, asked)
    ticking.advance(1)
    await keep(observed("a", "p2", "final"), observed("b", "p1", "amended"), observed("c", "p1", "final"))
    await finish(await claimed(one))
    found = await worked(store, tmp_path, row.id)
    assert [(one["id"], one["subject"]["reference"]) for one in found] == [
        ("a", "Patient/p1"),
        ("b", "Patient/p1"),
    ]


async def test_files_are_split(store: Store, tmp_path: Path) -> None:
    ids = await fill(store, 25)
    one = engine(store, tmp_path, limit=10)
    row = await begun(one)
    await finish(await claimed(one))
    done = await exports.load(store, row.id)
    assert done is not None
    files = decoded(done.progress, Progress).files
    assert [file.count for file in files] == [10, 10, 5]
    assert len({file.name for file in files}) == 3
    assert [found["id"] for found in await worked(store, tmp_path, row.id)] == ids


async def test_a_cancelled_export_stops_at_its_next_chunk(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "CHUNK", 10)
    await fill(store, 30)
    one = engine(store, tmp_path)
    row = await begun(one)
    running = await claimed(one)
    assert await running.step()
    assert await one.cancel(row.id)
    assert not await running.step()
    assert await exports.load(store, row.id) is None


async def test_files_are_removed_after_their_time(store: Store, ticking: Ticking, tmp_path: Path) -> None:
    await fill(store, 3)
    one = engine(store, tmp_path)
    row = await begun(one)
    await finish(await claimed(one))
    foreign, stale = tmp_path / "notes", tmp_path / ("a" * 32)
    for folder in (foreign, stale):
        folder.mkdir()
        os.utime(folder, (0, 0))
    await one.sweep()
    assert (tmp_path / row.id).is_dir() and foreign.is_dir() and not stale.exists()
    ticking.advance(24 * 3600 + 1)
    await one.sweep()
    assert await exports.load(store, row.id) is None
    assert not (tmp_path / row.id).exists() and foreign.is_dir()


async def test_ten_thousand_resources_are_never_in_memory_together(store: Store, tmp_path: Path) -> None:
    ids = await fill(store, 10_000, address=[{"text": "x" * 3000}])
    one = engine(store, tmp_path, limit=100_000)
    row = await begun(one)
    running = await claimed(one)
    await running.step()  # whatever is loaded once
    tracemalloc.start()
    try:
        await finish(running)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    written = sum(path.stat().st_size for path in (tmp_path / row.id).iterdir())
    assert written > 30_000_000
    assert peak < 8_000_000
    assert [found["id"] for found in await worked(store, tmp_path, row.id)] == ids


async def test_the_transaction_time_is_before_what_is_still_being_written(
    postgres_url: str, tmp_path: Path
) -> None:
    store = await open_store(postgres_url)
    connection = await asyncpg.connect(postgres_url)
    try:
        async with connection.transaction():
            began = await connection.fetchval("SELECT (extract(epoch FROM now()) * 1000000)::bigint")
            row = await begun(engine(store, tmp_path))
            assert row.moment <= began < row.created
        assert (await begun(engine(store, tmp_path))).moment > began
    finally:
        await connection.close()
        await store.close()
