"""fhirclient (https://pypi.org/project/fhirclient/), the SMART client, against a running hub.

It is synchronous, so it runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest
from fhirclient import client as smart
from fhirclient.models.capabilitystatement import CapabilityStatement
from fhirclient.models.fhirreference import FHIRReference
from fhirclient.models.humanname import HumanName
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRServer
from requests import HTTPError

T = TypeVar("T")


async def told(work: Callable[[FHIRServer], T], base: str) -> T:
    def run() -> T:
        return work(smart.FHIRClient(settings={"app_id": "hub-test", "api_base": base}).server)

    return await asyncio.to_thread(run)


def somebody(family: str) -> Patient:
    patient = Patient()
    name = HumanName()
    name.family, name.given = family, ["甲"]
    patient.name = [name]
    return patient


async def test_the_capability_statement_is_understood(base: str) -> None:
    def work(server: FHIRServer) -> CapabilityStatement:
        return CapabilityStatement.read_from("metadata", server)

    statement = await told(work, base)
    assert statement.fhirVersion == "4.0.1"
    assert len(statement.rest[0].resource) == 146


async def test_create_read_update_delete(base: str) -> None:
    def work(server: FHIRServer) -> list[str]:
        made = somebody("测试").create(server)
        patient = Patient.read(made["id"], server)
        seen = [patient.name[0].family, patient.meta.versionId]
        patient.active = True
        patient.update(server)
        seen.append(Patient.read(patient.id, server).meta.versionId)
        patient.delete()
        with pytest.raises(HTTPError, match="410"):
            Patient.read(patient.id, server)
        return seen

    assert await told(work, base) == ["测试", "1", "2"]


async def test_search_with_includes_and_pages(base: str) -> None:
    def work(server: FHIRServer) -> tuple[list[str], list[str], int]:
        for number in range(3):
            made = somebody(f"Meier{number}").create(server)
            seen = Observation({"status": "final", "code": {"text": "x"}})
            seen.subject = FHIRReference({"reference": f"Patient/{made['id']}"})
            seen.create(server)
        found = Patient.where({"family": "meier"}).perform_resources_iter(server)
        families = sorted(one.name[0].family for one in found)
        search = Observation.where({"_count": "2"}).include("subject", Observation)
        kinds = [one.resource_type for one in search.perform_resources_iter(server)]
        pages = list(Observation.where({"_count": "1"}).perform_resources_iter(server))
        return families, sorted(kinds), len(pages)

    families, kinds, pages = await told(work, base)
    assert families == ["Meier0", "Meier1", "Meier2"]
    assert kinds.count("Observation") >= 2 and kinds.count("Patient") >= 2
    assert pages == 3
