"""The workloads of the FHIR benchmark: what one client asks, request after request.

A workload is a generator: it yields a request and is sent the answer to it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote
from uuid import UUID

import msgspec

from tests.benchmarks import population


class Answer(msgspec.Struct):
    """Status, raw head and body of a response."""

    status: int
    head: bytes
    body: bytes


Client = Generator[bytes, Answer, None]
Workload = Callable[[Random, int, str], Client]
"""From a source of chance, the volume of data and a name that no other client has."""


def request(method: str, path: str, body: Any = None, *headers: str) -> bytes:
    """The bytes of a request; `path` below the FHIR base."""
    content = b"" if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
    lines = [f"{method} /fhir/{path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/fhir+json", *headers]
    if body is not None:
        lines += ["Content-Type: application/fhir+json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + content


def _someone(rng: Random, volume: int) -> int:
    return rng.randrange(population.patients(volume))


def read(rng: Random, volume: int, name: str) -> Client:
    while True:
        yield request("GET", f"Patient/p{_someone(rng, volume)}")


def identifier(rng: Random, volume: int, name: str) -> Client:
    system = quote(population.ID_CARD, safe="")
    while True:
        yield request("GET", f"Patient?identifier={system}%7C{population.id_card(_someone(rng, volume))}")


def include(rng: Random, volume: int, name: str) -> Client:
    while True:
        asked = f"subject=Patient/p{_someone(rng, volume)}&_include=MedicationRequest:subject"
        yield request("GET", f"MedicationRequest?{asked}")


def create(rng: Random, volume: int, name: str) -> Client:
    for number in count():
        made = population.patient(_someone(rng, volume)) | {"language": f"x-{number}"}
        del made["id"]
        yield request("POST", "Patient", made)


def _shape(ask: Callable[[Random, int], str]) -> Workload:
    def workload(rng: Random, volume: int, name: str) -> Client:
        while True:
            yield request("GET", f"{ask(rng, volume)}&_count=20")

    return workload


def _string(rng: Random, volume: int) -> str:
    return f"Patient?family={quote(population.name_of(_someone(rng, volume))[0])}"


def _token(rng: Random, volume: int) -> str:
    return f"Observation?code={quote(population.LOINC, safe='')}%7C{rng.choice(population.CODES)[0]}"


def _date(rng: Random, volume: int) -> str:
    return f"Observation?date=ge{population.day(rng)}"


def _reference(rng: Random, volume: int) -> str:
    return f"Observation?subject=Patient/p{_someone(rng, volume)}"


def _quantity(rng: Random, volume: int) -> str:
    _, _, unit, low, high = rng.choice(population.CODES)
    value = f"gt{(low + high) // 2}|{population.UCUM}|{unit}"
    return f"Observation?value-quantity={quote(value, safe='')}"


def _composite(rng: Random, volume: int) -> str:
    code, _, _, low, high = rng.choice(population.CODES)
    value = f"{population.LOINC}|{code}$gt{(low + high) // 2}"
    return f"Observation?code-value-quantity={quote(value, safe='')}"


SEARCH6: dict[str, Workload] = {
    "string": _shape(_string),
    "token": _shape(_token),
    "date": _shape(_date),
    "reference": _shape(_reference),
    "quantity": _shape(_quantity),
    "composite": _shape(_composite),
}


def search6(rng: Random, volume: int, name: str) -> Client:
    clients = [one(rng, volume, name) for one in SEARCH6.values()]
    while True:
        for client in clients:
            yield next(client)


_TEXT = {"text": "x"}
CRUD9: dict[str, dict[str, Any]] = {
    "Patient": population.patient(1),
    "Location": {"name": "史口镇卫生院", "status": "active"},
    "Organization": {"name": "史口镇卫生院", "active": True},
    "Practitioner": {"name": [{"text": "测试医师"}], "active": True},
    "Encounter": {"status": "finished", "class": {"code": "AMB"}},
    "Observation": population.observation(1, 0),
    "MedicationRequest": population.medication_request(1, 0),
    "Claim": population.claim(1),
    "ExplanationOfBenefit": {
        "status": "active", "type": _TEXT, "use": "claim", "patient": {"reference": "Patient/p1"},
        "created": "2026-02-01", "insurer": {"display": "x"}, "provider": {"display": "y"},
        "outcome": "complete",
        "insurance": [{"focal": True, "coverage": {"display": "z"}}],
    },
}  # fmt: skip


def crud9(rng: Random, volume: int, name: str) -> Client:
    """Create, read, update, delete, of each type in turn."""
    while True:
        for type_name, made in CRUD9.items():
            content = {**made, "resourceType": type_name}
            content.pop("id", None)
            answer = yield request("POST", type_name, content)
            id = json.loads(answer.body)["id"]
            path = f"{type_name}/{id}"
            yield request("GET", path)
            yield request("PUT", path, {**content, "id": id, "language": "zh"})
            yield request("DELETE", path)


def mix(rng: Random, volume: int, name: str) -> Client:
    """Ten creates, sixty reads, twenty-five updates and five deletes of a hundred."""
    creating, reading = create(rng, volume, name), read(rng, volume, name)
    mine: list[str] = []
    for number in count():
        chance = rng.random()
        if chance < 0.10 or (chance >= 0.95 and not mine):
            answer = yield next(creating)
            mine.append(json.loads(answer.body)["id"])
        elif chance < 0.70:
            yield next(reading)
        elif chance < 0.95:
            content = population.observation(_someone(rng, volume), rng.randrange(8))
            content["note"] = [{"text": f"{name} {number}"}]
            yield request("PUT", f"Observation/{content['id']}", content)
        else:
            yield request("DELETE", f"Patient/{mine.pop()}")


def transaction(entries: list[dict[str, Any]]) -> bytes:
    """A transaction that stores resources under their own ids."""
    made = [
        {
            "fullUrl": f"http://127.0.0.1/fhir/{one['resourceType']}/{one['id']}",
            "resource": one,
            "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"},
        }
        for one in entries
    ]
    return request("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": made})


def tx100(rng: Random, volume: int, name: str) -> Client:
    """A hundred new entries: patients with their prescription, claim and delivery, by `urn:uuid`."""
    for number in count():
        entries: list[dict[str, Any]] = []
        for _ in range(25):
            person = _someone(rng, volume)
            url = f"urn:uuid:{UUID(int=rng.getrandbits(128), version=4)}"
            for made in (
                population.patient(person),
                population.medication_request(person, 0),
                population.claim(person),
                population.supply_delivery(person),
            ):
                content = json.loads(json.dumps(made).replace(f"Patient/p{person}", url))
                content.pop("id")
                content.pop("prescription", None)
                content["language"] = f"x-{name}-{number}"
                type_name = made["resourceType"]
                entry = {"resource": content, "request": {"method": "POST", "url": type_name}}
                entries.append({"fullUrl": url, **entry} if type_name == "Patient" else entry)
        yield request("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})


def synthea() -> list[bytes]:
    """The transactions of synthetic patients, if the folder of third-party data is named."""
    folder = os.environ.get("HUB_TEST_DATA", "")
    return [file.read_bytes() for file in sorted(Path(folder, "synthea").glob("*.json"))] if folder else []


def importing(rng: Random, volume: int, name: str) -> Client:
    bundles = synthea()
    while bundles:
        for one in bundles:
            yield request("POST", "", one)


WORKLOADS: dict[str, Workload] = {
    "read": read,
    "identifier": identifier,
    "include": include,
    "create": create,
    "crud9": crud9,
    "mix": mix,
    "tx100": tx100,
    "import": importing,
    "search6": search6,
    **SEARCH6,
}
