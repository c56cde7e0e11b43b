"""The listener over real sockets: order, back-pressure, bad input, and senders that misbehave."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hub.errors import Misconfigured
from hub.messages import Message, Outcome, body_digest
from hub_his_hl7v2.adapter import HisHl7v2
from hub_his_hl7v2.settings import HisHl7v2Settings

ADT = (Path(__file__).parent / "samples" / "hl7v2_ADT_A04.utf8.hl7").read_bytes()
Decide = Callable[[Message], Outcome]


def accepted(message: Message) -> Outcome:
    """A hub that accepts everything its adapter found no problem with."""
    if message.problem is None:
        return Outcome(code="accepted")
    code = "rejected" if message.problem.code == "too-long" else "invalid"
    return Outcome(code=code, issues=(message.problem,))  # type: ignore[arg-type]


class Hub:
    """Takes what the adapter receives, keeps it, and acknowledges it."""

    def __init__(self, adapter: HisHl7v2, decide: Decide) -> None:
        self.adapter = adapter
        self.decide = decide
        self.messages: list[Message] = []
        self.going = asyncio.Event()
        self.going.set()

    async def run(self) -> None:
        async for cursor, message in self.adapter.receive(""):
            assert cursor == ""
            await self.going.wait()
            self.messages.append(message)
            await self.adapter.acknowledge(message, self.decide(message))

    async def has(self, count: int) -> None:
        """Wait for so many messages."""
        async with asyncio.timeout(5):
            while len(self.messages) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.005)


@asynccontextmanager
async def hub(decide: Decide = accepted, **settings: Any) -> AsyncIterator[Hub]:
    adapter = HisHl7v2("hospital", HisHl7v2Settings(listen="127.0.0.1:0", **settings))
    await adapter.open()
    found = Hub(adapter, decide)
    task = asyncio.create_task(found.run())
    try:
        yield found
    finally:
        await adapter.close()
        found.going.set()
        await asyncio.wait_for(task, 5)


class Sender:
    """A plain socket with frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, *bodies: bytes) -> None:
        self.writer.write(b"".join(b"\x0b" + body + b"\x1c\x0d" for body in bodies))
        await self.writer.drain()

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ack(self) -> str:
        frame = await asyncio.wait_for(self.reader.readuntil(b"\x1c\x0d"), 5)
        return frame[1:-2].decode()

    async def code(self) -> str:
        """`AA MSG1` of the next acknowledgement."""
        msa = next(line for line in (await self.ack()).split("\r") if line.startswith("MSA")).split("|")
        return f"{msa[1]} {msa[2]}"

    async def silence(self) -> bool:
        """Nothing comes."""
        try:
            return not await asyncio.wait_for(self.reader.read(1), 0.1)
        except TimeoutError:
            return True


@asynccontextmanager
async def sender(hub: Hub) -> AsyncIterator[Sender]:
    host, _, port = hub.adapter.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Sender(reader, writer)
    finally:
        writer.close()
        try:
            await asyncio.wait_for(writer.wait_closed(), 1)
        except (OSError, TimeoutError):
            writer.transport.abort()


def message(control_id: str | int, text: str = "") -> bytes:
    return f"MSH|^~\\&|HIS|H1|HUB|HUB|20260201085500||ADT^A04|{control_id}|P|2.4\rPID|1||{text}\r".encode()


# What a message becomes


async def test_a_message_is_kept_verbatim_with_its_key() -> None:
    async with hub() as one, sender(one) as his:
        await his.send(ADT)
        assert await his.code() == "AA MSG1"
        (got,) = one.messages
    assert got.body == ADT
    assert got.key == "HIS|H37050200001|20260201085500|MSG1"
    assert (got.kind, got.charset, got.content_type) == ("ADT^A04", "UNICODE UTF-8", "application/hl7-v2")
    assert got.problem is None and got.size == 0 and got.body_hash() == body_digest(ADT)


async def test_the_key_is_the_body_where_the_channel_says_so_or_there_is_no_control_id() -> None:
    async with hub(key="body") as one, sender(one) as his:
        await his.send(ADT, ADT)
        assert [await his.code(), await his.code()] == ["AA MSG1", "AA MSG1"]
        assert [got.key for got in one.messages] == [f"body:{body_digest(ADT).hex()}"] * 2
    async with hub() as one, sender(one) as his:
        await his.send(message(""))
        assert await his.code() == "AA "
        assert one.messages[0].key == f"body:{body_digest(message('')).hex()}"


async def test_a_key_stays_short_and_unambiguous() -> None:
    async with hub() as one, sender(one) as his:
        await his.send(
            message("x" * 500),
            b"MSH#^~\\&#a|b#c###T##ADT^A04#1#P#2.4\r",
            b"MSH#^~\\&#a#b|c###T##ADT^A04#1#P#2.4\r",
        )
        await one.has(3)
        keys = [got.key for got in one.messages]
    assert len(keys[0]) == 36 and len(set(keys)) == 3
    assert keys[1] == "a\\F\\b|c|T|1"


@pytest.mark.parametrize("body", [ADT.replace(b"\r", b"\n"), ADT.replace(b"\r", b"\r\n"), ADT.rstrip(b"\r")])
async def test_other_segment_ends_are_understood_and_kept(body: bytes) -> None:
    async with hub() as one, sender(one) as his:
        await his.send(body)
        assert await his.code() == "AA MSG1"
        assert one.messages[0].body == body and one.messages[0].kind == "ADT^A04"


# Order and pace


async def test_pipelined_messages_are_answered_in_order_whatever_the_hub_s_order() -> None:
    adapter = HisHl7v2("hospital", HisHl7v2Settings(listen="127.0.0.1:0"))
    await adapter.open()
    one = Hub(adapter, accepted)
    async with sender(one) as his:
        await his.send(*(message(number) for number in range(5)))
        stream = adapter.receive("")
        got = [(await anext(stream))[1] for _ in range(5)]
        for index in (3, 1, 4):
            await adapter.acknowledge(got[index], Outcome(code="accepted"))
        assert await his.silence()
    async with sender(one) as his:
        await his.send(*(message(number) for number in range(5)))
        got = [(await anext(stream))[1] for _ in range(5)]
        for index in (3, 1, 4, 0, 2):
            await adapter.acknowledge(got[index], Outcome(code="accepted"))
        assert [await his.code() for _ in range(5)] == [f"AA {number}" for number in range(5)]
    await adapter.close()


async def test_many_connections() -> None:
    async with hub() as one:

        async def talk(number: int) -> None:
            async with sender(one) as his:
                for turn in range(5):
                    await his.send(message(f"{number}-{turn}"))
                    assert await his.code() == f"AA {number}-{turn}"

        await asyncio.gather(*(talk(number) for number in range(100)))
        assert len(one.messages) == 500


async def test_reading_stops_while_the_hub_does_not_take_and_nothing_is_lost() -> None:
    async with hub(max_waiting=10) as one, sender(one) as his:
        one.going.clear()
        bodies = [message(number, "x" * 10_000) for number in range(2000)]
        sending = asyncio.create_task(his.send(*bodies))
        await asyncio.sleep(0.2)
        assert len(one.adapter._waiting) < 100, "one chunk beyond the limit at most"
        assert not sending.done()
        one.going.set()
        for number in range(2000):
            assert await his.code() == f"AA {number}"
        await sending
        assert [got.body for got in one.messages] == bodies


async def test_a_sender_that_does_not_read_its_acknowledgements_is_not_read_either() -> None:
    async with hub() as one, sender(one) as his:
        his.writer.transport.pause_reading()  # type: ignore[attr-defined]
        sending = asyncio.create_task(his.send(*(message(number) for number in range(60_000))))
        await asyncio.sleep(1)
        seen = len(one.messages)
        await asyncio.sleep(0.2)
        assert len(one.messages) == seen < 60_000
        his.writer.transport.resume_reading()  # type: ignore[attr-defined]
        for number in range(60_000):
            assert await his.code() == f"AA {number}"
        await sending


async def test_twenty_megabytes() -> None:
    body = message(1, "x" * 20_000_000)
    async with hub() as one, sender(one) as his:
        await his.send(body)
        assert await his.code() == "AA 1"
        assert one.messages[0].body == body


# Bad input


async def test_too_long_is_read_to_its_end_listed_and_refused() -> None:
    body = message(1, "x" * 3_000_000)
    async with hub(max_message=1_000_000) as one, sender(one) as his:
        await his.send(body, message(2))
        assert (await his.ack()).split("\r")[1].startswith("MSA|AR|1|3000064 bytes, at most 1000000")
        assert await his.code() == "AA 2"
        got = one.messages[0]
    assert got.problem is not None and got.problem.code == "too-long"
    assert got.body == body[: 64 * 1024] and got.size == len(body)
    assert got.body_hash() == body_digest(body)
    assert got.key == f"too-long:{body_digest(body).hex()}" and got.kind == "ADT^A04"


@pytest.mark.parametrize("how", ["close", "reset", "new frame"])
async def test_a_truncated_frame_is_kept_and_not_answered(how: str) -> None:
    half = ADT[:100]
    async with hub() as one:
        async with sender(one) as his:
            await his.raw(b"\x0b" + half)
            if how == "new frame":
                await his.send(message(2))
                assert await his.code() == "AA 2"
            elif how == "reset":
                await asyncio.sleep(0.05)
                his.writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                his.writer.close()
        await one.has(1)
        got = one.messages[0]
        assert got.body == half and got.problem is not None
        assert got.problem.diagnostics == "truncated: the end of the frame (FS) never came, 100 bytes did"
        assert got.key == f"truncated:{body_digest(half).hex()}", (
            "so that the whole message is not in conflict"
        )
        assert got.kind == "ADT^A04"
        async with sender(one) as his:
            await his.send(ADT)
            assert await his.code() == "AA MSG1"


async def test_no_msh_and_no_type_are_answered_as_errors() -> None:
    async with hub() as one, sender(one) as his:
        await his.send(b"PID|1||X\r", b"", message(3).replace(b"ADT^A04", b""))
        assert await his.code() == "AE "
        assert await his.code() == "AE "
        assert "ERR|MSH^1^9^101&Required field missing&HL70357" in await his.ack()
        assert [got.problem and got.problem.code for got in one.messages] == [
            "structure",
            "structure",
            "required",
        ]
        assert one.messages[0].key.startswith("body:")


async def test_undecodable_bytes_are_acknowledged_as_the_hub_decides() -> None:
    async with hub(lambda got: Outcome(code="invalid")) as one, sender(one) as his:
        await his.send(message(1, "") + b"\xff\xfe\xff")
        assert await his.code() == "AE 1"


async def test_duplicates_get_what_the_first_one_got() -> None:
    seen: set[str] = set()

    def decide(got: Message) -> Outcome:
        if got.key in seen:
            return Outcome(code="duplicate", first="invalid")
        seen.add(got.key)
        return Outcome(code="invalid")

    async with hub(decide) as one, sender(one) as his:
        await his.send(ADT, ADT)
        assert [await his.code(), await his.code()] == ["AE MSG1", "AE MSG1"]
        assert one.messages[0].key == one.messages[1].key


# Connections


async def test_a_sender_that_only_closes_its_half_still_gets_its_answers() -> None:
    async with hub() as one, sender(one) as his:
        one.going.clear()
        await his.send(message(1), message(2))
        his.writer.write_eof()
        await asyncio.sleep(0.05)
        one.going.set()
        assert [await his.code(), await his.code()] == ["AA 1", "AA 2"]
        assert await his.reader.read() == b""


async def test_a_reset_while_answering_does_not_hurt_the_channel() -> None:
    async with hub() as one:
        for turn in range(20):
            async with sender(one) as his:
                await his.send(*(message(f"{turn}-{number}") for number in range(50)))
                his.writer.transport.abort()
        async with sender(one) as his:
            await his.send(message("last"))
            assert await his.code() == "AA last"
        assert one.adapter._arrivals == {}


async def test_idle_connections_are_closed_but_not_those_that_wait() -> None:
    async with hub(idle_timeout=0.2) as one, sender(one) as idle, sender(one) as waiting:
        one.going.clear()
        await waiting.send(message(1))
        assert await asyncio.wait_for(idle.reader.read(), 2) == b""
        await asyncio.sleep(0.3)
        one.going.set()
        assert await waiting.code() == "AA 1"
        assert await asyncio.wait_for(waiting.reader.read(), 2) == b""


async def test_more_connections_than_allowed_are_closed() -> None:
    async with hub(max_connections=1) as one, sender(one) as first:
        await first.send(message(1))
        assert await first.code() == "AA 1"
        async with sender(one) as second:
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await second.ack()
        await first.send(message(2))
        assert await first.code() == "AA 2"


async def test_close_ends_receive_and_a_late_acknowledgement_is_harmless() -> None:
    async with hub() as one, sender(one) as his:
        one.going.clear()
        await his.send(message(1))
        await asyncio.sleep(0.05)
        await one.adapter.close()
        assert await his.reader.read() == b""


# Settings


async def test_a_taken_port_is_told_by_check_and_by_open() -> None:
    async with hub() as one:
        other = HisHl7v2("other", HisHl7v2Settings(listen=one.adapter.address))
        for call in (other.check, other.open):
            with pytest.raises(Misconfigured, match=r"channels\.other\.listen: 127.*port \d+ is taken"):
                await call()
        await one.adapter.check()
    await other.check()
    await other.open()
    await other.open()
    assert other.address == one.adapter.address
    await other.close()


@pytest.mark.parametrize("listen", ["0.0.0.0:2575", "192.168.1.5:2575", "hospital.example:2575", "[::]:2575"])
def test_other_hosts_than_loopback_are_refused(listen: str) -> None:
    with pytest.raises(ValidationError, match="loopback"):
        HisHl7v2Settings(listen=listen)


@pytest.mark.parametrize("listen", ["", "2575", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", ":2575"])
def test_other_shapes_are_refused(listen: str) -> None:
    with pytest.raises(ValidationError, match="expected"):
        HisHl7v2Settings(listen=listen)


@pytest.mark.parametrize("listen", ["127.0.0.1:2575", "localhost:0", "[::1]:2575", "127.8.8.8:1"])
def test_loopback_is_taken(listen: str) -> None:
    assert HisHl7v2Settings(listen=listen).listen == listen
