"""Clients that are slow, many, lying or immense; after each of them the hub must still answer."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import Awaitable, Callable

from tests.fuzz import judging
from tests.fuzz.client import Client, NoAnswer
from tests.fuzz.requests import Request

Address = tuple[str, int]
JSON = {"Content-Type": "application/fhir+json"}
UPLOAD = b"POST /fhir/Patient HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/fhir+json\r\n"
READ = Request("GET", "/fhir/Patient/steady")
"""A Patient that nobody changes."""


async def each(address: Address) -> list[str]:
    """Try all of them; what was wrong."""
    found = []
    for attempt in ATTEMPTS:
        wrong = await attempt(address)
        status = await _status(address, READ)
        found += [
            f"{attempt.__name__}: {text}"
            for text in (wrong, "" if status == 200 else f"then {status}")
            if text
        ]
    return found


async def _status(address: Address, request: Request) -> int:
    """Of the answer; 0: the connection was closed without one."""
    client = Client(*address)
    try:
        return (await client.send(request)).status
    except NoAnswer:
        return 0
    finally:
        await client.close()


async def _expect(address: Address, request: Request, *statuses: int) -> str:
    client = Client(*address)
    try:
        answer = await client.send(request)
    except NoAnswer as error:
        return "" if 0 in statuses else f"no answer: {error}"
    finally:
        await client.close()
    answer.seconds = min(answer.seconds, judging.SLOW)  # it is no small thing that is asked
    if answer.status not in statuses:
        return f"status {answer.status}, expected {statuses}: {answer.body[:300]!r}"
    return judging.complaint(request, answer)


async def _open(address: Address, content: bytes) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection(*address)
    with contextlib.suppress(ConnectionError):
        writer.write(content)
        await writer.drain()
    return writer


async def many_connections(address: Address) -> str:
    """500 at once."""
    found = await asyncio.gather(*(_status(address, READ) for _ in range(500)))
    return "" if set(found) == {200} else f"statuses {sorted(set(found))}"


async def slow_clients(address: Address) -> str:
    """200 that stop in the middle; those who ask properly are answered meanwhile."""
    half = UPLOAD + b"Content-Length: 100000\r\n\r\n{"
    writers = [await _open(address, half if n % 2 else b"GET /fhir/Pa") for n in range(200)]
    found = [await _status(address, READ) for _ in range(20)]
    for writer in writers:
        writer.close()
    return "" if set(found) == {200} else f"statuses {sorted(set(found))}"


async def aborted_uploads(address: Address) -> str:
    """100 that go away in the middle."""
    for _ in range(100):
        (await _open(address, UPLOAD + b"Content-Length: 1000000\r\n\r\n" + b'{"a":' * 1000)).close()
    return ""


async def pipelined(address: Address) -> str:
    """300 requests in one breath, answered in their order."""
    reader, writer = await asyncio.open_connection(*address)
    asked = b"".join(
        Request("GET", f"/fhir/Patient/{'steady' if n % 2 else 'nobody'}").wire("127.0.0.1")
        for n in range(299)
    )
    last = Request("GET", "/fhir/Patient/steady", headers={"Connection": "close"}).wire("127.0.0.1")
    writer.write(asked + last)
    async with asyncio.timeout(60):
        answer = await reader.read()
    writer.close()
    found = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    return "" if found == [404, 200] * 150 else f"{len(found)} answers out of order"


async def lengths_that_lie(address: Address) -> str:
    """A length that is too small, absurd, or given twice."""
    for length in (b"3", b"-1", b"99999999999999999999", b"1e3", b"5\r\nContent-Length: 6"):
        (
            await _open(
                address, UPLOAD + b"Content-Length: " + length + b'\r\n\r\n{"resourceType":"Patient"}'
            )
        ).close()
    return ""


async def immense_body(address: Address) -> str:
    """100 MB."""
    return await _expect(address, Request("POST", "/fhir/Patient", b" " * 100_000_000, dict(JSON)), 413, 0)


async def gzip_bomb(address: Address) -> str:
    """200 MB in 200 KB."""
    headers = {**JSON, "Content-Encoding": "gzip"}
    return await _expect(
        address, Request("POST", "/fhir/Patient", gzip.compress(b" " * 200_000_000), headers), 413
    )


async def long_headers(address: Address) -> str:
    """A head of more than 64 KB, in one header and in thousands."""
    one = await _expect(address, Request("GET", "/fhir/Patient", headers={"X-A": "a" * 70_000}), 431)
    thousands = {f"X-{n}": "a" * 20 for n in range(5000)}
    return one or await _expect(address, Request("GET", "/fhir/Patient", headers=thousands), 431)


async def ten_thousand_entries(address: Address) -> str:
    """Batches and transactions of 10,000, which are answered or refused."""
    for kind in ("batch", "transaction"):
        reads = [{"request": {"method": "GET", "url": "Patient/steady"}}] * 10_000
        body = json.dumps({"resourceType": "Bundle", "type": kind, "entry": reads}).encode()
        if wrong := await _expect(address, Request("POST", "/fhir", body, dict(JSON)), 200, 400, 413, 422):
            return f"{kind}: {wrong}"
    return ""


async def circles(address: Address) -> str:
    """A transaction whose entries refer to each other, all of them to all."""
    names = [f"urn:uuid:00000000-0000-4000-8000-{n:012d}" for n in range(60)]
    entries = [
        {
            "fullUrl": name,
            "resource": {
                "resourceType": "Patient",
                "link": [{"other": {"reference": other}, "type": "seealso"} for other in names],
            },
            "request": {"method": "POST", "url": "Patient"},
        }
        for name in names
    ]
    body = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()
    wrong = await _expect(address, Request("POST", "/fhir", body, dict(JSON)), 200)
    everything = Request(
        "GET", "/fhir/Patient?_include:iterate=*&_revinclude:iterate=Patient:link&_count=1000"
    )
    return wrong or await _expect(address, everything, 200, 400)


ATTEMPTS: tuple[Callable[[Address], Awaitable[str]], ...] = (
    many_connections, slow_clients, aborted_uploads, pipelined, lengths_that_lie, immense_body, gzip_bomb,
    long_headers,
    ten_thousand_entries, circles,
)  # fmt: skip
