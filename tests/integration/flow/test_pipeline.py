"""The pipeline: each message takes effect once, or is kept with the reason; on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from hub import r4
from hub.backlog import Backlog
from hub.channels import Runner
from hub.errors import InvalidMessage, Issue
from hub.hookspecs import Rule
from hub.messages import Message
from hub.store import Store, inbox
from hub.store.resources import draft, history, put
from hub.store.search.parsing import parse_query
from hub.store.search.planner import search
from hub.testing import PEOPLE
from tests.integration.flow.parts import Fake, channel, pipeline, registration

ID_CARD = "urn:oid:2.16.156.10011.1.3"


async def patients(store: Store, number: str = "") -> list[dict[str, Any]]:
    parameters = [("identifier", f"{ID_CARD}|{number}")] if number else []
    page = await search(store, parse_query("Patient", parameters))
    return [r4.tree(hit.body) for hit in page.entries]


async def states(store: Store) -> dict[int, str]:
    return {one.seq: one.state for one in await inbox.listing(store)}


async def test_a_message_becomes_resources_with_its_number(store: Store) -> None:
    outcome = await pipeline(store).take(channel(), "", registration())
    assert outcome.code == "accepted" and outcome.issues == ()
    (patient,) = await patients(store, PEOPLE[0].id_card)
    assert patient["birthDate"] == "1950-01-01" and patient["gender"] == "male"
    (version,) = await history(store, "Patient", patient["id"])
    assert version.message == outcome.message and version.event_time > 0


async def test_the_same_message_again_has_no_second_effect(store: Store) -> None:
    flow, his = pipeline(store), channel()
    first = await flow.take(his, "", registration())
    again = await flow.take(his, "", registration())
    assert (again.code, again.first) == ("duplicate", "accepted")
    assert await states(store) == {first.message: "stored", again.message: "duplicate"}
    (patient,) = await patients(store)
    assert len(await history(store, "Patient", patient["id"])) == 1
    kept = await inbox.load(store, again.message)
    assert kept is not None and kept.first == first.message and kept.size == len(registration().body)


async def test_the_same_key_with_another_body_is_kept_for_a_person(store: Store) -> None:
    flow, his = pipeline(store), channel()
    await flow.take(his, "", registration())
    other = msgspec.structs.replace(registration(PEOPLE[1]), key=registration().key)
    outcome = await flow.take(his, "", other)
    assert outcome.code == "conflict" and "another body" in outcome.issues[0].diagnostics
    assert len(await patients(store)) == 1
    kept = await inbox.load(store, outcome.message)
    assert kept is not None and kept.body == other.body

    replayed = await flow.replay(his, outcome.message)
    assert replayed.code == "accepted", "a person decided that it counts"
    assert len(await patients(store)) == 2


async def test_what_cannot_be_understood_is_kept_with_a_position(store: Store) -> None:
    broken = msgspec.structs.replace(registration(), body=registration().body.replace(b"PID0001", b""))
    broken = msgspec.structs.replace(broken, body=broken.body.replace(PEOPLE[0].id_card.encode(), b""))
    outcome = await pipeline(store).take(channel(), "", broken)
    assert outcome.code == "invalid" and outcome.issues[0].expression
    assert await patients(store) == []
    kept = await inbox.load(store, outcome.message)
    assert kept is not None and kept.body == broken.body and kept.issues == list(outcome.issues)


async def test_an_invalid_message_that_is_sent_again_is_mapped_again(store: Store) -> None:
    flow = pipeline(store)
    none, his = channel(mapping="none"), channel()
    first = await flow.take(none, "", registration())
    assert first.code == "rejected"
    again = await flow.take(his, "", registration())
    assert again.code == "accepted"
    assert await states(store) == {first.message: "replayed", again.message: "stored"}


async def test_an_unknown_kind_is_rejected_and_listed(store: Store) -> None:
    outcome = await pipeline(store).take(channel(), "", registration(kind="ZZZ^Z01"))
    assert outcome.code == "rejected" and "ZZZ^Z01" in outcome.issues[0].diagnostics
    assert await states(store) == {outcome.message: "rejected"}


@pytest.mark.parametrize(("code", "expected"), [("structure", "invalid"), ("too-long", "rejected")])
async def test_a_problem_the_adapter_saw_is_kept(store: Store, code: str, expected: str) -> None:
    problem = Issue(code=code, diagnostics="cut off", expression="byte 7")
    message = Message(key="k", body=b"MSH|^~", problem=problem)
    outcome = await pipeline(store).take(channel(), "", message)
    assert (outcome.code, outcome.issues) == (expected, (problem,))
    assert await states(store) == {outcome.message: expected}


async def test_a_warning_travels_and_the_message_is_accepted(store: Store) -> None:
    wrong = PEOPLE[0].id_card[:-1] + ("0" if PEOPLE[0].id_card[-1] != "0" else "1")
    body = registration().body.replace(PEOPLE[0].id_card.encode(), wrong.encode())
    outcome = await pipeline(store).take(channel(), "", msgspec.structs.replace(registration(), body=body))
    assert outcome.code == "accepted" and outcome.issues[0].severity == "warning"
    (patient,) = await patients(store)
    assert [tag["code"] for tag in patient["meta"]["tag"]] == ["id-card-check-digit"]


async def test_an_older_event_does_not_overwrite_a_newer_one(store: Store) -> None:
    flow, his = pipeline(store), channel()
    await flow.take(his, "", registration(time="20260301080000"))
    moved = registration(control_id="2", time="20260201080000")
    body = moved.body.replace("测试甲".encode(), "测试旧".encode())
    outcome = await flow.take(his, "", msgspec.structs.replace(moved, body=body))
    assert outcome.code == "accepted"
    (patient,) = await patients(store)
    assert patient["name"][0]["text"] == "测试甲"
    changes = [one.change for one in await history(store, "Patient", patient["id"])]
    assert changes.count("created") == 1 and "updated" not in changes


async def test_a_rule_keeps_the_whole_message_out(store: Store) -> None:
    def never(tree: dict[str, Any], values: dict[str, Any]) -> Sequence[Issue]:
        return [Issue(code="business-rule", diagnostics="not on Sundays", expression="Encounter")]

    flow = pipeline(store, rules=[Rule(name="never", resource="Encounter", check=never)])
    outcome = await flow.take(channel(), "", registration())
    assert (outcome.code, outcome.issues[0].diagnostics) == ("invalid", "not on Sundays")
    assert await patients(store) == []


async def test_another_owner_is_never_overwritten(store: Store) -> None:
    flow, his = pipeline(store), channel()
    await flow.take(his, "", registration())
    (patient,) = await patients(store)
    taken = draft(store, r4.untree(patient | {"active": True}), owner="somebody-else")
    with pytest.raises(Exception, match="belongs to his"):
        await store.write(lambda tx: put(tx, taken))


async def test_the_cursor_moves_with_its_message(store: Store) -> None:
    flow, his = pipeline(store), channel()
    await flow.take(his, "page-2", registration())
    assert await inbox.read_cursor(store, "his") == "page-2"


async def test_a_store_that_cannot_commit_makes_the_sender_send_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(work: Any) -> Any:
        raise OSError("disk full")

    monkeypatch.setattr(store, "write", broken)
    outcome = await pipeline(store).take(channel(), "", registration())
    assert outcome.code == "unavailable"


async def test_replaying_a_stored_message_changes_nothing(store: Store) -> None:
    flow, his = pipeline(store), channel()
    first = await flow.take(his, "", registration())
    assert (await flow.replay(his, first.message)).code == "accepted"
    (patient,) = await patients(store)
    assert len(await history(store, "Patient", patient["id"])) == 1


async def test_a_duplicate_cannot_be_replayed(store: Store) -> None:
    flow, his = pipeline(store), channel()
    await flow.take(his, "", registration())
    again = await flow.take(his, "", registration())
    with pytest.raises(InvalidMessage, match="replay the first one"):
        await flow.replay(his, again.message)


async def test_received_mode_acknowledges_first_and_maps_later(store: Store) -> None:
    flow, his = pipeline(store), channel(acknowledge="received")
    backlog = Backlog(store, flow, {"his": his})
    outcome = await flow.take(his, "", registration())
    assert outcome.code == "accepted" and his.backlog == 1
    assert await patients(store) == [] and await states(store) == {outcome.message: "received"}
    assert (await flow.take(his, "", registration())).code == "duplicate"
    await backlog.start(alone=True)
    for _ in range(200):
        if his.backlog == 0:
            break
        await asyncio.sleep(0.02)
    await backlog.stop()
    assert len(await patients(store)) == 1
    assert (await states(store))[outcome.message] == "stored"
    assert await inbox.waiting(store, 0, 10) == []


async def test_a_restart_maps_what_was_only_received(store: Store) -> None:
    before, his = pipeline(store), channel(acknowledge="received")
    await before.take(his, "", registration())
    fresh = channel(acknowledge="received")
    backlog = Backlog(store, pipeline(store), {"his": fresh})
    await backlog.start(alone=True)
    for _ in range(200):
        if await patients(store):
            break
        await asyncio.sleep(0.02)
    await backlog.stop()
    assert len(await patients(store)) == 1


async def test_many_at_once_share_commits_and_none_is_lost(store: Store) -> None:
    flow, his = pipeline(store), channel()
    before = store.commits
    messages = [registration(control_id=str(number), time="20260201085500") for number in range(40)]
    outcomes = await asyncio.gather(*(flow.take(his, "", one) for one in messages))
    assert {one.code for one in outcomes} == {"accepted"}
    assert len({one.message for one in outcomes}) == 40
    assert store.commits - before < 40
    assert len(await patients(store)) == 1


async def test_a_reader_goes_on_from_its_cursor_after_a_restart(store: Store) -> None:
    """Also one that does not declare that it polls: what was committed is not read again."""
    asked: list[str] = []

    class Reader(Fake):
        async def receive(self, cursor: str) -> AsyncIterator[tuple[str, Message]]:
            asked.append(cursor)
            if not cursor:
                yield "page-2", registration()

    for _ in range(2):
        reader = Reader()
        runner = Runner(channel(adapter=reader), pipeline(store).take, store)
        await runner.start()
        for _ in range(400):
            if reader.told or asked[-1:] == ["page-2"]:
                break
            await asyncio.sleep(0.005)
        await runner.stop()
    assert asked == ["", "page-2"]
    assert list((await states(store)).values()) == ["stored"]


def test_reading_stops_while_the_backlog_is_full() -> None:
    his = channel(max_backlog=2)
    his.wait_to_be_mapped(1)
    assert his.room.is_set()
    his.wait_to_be_mapped(1)
    assert not his.room.is_set()
    his.wait_to_be_mapped(-1)
    assert his.room.is_set() and his.backlog == 1
