"""The same over a real socket: uvicorn, httptools, keep-alive, clients that go away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from fastapi import FastAPI


@pytest.fixture
async def address(app: FastAPI) -> AsyncIterator[tuple[str, int]]:
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, http="httptools", access_log=False)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    yield str(host), int(port)
    server.should_exit = True
    await task


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
