"""The simulated hospital against the reference samples, field by field, and its faults on a plain socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hub.clock import to_micros
from hub.testing import PEOPLE, running
from hub.testing.faults import What
from hub_his_hl7v2.simulator import Simulator

SAMPLES = Path(__file__).parent / "samples"


def fields(text: str) -> dict[str, str]:
    """Every non-empty field by its position, so that a difference names its place."""
    found = {}
    for line in text.split("\r")[:-1]:
        name, *values = line.split("|")
        for number, value in enumerate(values, 2 if name == "MSH" else 1):
            if value:
                found[f"{name}-{number}"] = value
        found[f"{name} fields"] = str(len(values))
    return found


@pytest.mark.parametrize(
    ("code", "charset", "person", "visit", "prescription", "suffix"),
    [
        ("H37050200001", "UTF-8", PEOPLE[0], "V20260201001", "RX20260201001", "utf8"),
        ("H37050200002", "GB18030", PEOPLE[1], "V20260201002", "RX20260201001", "gb18030"),
    ],
)
async def test_messages_have_the_shape_of_the_samples(
    code: str, charset: str, person: Any, visit: str, prescription: str, suffix: str
) -> None:
    moment = datetime(2026, 2, 1, 8, 55, tzinfo=ZoneInfo("Asia/Shanghai"))

    def clock() -> int:
        return to_micros(moment)

    async with Listener() as listener:
        hospital = Simulator(
            code=code, charset=charset, target=listener.address, clock=lambda: to_micros(moment)
        )
        async with running(hospital):
            await hospital.act("register", person=person, visit=visit)
            moment = moment.replace(hour=9, minute=0)
            await hospital.act("prescribe", person=person, prescription=prescription)
    codec = "gb18030" if suffix == "gb18030" else "utf-8"
    for sent, name in zip(listener.frames, ("ADT_A04", "OMP_O09"), strict=True):
        sample = (SAMPLES / f"hl7v2_{name}.{suffix}.hl7").read_bytes()
        assert fields(sent.decode(codec)) == fields(sample.decode(codec))
        assert sent == sample


async def test_books_tell_what_was_sent_and_answered() -> None:
    async with Listener() as listener, running(Simulator(target=listener.address)) as hospital:
        acks = await hospital.act("visit", person=PEOPLE[2], weeks=4, price="25.50")
        assert [ack.split("\r")[1] for ack in acks] == ["MSA|AA|MSG1", "MSA|AA|MSG2"]
        books = hospital.books()
    assert [(one["kind"], one["code"], one["patient"]) for one in books["sent"]] == [
        ("ADT^A04", "AA", "PID0003"),
        ("OMP^O09", "AA", "PID0003"),
    ]
    assert books["prescriptions"] == [books["sent"][1]["prescription"]]
    assert b"|4|102.00^CNY|25.50^CNY\r" in listener.frames[1]
    assert listener.connections == 1


async def test_sends_anything_and_sends_again() -> None:
    async with Listener() as listener, running(Simulator(target=listener.address)) as hospital:
        await hospital.act("send", content="MSH|^~\\&|A|B|||1||ADT^A01|C1|P|2.4\r")
        await hospital.act("send", content=b"\xff\xfe no message", kind="garbage")
        assert await hospital.act("resend", control_id="C1")
        with pytest.raises(ValueError, match="X"):
            await hospital.act("resend", control_id="X")
    assert listener.frames[0] == listener.frames[2]
    assert [one["kind"] for one in hospital.books()["sent"]] == ["ADT^A01", "garbage", "ADT^A01"]


@pytest.mark.parametrize(
    ("what", "whole", "acknowledged"),
    [
        ("cut", 0, False),
        ("lose-request", 0, False),
        ("twice", 2, True),
        ("late", 1, True),
        ("reset", None, False),
        ("lose-reply", 1, False),
        ("gbk", 1, True),
        ("garble", 1, True),
    ],
)
async def test_faults(what: What, whole: int | None, acknowledged: bool) -> None:
    async with Listener() as listener, running(Simulator(target=listener.address)) as hospital:
        hospital.faults.add(what, "ADT^A04", seconds=0.1)
        assert bool(await hospital.act("register")) is acknowledged
        await asyncio.sleep(0.05)
        if whole is not None:
            assert len(listener.frames) == whole
        assert await hospital.act("prescribe"), "the next message is not disturbed"
        if what == "garble":
            assert b"\xff\xfe" in listener.frames[0]
        if what == "gbk":
            assert "测试".encode("gb18030") in listener.frames[0]


async def test_patience_sends_the_same_bytes_until_they_are_acknowledged() -> None:
    async with Listener() as listener:
        hospital = Simulator(target=listener.address, patience=5)
        async with running(hospital):
            hospital.faults.add("cut", times=2)
            assert await hospital.act("register")
    assert hospital.books()["sent"][0]["times"] == 3
    with pytest.raises(OSError, match="Connect"):
        await Simulator(target=listener.address).act("register")


async def test_what_a_hospital_cannot_do_is_told() -> None:
    with pytest.raises(ValueError, match="UTF-8 or GB18030"):
        Simulator(charset="EBCDIC")
    async with Listener() as listener, running(Simulator(target=listener.address)) as hospital:
        hospital.faults.add("http-500")
        with pytest.raises(ValueError, match="http-500"):
            await hospital.act("register")


class Listener:
    """A plain MLLP listener that says AA to everything, written for these tests alone."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.connections = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Listener:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        await asyncio.sleep(0.02)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        async for frame in _frames(reader):
            self.frames.append(frame)
            control_id = (frame.split(b"\r")[0].split(b"|") + [b""] * 10)[9]
            writer.write(b"\x0bMSH|^~\\&|HUB|HUB\rMSA|AA|" + control_id + b"\r\x1c\x0d")
        writer.close()


async def _frames(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        try:
            frame = await reader.readuntil(b"\x1c\x0d")
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        yield frame[1:-2]
