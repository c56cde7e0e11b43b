"""The same over a real socket: uvicorn, httptools, keep-alive, clients that go away."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from hub.app import Hub
from hub.cli import connections
from hub.cli.connections import Bounded

HEAD = b"Host: 127.0.0.1\r\nContent-Type: application/fhir+json\r\nConnection: close\r\n"


@pytest.fixture
async def address(app: FastAPI) -> AsyncIterator[tuple[str, int]]:
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, http=Bounded, access_log=False)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve())
    sweeping = asyncio.create_task(connections.sweep(server.server_state.connections))
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    yield str(host), int(port)
    sweeping.cancel()
    server.should_exit = True
    await task


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that waits for nobody."""
    for name, seconds in (("SWEEP", 0.02), ("HEAD_SECONDS", 0.1), ("BODY_SECONDS", 0.1)):
        monkeypatch.setattr(connections, name, seconds)


async def say(address: tuple[str, int], *parts: bytes) -> tuple[int, dict[str, Any]]:
    """Send this over a new connection; status and body of the first answer, once the server closed."""
    reader, writer = await asyncio.open_connection(*address)
    for part in parts:
        writer.write(part)
        await writer.drain()
    answer = await reader.read()
    writer.close()
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), json.loads(content)


def told(status: int, answer: tuple[int, dict[str, Any]], code: str) -> None:
    """It is an OperationOutcome with this status and issue code."""
    assert answer[0] == status
    assert answer[1]["resourceType"] == "OperationOutcome" and answer[1]["issue"][0]["code"] == code


async def test_one_connection_many_requests(address: tuple[str, int]) -> None:
    host, port = address
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}", trust_env=False) as client:
        headers = {"Content-Type": "application/fhir+json"}
        created = await client.post("/fhir/Patient", json={"resourceType": "Patient"}, headers=headers)
        assert created.status_code == 201
        id = created.json()["id"]
        assert (await client.get(f"/fhir/Patient/{id}")).content == created.content
        assert (await client.head(f"/fhir/Patient/{id}")).status_code == 200
        assert (await client.delete(f"/fhir/Patient/{id}")).status_code == 204
        assert (await client.get("/fhir/Patient/%24x")).status_code in (400, 404)
        bundle = {"resourceType": "Bundle", "type": "batch", "entry": []}
        for base in ("/fhir", "/fhir/"):
            assert (await client.post(base, json=bundle, headers=headers)).status_code == 200


async def test_a_client_that_goes_away_stores_nothing(address: tuple[str, int]) -> None:
    host, port = address
    _, writer = await asyncio.open_connection(host, port)
    writer.write(
        b"POST /fhir/Patient HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/fhir+json\r\n"
        b'Content-Length: 5000\r\n\r\n{"resourceType":"Patient"'
    )
    await writer.drain()
    writer.close()
    await asyncio.sleep(0.1)
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}", trust_env=False) as client:
        assert "entry" not in (await client.get("/fhir/Patient")).json()


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /fhir/%2e%2e/admin HTTP/1.1",
        b"GET /fhir/Patient/\xff HTTP/1.1",
    ],
)
async def test_odd_request_lines(address: tuple[str, int], request_line: bytes) -> None:
    host, port = address
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(request_line + b"\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    status = (await reader.read()).split(b" ", 2)[1]
    assert status.startswith(b"4")
    writer.close()


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"FOO /fhir/Patient HTTP/1.1\r\n\r\n",
        b"GET /fhir/Patient HTTP/9.9\r\n\r\n",
        b"GET /fhir/Patient?name=\xe7\x8e\x8b HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET /fhir/Patient/a%zz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET /fhir/Patient?name=%zz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET /fhir/Patient/a%00b HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"POST /fhir/Patient HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /fhir/Patient HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /fhir/Patient HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_no_sound_request_is_400(address: tuple[str, int], request_: bytes) -> None:
    status, outcome = await say(address, request_)
    assert status in (400, 404)
    assert outcome["resourceType"] == "OperationOutcome" and outcome["issue"][0]["diagnostics"]


async def test_methods_that_are_not_offered_are_405(address: tuple[str, int]) -> None:
    for method in (b"TRACE", b"PROPFIND"):
        told(
            405, await say(address, method + b" /fhir/Patient HTTP/1.1\r\n" + HEAD + b"\r\n"), "not-supported"
        )


async def test_long_urls_are_414_and_long_heads_431(address: tuple[str, int]) -> None:
    ids = b",".join(b"%060d" % number for number in range(300))
    fits = b"GET /fhir/Patient?_id=" + ids + b" HTTP/1.1\r\n" + HEAD + b"\r\n"
    assert (await say(address, fits))[0] == 200
    long = b"GET /fhir/Patient?_id=" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n"
    told(414, await say(address, long), "too-long")
    whole = b"GET /fhir/Patient HTTP/1.1\r\nX-A: " + b"a" * 66_000 + b"\r\n" + HEAD + b"\r\n"
    told(431, await say(address, whole), "too-long")
    endless = [b"GET /fhir/Patient HTTP/1.1\r\n", *[b"X-A: " + b"a" * 40_000 + b"\r\n"] * 3]
    reader, writer = await asyncio.open_connection(*address)
    with contextlib.suppress(ConnectionError):
        for part in endless:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.05)
    assert b" 431 " in (await reader.read())[:20]
    writer.close()


async def test_a_long_body_is_refused_unread_and_its_sender_hears_so(
    address: tuple[str, int], hub: Hub
) -> None:
    hub.api.max_body = 100_000
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"POST /fhir/Patient HTTP/1.1\r\n" + HEAD + b"Content-Length: 100000000\r\n\r\n")
    head = await reader.readuntil(b"\r\n")  # before any of the body was sent
    assert b" 413 " in head
    writer.close()
    for framing in (b"Content-Length: 3000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(
            b"POST /fhir/Patient HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" + framing
        )
        chunked = b"chunked" in framing
        for _ in range(30):  # a client that looks for the answer only when all is sent
            writer.write(b"186a0\r\n" * chunked + b" " * 100_000 + b"\r\n" * chunked)
            await writer.drain()
        writer.write(b"0\r\n\r\n" * chunked)
        answer = await reader.readuntil(b"}]}")
        assert b" 413 " in answer[:20] and b"too-long" in answer
        writer.close()


async def test_too_many_long_bodies_at_once_are_sent_away(address: tuple[str, int], hub: Hub) -> None:
    hub.api.room.most = 50_000
    reader, writer = await asyncio.open_connection(*address)
    writer.write(
        b"POST /fhir/Patient HTTP/1.1\r\n" + HEAD + b"Content-Length: 200000\r\n\r\n" + b" " * 100_000
    )
    answer = await reader.readuntil(b"\r\n\r\n")
    assert b" 503 " in answer[:20] and b"retry-after: 1" in answer
    writer.close()
    assert hub.api.room.held == 0


async def test_a_client_that_is_too_slow_is_told_and_cut_off(
    impatient: None, address: tuple[str, int], hub: Hub
) -> None:
    told(408, await say(address, b"GET /fhir/Patient HTTP/1.1\r\nHost: 127"), "timeout")
    body = b"POST /fhir/Patient HTTP/1.1\r\n" + HEAD + b"Content-Length: 5000\r\n\r\n{"
    told(408, await say(address, body), "timeout")
    reader, writer = await asyncio.open_connection(*address)
    assert await reader.read() == b""  # it never said anything
    writer.close()
    assert hub.api.room.held == 0
    assert (await say(address, b"GET /fhir/Patient HTTP/1.1\r\n" + HEAD + b"\r\n"))[0] == 200


async def test_compressed_answers_and_pipelined_requests_keep_their_order(address: tuple[str, int]) -> None:
    reader, writer = await asyncio.open_connection(*address)
    one = b"GET /fhir/metadata HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\n\r\n"
    two = b"GET /fhir/Patient/none HTTP/1.1\r\n" + HEAD + b"\r\n"
    writer.write(one + two)
    answer = await reader.read()
    first, last = answer.index(b"HTTP/1.1 200"), answer.index(b"HTTP/1.1 404")
    assert first < last and b"content-encoding: gzip" in answer[first:last]
    writer.close()
