"""Conversations: what starts one, what a reply does, and what silence does; on both databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hub.conversations import Conversations, Target, read
from hub.errors import Misconfigured
from hub.messages import json_line
from hub.store import Store, Tx, outbox, talks
from hub.store.outbox import Row
from hub.store.resources import draft, put
from hub.store.talks import Talk

SETTLE = """
conversation: settle
trigger:
  resource: Task
  when: = status = 'requested'
steps:
  - step: sign-in
    send: s/9001
    effect: 'false'
    skip: = %facts.sign_no.exists()
  - step: settle
    send: s/2207
    reply: s/2207-reply
    unknown:
      ask:
        - {step: ask-lines, send: s/5204}
        - {step: ask-settlement, send: s/5203, skip: = %facts.setl_id.empty()}
      found: = %facts.found_msgid = %unknown.business_id
      every: ask_interval
      horizon: settle_horizon
      undo: {step: reverse, send: s/2601}
      again: 'true'
  - step: print
    send: s/print
    unknown: resend
"""


class Scene:
    """A store with one conversation document in it."""

    def __init__(self, store: Store, clock: Any, folder: Path, text: str = SETTLE) -> None:
        name = text.split("conversation: ")[1].split("\n")[0]
        file = folder / "s" / f"{name}.conversation.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
        self.store = store
        self.clock = clock
        self.woken: list[str] = []
        target = Target(
            channel="insurer",
            documents=(f"s/{name}",),
            values={"ask_interval": 2, "settle_horizon": 10},
        )
        self.conversations = Conversations({f"s/{name}": read(file)}, [target], self.woken.append)
        store.changed.append(self.conversations.stored)
        store.committed.append(self.conversations.committed)

    async def task(self, id: str = "1", status: str = "requested") -> None:
        body = json_line({"resourceType": "Task", "id": id, "status": status, "intent": "order"}).encode()

        async def work(tx: Tx) -> None:
            await put(tx, draft(self.store, body, owner="his"))

        await self.store.write(work)

    async def talk(self) -> Talk:
        return (await talks.listing(self.store))[0]

    async def row(self) -> Row:
        """The delivery that is to go out now (or the last one)."""
        rows = await outbox.listing(self.store)
        return rows[0]

    async def answer(self, refused: str | None = None, stopped: str = "", **facts: Any) -> Row:
        row = await self.row()

        async def work(tx: Tx) -> None:
            await outbox.mark(tx, row.id, "delivered" if refused is None else "refused")
            await self.conversations.advance(tx, row, facts, refused=refused, stopped=stopped)

        await self.store.write(work)
        return row

    async def silence(self, business_id: str = "") -> bool:
        row = await self.row()

        async def work(tx: Tx) -> bool:
            letter = outbox.Letter(
                number=1,
                created=tx.now,
                kind=row.step,
                business_id=business_id,
                content_type="application/json",
                headers="{}",
                mapping=b"",
                body=b"{}",
            )
            await outbox.write(tx, row.id, letter)
            written = await outbox.load(tx, row.id)
            assert written is not None
            return await self.conversations.unknown(tx, written, "no answer")

        return await self.store.write(work)


@pytest.fixture
def scene(store: Store, ticking: Any, tmp_path: Path) -> Scene:
    return Scene(store, ticking, tmp_path)


async def test_a_stored_resource_starts_one_conversation(scene: Scene) -> None:
    await scene.task("1", "draft")
    assert await talks.listing(scene.store) == []
    await scene.task("1")
    await scene.task("1", "requested")
    assert [one.key for one in await talks.listing(scene.store)] == ["Task/1"]
    assert [one.step for one in await outbox.listing(scene.store)] == ["sign-in"]
    assert scene.woken == ["insurer"]


async def test_a_change_that_fits_the_trigger_again_starts_no_second_one(scene: Scene) -> None:
    await scene.task("1")
    await scene.task("1", "draft")
    await scene.task("1", "requested")
    assert len(await talks.listing(scene.store)) == 1


async def test_replies_take_it_step_by_step_to_the_end(scene: Scene) -> None:
    await scene.task()
    await scene.answer(sign_no="7")
    assert (await scene.row()).step == "settle"
    await scene.answer(setl_id="9")
    await scene.answer()
    talk = await scene.talk()
    assert (talk.state, talk.facts) == ("done", {"sign_no": "7", "setl_id": "9"})
    assert [one.step for one in reversed(await outbox.listing(scene.store))] == ["sign-in", "settle", "print"]


async def test_a_refusal_ends_it_with_the_reason(scene: Scene) -> None:
    await scene.task()
    await scene.answer()
    await scene.answer(refused="not insured")
    talk = await scene.talk()
    assert (talk.state, talk.reason) == ("refused", "settle: not insured")
    assert len(await outbox.listing(scene.store)) == 2


async def test_a_lost_answer_is_asked_for_and_found(scene: Scene) -> None:
    await scene.task()
    await scene.answer()
    settle = await scene.row()
    assert await scene.silence("H1")
    assert (await scene.row()).step == "ask-lines"
    await scene.answer(setl_id="9")
    await scene.answer(found_msgid="H1")
    assert (await scene.row()).step == "print"
    unanswered = await outbox.load(scene.store, settle.id)
    assert unanswered is not None and (unanswered.state, unanswered.open) == ("unknown", False)
    assert "settle" not in [one.step for one in await outbox.listing(scene.store) if one.id > settle.id]


async def test_until_the_horizon_it_only_asks(scene: Scene) -> None:
    await scene.task()
    await scene.answer()
    await scene.silence("H1")
    for _ in range(2):
        scene.clock.advance(4)
        await scene.answer()
        asked = await scene.row()
        assert asked.step == "ask-lines"
        assert asked.due == scene.store.now() + 2_000_000, "the next round waits for ask_interval"
    scene.clock.advance(4)
    await scene.answer()
    assert (await scene.row()).step == "reverse"


async def reversed_once(scene: Scene) -> None:
    await scene.task()
    await scene.answer()
    await scene.silence("H1")
    scene.clock.advance(11)
    await scene.answer()
    assert (await scene.row()).step == "reverse"


async def test_after_a_confirmed_reversal_it_settles_again_and_asks_once_more(scene: Scene) -> None:
    await reversed_once(scene)
    await scene.answer()
    assert (await scene.row()).step == "settle"
    await scene.answer(setl_id="10")
    assert (await scene.row()).step == "ask-lines"
    await scene.answer()
    assert (await scene.row()).step == "ask-settlement"
    await scene.answer(found_msgid="H2")
    assert (await scene.row()).step == "print"


async def test_a_settlement_that_shows_up_after_its_reversal_waits_for_a_person(scene: Scene) -> None:
    await reversed_once(scene)
    await scene.answer()
    await scene.answer(setl_id="10")
    await scene.answer()
    await scene.answer(found_msgid="H1")
    talk = await scene.talk()
    assert talk.state == "waiting" and "twice" in talk.reason


async def test_a_refused_reversal_waits_for_a_person_and_never_settles_again(scene: Scene) -> None:
    await reversed_once(scene)
    await scene.answer(refused="no such settlement")
    talk = await scene.talk()
    assert talk.state == "waiting" and "no such settlement" in talk.reason
    assert (await scene.row()).step == "reverse"


async def settled_again(scene: Scene) -> None:
    await reversed_once(scene)
    await scene.answer()
    assert (await scene.row()).step == "settle"


async def test_a_refused_second_attempt_asks_whether_the_first_one_came_late(scene: Scene) -> None:
    await settled_again(scene)
    await scene.answer(refused="already settled")
    assert (await scene.row()).step == "ask-lines"
    await scene.answer(setl_id="9")
    await scene.answer(found_msgid="H1")
    assert (await scene.row()).step == "print", "the late original is the settlement"


async def test_a_refused_second_attempt_without_a_late_first_one_is_refused(scene: Scene) -> None:
    await settled_again(scene)
    await scene.answer(refused="not insured any more")
    await scene.answer()
    talk = await scene.talk()
    assert (talk.state, talk.reason) == ("refused", "settle: not insured any more")


async def test_a_refused_question_is_no_answer(scene: Scene) -> None:
    await scene.task()
    await scene.answer()
    await scene.silence("H1")
    await scene.answer(refused="sign_no has expired")
    asked = await scene.row()
    assert asked.step == "ask-lines" and asked.due > scene.store.now()
    scene.clock.advance(11)
    refused = await scene.answer(refused="sign_no has expired")
    talk = await scene.talk()
    assert talk.state == "waiting" and "sign_no has expired" in talk.reason
    assert "reverse" not in [one.step for one in await outbox.listing(scene.store)]

    async def replay(tx: Tx) -> None:
        await scene.conversations.advance(tx, refused, {}, refused="sign_no has expired")

    await scene.store.write(replay)
    assert (await scene.talk()).state == "running", "a person lets it ask again"
    assert (await scene.row()).step == "ask-lines"


async def test_an_unanswered_reversal_is_not_taken_over(scene: Scene) -> None:
    await reversed_once(scene)
    assert not await scene.silence("H9")
    row = await scene.row()
    assert scene.conversations.mode(row, await scene.talk()) == "person"


async def test_a_harmless_step_goes_out_anew(scene: Scene) -> None:
    await scene.task()
    await scene.answer()
    await scene.answer()
    first = await scene.row()
    assert await scene.silence()
    again = await scene.row()
    assert (again.step, again.id > first.id, again.body) == ("print", True, b"")
    cancelled = await outbox.load(scene.store, first.id)
    assert cancelled is not None and cancelled.state == "cancelled"


async def test_an_answer_that_breaks_a_rule_waits_until_it_is_replayed(scene: Scene) -> None:
    await scene.task()
    await scene.answer()
    row = await scene.answer(stopped="I1 does not hold")
    talk = await scene.talk()
    assert (talk.state, talk.reason) == ("waiting", "settle: I1 does not hold")

    async def replay(tx: Tx) -> None:
        await scene.conversations.advance(tx, row, {"setl_id": "9"})

    await scene.store.write(replay)
    assert (await scene.talk()).state == "running"
    assert (await scene.row()).step == "print"


async def test_a_late_answer_of_an_abandoned_delivery_moves_nothing(scene: Scene) -> None:
    await scene.task()
    await scene.answer()
    settle = await scene.row()
    await scene.silence("H1")

    async def late(tx: Tx) -> None:
        await scene.conversations.advance(tx, settle, {"setl_id": "9"})

    await scene.store.write(late)
    assert (await scene.row()).step == "ask-lines"
    assert "setl_id" not in (await scene.talk()).facts


async def test_without_an_undo_a_harmless_step_goes_out_anew_after_the_horizon(
    store: Store, ticking: Any, tmp_path: Path
) -> None:
    text = """
conversation: register
trigger: {resource: Task}
steps:
  - step: register
    send: s/2201
    unknown:
      ask: [{step: ask-visit, send: s/5201}]
      found: = %facts.visit.exists()
      horizon: '5'
      again: 'true'
  - {step: next, send: s/next}
"""
    scene = Scene(store, ticking, tmp_path, text)
    await scene.task()
    await scene.silence("H1")
    scene.clock.advance(6)
    await scene.answer()
    assert (await scene.row()).step == "register"
    await scene.answer()
    assert (await scene.row()).step == "next"


async def test_repeat_asks_until_it_holds(store: Store, ticking: Any, tmp_path: Path) -> None:
    text = """
conversation: watch
trigger: {resource: Task}
steps:
  - step: poll
    send: s/poll
    effect: 'false'
    repeat: {every: '3', until: = %facts.done = 'yes'}
"""
    scene = Scene(store, ticking, tmp_path, text)
    await scene.task()
    await scene.answer(done="no")
    assert (await scene.row()).due == store.now() + 3_000_000
    await scene.answer(done="yes")
    assert (await scene.talk()).state == "done"


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (
            "conversation: other\ntrigger: {resource: Task}\nsteps: [{step: a, send: b}]",
            "expected 'x', found 'other'",
        ),
        ("conversation: x\ntrigger: {resource: Task, on: y}\nsteps: [{step: a, send: b}]", "trigger.on"),
        ("conversation: x\ntrigger: {resource: Task}\nsteps: []", "at least one"),
        ("conversation: x\ntrigger: {resource: Task}\nsteps: [{step: a, sned: b}]", "sned"),
        (
            "conversation: x\ntrigger: {resource: Task}\nsteps: [{step: a, send: b, skip: 'yes'}]",
            "FHIRPath after",
        ),
        ("conversation: x\ntrigger: {resource: Task, when: '= a..b'}\nsteps: [{step: a, send: b}]", "when"),
        (
            "conversation: x\ntrigger: {resource: Task}\nsteps: [{step: a, send: b}, {step: a, send: c}]",
            "same name",
        ),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_wrong_document_names_file_and_key(tmp_path: Path, broken: str, named: str) -> None:
    file = tmp_path / "x.conversation.yaml"
    file.write_text(broken, "utf-8")
    with pytest.raises(Misconfigured) as error:
        read(file)
    assert str(file) in str(error.value) and named in str(error.value)
