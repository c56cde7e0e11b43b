"""fhirpy (https://pypi.org/project/fhirpy/), as its own documentation uses it, against a running hub."""

from __future__ import annotations

import pytest
from fhirpy import AsyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound

SYSTEM = "https://example.org/mrn"


def names(patients: list[object]) -> list[str]:
    return sorted(one["name"][0]["family"] for one in patients)  # type: ignore[index]


async def three(client: AsyncFHIRClient) -> None:
    for number, family in enumerate(("Meier", "Mueller", "Schmidt")):
        patient = client.resource(
            "Patient",
            identifier=[{"system": SYSTEM, "value": str(number)}],
            name=[{"family": family}],
            birthDate=f"195{number}-02-01",
        )
        await patient.save()


async def test_a_resource_is_saved_read_changed_patched_and_deleted(base: str) -> None:
    client = AsyncFHIRClient(base)
    patient = client.resource("Patient", name=[{"given": ["甲"], "family": "测试"}])
    await patient.save()
    assert patient.id and patient.meta.versionId == "1"
    patient["active"] = True
    await patient.save()
    assert patient.meta.versionId == "2"
    again = await client.reference("Patient", patient.id).to_resource()
    assert again["active"] is True and again.meta.versionId == "2"
    await again.delete()
    with pytest.raises((ResourceNotFound, OperationOutcome)):
        await client.reference("Patient", patient.id).to_resource()


async def test_searches_chain_sort_limit_and_count(base: str) -> None:
    client = AsyncFHIRClient(base)
    await three(client)
    patients = client.resources("Patient")
    assert names(await patients.search(family="m").fetch()) == ["Meier", "Mueller"]
    assert names(await patients.search(family__exact="Meier").fetch()) == ["Meier"]
    assert names(await patients.search(birthdate__ge="1951-01-01").fetch()) == ["Mueller", "Schmidt"]
    assert await patients.search(family="m").count() == 2
    found = await patients.sort("-birthdate").limit(2).fetch()
    assert [one["name"][0]["family"] for one in found] == ["Schmidt", "Mueller"]
    meier = await patients.search(identifier=f"{SYSTEM}|0").get()
    assert meier["name"][0]["family"] == "Meier"
    assert await patients.search(identifier=f"{SYSTEM}|9").first() is None
    with pytest.raises(MultipleResourcesFound):
        await patients.search(family="m").get()


async def test_all_pages_are_followed(base: str) -> None:
    client = AsyncFHIRClient(base)
    await three(client)
    found = await client.resources("Patient").limit(1).fetch_all()
    assert names(found) == ["Meier", "Mueller", "Schmidt"]


async def test_includes_come_with_the_bundle(base: str) -> None:
    client = AsyncFHIRClient(base)
    patient = client.resource("Patient", id="p1", name=[{"family": "Meier"}])
    await patient.save()
    await client.resource(
        "Observation", status="final", code={"text": "x"}, subject=patient.to_reference()
    ).save()
    raw = await client.resources("Observation").include("Observation", "subject").fetch_raw()
    kinds = sorted(entry.resource.resource_type for entry in raw.entry)
    assert kinds == ["Observation", "Patient"]
    raw = await client.resources("Patient").revinclude("Observation", "subject").fetch_raw()
    assert sorted(entry.resource.resource_type for entry in raw.entry) == ["Observation", "Patient"]


async def test_conditional_interactions(base: str) -> None:
    client = AsyncFHIRClient(base)
    patients = client.resources("Patient").search(identifier=f"{SYSTEM}|7")
    made = client.resource("Patient", identifier=[{"system": SYSTEM, "value": "7"}], active=True)
    first, created = await patients.get_or_create(made)
    second, again = await patients.get_or_create(made)
    assert (created, again) == (True, False)
    assert first.id == second.id
    changed = client.resource("Patient", identifier=[{"system": SYSTEM, "value": "7"}], active=False)
    updated, new = await patients.update(changed)
    assert (updated.id, updated["active"], new) == (first.id, False, False)
    await patients.delete()
    assert await patients.first() is None


async def test_a_conditional_create_in_a_transaction_may_carry_its_criteria_in_the_url(base: str) -> None:
    client = AsyncFHIRClient(base)
    entry = {
        "resource": {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": "8"}]},
        "request": {"method": "POST", "url": f"Patient?identifier={SYSTEM}|8"},
    }
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    for status in ("201", "200"):
        answer = await client.execute("", method="POST", data=bundle)
        assert answer["entry"][0]["response"]["status"].split()[0] == status


async def test_a_transaction_and_an_operation(base: str) -> None:
    client = AsyncFHIRClient(base)
    bundle = client.resource(
        "Bundle",
        type="transaction",
        entry=[
            {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}}
            for _ in range(2)
        ],
    )
    answer = await client.execute("", method="POST", data=bundle.serialize())
    assert [entry["response"]["status"].split()[0] for entry in answer["entry"]] == ["201", "201"]
    outcome = await client.execute(
        "Patient/$validate", method="POST", data={"resourceType": "Patient", "gender": "x"}
    )
    assert outcome["issue"][0]["severity"] == "error"


async def test_what_is_wrong_is_told_as_an_operation_outcome(base: str) -> None:
    client = AsyncFHIRClient(base)
    with pytest.raises(OperationOutcome) as refused:
        await client.resource("Patient", gender="nobody").save()
    assert refused.value.resource["issue"][0]["severity"] == "error"
