"""$everything: http://hl7.org/fhir/R4/patient-operation-everything.html"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import BASE


def ref(name: str) -> dict[str, str]:
    return {"reference": name}


def observation(id: str, patient: str, when: str = "", **more: Any) -> dict[str, Any]:
    content = {"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "a"}}
    content |= {"subject": ref(f"Patient/{patient}"), **more}
    return content | ({"effectiveDateTime": when} if when else {})


CHART: list[dict[str, Any]] = [
    {"resourceType": "Organization", "id": "trust", "name": "T"},
    {"resourceType": "Organization", "id": "clinic", "name": "C", "partOf": ref("Organization/trust")},
    {"resourceType": "Practitioner", "id": "doctor"},
    {"resourceType": "Practitioner", "id": "stranger"},
    {"resourceType": "Patient", "id": "a", "managingOrganization": ref("Organization/clinic")},
    {"resourceType": "Patient", "id": "b", "birthDate": "1950-01-01"},
    {"resourceType": "Binary", "id": "scan", "contentType": "text/plain", "data": "aGk="},
    {
        "resourceType": "Encounter",
        "id": "e",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": ref("Patient/a"),
        "period": {"start": "2025-02-01", "end": "2025-03-15"},
    },
    observation("jan", "a", "2025-01-10", performer=[ref("Practitioner/doctor")]),
    observation("mar", "a", "2025-03-10", encounter=ref("Encounter/e"), hasMember=[ref("Observation/other")]),
    observation("undated", "a"),
    observation("other", "b", "2025-03-10", performer=[ref("Practitioner/stranger")]),
    {
        "resourceType": "DocumentReference",
        "id": "d",
        "status": "current",
        "subject": ref("Patient/a"),
        "date": "2025-03-20T08:00:00+08:00",
        "content": [{"attachment": {"url": "Binary/scan"}}],
    },
]
MINE = {"Patient/a", "Encounter/e", "Observation/jan", "Observation/mar", "Observation/undated"}
MINE |= {"DocumentReference/d"}
SUPPORT = {"Organization/clinic", "Organization/trust", "Practitioner/doctor", "Binary/scan"}


async def fill(client: httpx.AsyncClient, chart: list[dict[str, Any]] = CHART) -> None:
    for one in chart:
        answer = await client.put(f"/fhir/{one['resourceType']}/{one['id']}", json=one)
        assert answer.status_code in (200, 201), answer.text


async def names(client: httpx.AsyncClient, path: str) -> list[str]:
    """Everything, page after page."""
    found: list[str] = []
    url: str | None = f"/fhir/{path}"
    while url:
        answer = await client.get(url)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["type"] == "searchset"
        for one in page.get("entry", []):
            name = f"{one['resource']['resourceType']}/{one['resource']['id']}"
            assert one["fullUrl"] == f"{BASE}/{name}"
            found.append(name)
        url = {one["relation"]: one["url"] for one in page["link"]}.get("next")
    return found


async def test_a_patient_has_a_compartment_and_what_it_refers_to(client: httpx.AsyncClient) -> None:
    await fill(client)
    page = (await client.get("/fhir/Patient/a/$everything")).json()
    modes = {
        f"{one['resource']['resourceType']}/{one['resource']['id']}": one["search"]["mode"]
        for one in page["entry"]
    }
    assert {name for name, mode in modes.items() if mode == "match"} == MINE
    assert {name for name, mode in modes.items() if mode == "include"} == SUPPORT
    assert len(page["entry"]) == len(modes) and page["total"] == len(MINE)
    assert [one["relation"] for one in page["link"]] == ["self"]
    posted = await client.post("/fhir/Patient/a/$everything", json={"resourceType": "Parameters"})
    assert posted.json()["entry"] == page["entry"]


async def test_pages_bring_everything_once(client: httpx.AsyncClient) -> None:
    await fill(client)
    for count in (1, 3, 4, 100):
        found = await names(client, f"Patient/a/$everything?_count={count}")
        assert sorted(found) == sorted(MINE | SUPPORT), count


async def test_pages_stay_right_while_data_changes(client: httpx.AsyncClient) -> None:
    await fill(client)
    page = (await client.get("/fhir/Patient/a/$everything?_count=3")).json()
    seen = [one["resource"]["id"] for one in page["entry"]]
    await client.put("/fhir/Observation/jan", json=CHART[8] | {"status": "amended"})
    await client.delete("/fhir/Observation/undated")
    await fill(client, [observation("new", "a", "2025-04-01")])
    url = {one["relation"]: one["url"] for one in page["link"]}["next"]
    rest = await names(client, url.removeprefix(f"{BASE}/"))
    assert "undated" not in seen and "Observation/undated" not in rest
    assert "Observation/new" in rest and len(set(rest)) == len(rest)
    assert len(seen) + len(rest) == len(MINE | SUPPORT)


async def test_only_some_types(client: httpx.AsyncClient) -> None:
    await fill(client)
    found = await names(client, "Patient/a/$everything?_type=Observation,Practitioner&_type=Binary")
    assert sorted(found) == [
        "Binary/scan",
        "Observation/jan",
        "Observation/mar",
        "Observation/undated",
        "Practitioner/doctor",
    ]
    assert (await client.get("/fhir/Patient/a/$everything?_type=Lorry")).status_code == 400


async def test_only_what_changed_since(client: httpx.AsyncClient) -> None:
    await fill(client)
    await client.put("/fhir/Observation/jan", json=CHART[8] | {"status": "amended"})
    stamp = (await client.get("/fhir/Observation/jan")).json()["meta"]["lastUpdated"]
    path = "/fhir/Patient/a/$everything"
    page = (await client.get(path, params={"_since": stamp})).json()
    assert [one["resource"]["id"] for one in page["entry"]] == ["jan"]
    assert (await client.get(path, params={"_since": "yesterday"})).status_code == 400


@pytest.mark.parametrize(
    ("query", "gone"),
    [
        ("start=2025-03-01", {"Observation/jan", "Practitioner/doctor"}),
        ("end=2025-01-31", {"Encounter/e", "Observation/mar", "DocumentReference/d", "Binary/scan"}),
        ("start=2025-03-12&end=2025-03-19", {
            "Observation/jan", "Practitioner/doctor", "Observation/mar", "DocumentReference/d", "Binary/scan",
        }),
        ("start=2025", set()),
    ],
)  # fmt: skip
async def test_only_care_within_dates(client: httpx.AsyncClient, query: str, gone: set[str]) -> None:
    await fill(client)
    assert set(await names(client, f"Patient/a/$everything?{query}")) == (MINE | SUPPORT) - gone


async def test_links_of_patients_are_followed_both_ways(client: httpx.AsyncClient) -> None:
    await fill(client)
    await fill(
        client,
        [
            CHART[5] | {"link": [{"other": ref("Patient/a"), "type": "replaced-by"}]},
            {
                "resourceType": "Patient",
                "id": "c",
                "link": [{"other": ref("Patient/b"), "type": "seealso"}],
            },
            observation("third", "c"),
            {"resourceType": "Patient", "id": "elsewhere"},
        ],
    )
    wanted = MINE | SUPPORT | {"Patient/b", "Patient/c", "Observation/other", "Observation/third"}
    wanted |= {"Practitioner/stranger"}
    for start in ("a", "b", "c"):
        assert set(await names(client, f"Patient/{start}/$everything")) == wanted, start


async def test_nobody_elses_data_comes_along(client: httpx.AsyncClient) -> None:
    await fill(client)
    found = await names(client, "Patient/b/$everything")
    assert sorted(found) == ["Observation/other", "Patient/b", "Practitioner/stranger"]


async def test_every_patient_at_once(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(client)
    found = await names(client, "Patient/$everything?_count=4")
    wanted = MINE | SUPPORT | {"Patient/b", "Observation/other", "Practitioner/stranger"}
    assert sorted(found) == sorted(wanted)
    monkeypatch.setattr("hub.api.operations.everything.MAX_PATIENTS", 1)
    refused = await client.get("/fhir/Patient/$everything")
    assert refused.status_code == 400 and refused.json()["issue"][0]["code"] == "too-costly"


async def test_an_encounter_has_everything_too(client: httpx.AsyncClient) -> None:
    await fill(client)
    found = await names(client, "Encounter/e/$everything")
    assert sorted(found) == ["Encounter/e", "Observation/mar", "Organization/clinic", "Organization/trust",
                             "Patient/a"]  # fmt: skip
    assert (await client.get("/fhir/Encounter/e/$everything?start=2025")).status_code == 400
    assert (await client.get("/fhir/Encounter/$everything")).status_code == 404


async def test_what_is_not_there_has_nothing(client: httpx.AsyncClient) -> None:
    await fill(client)
    assert (await client.get("/fhir/Patient/nobody/$everything")).status_code == 404
    await client.delete("/fhir/Patient/b")
    assert (await client.get("/fhir/Patient/b/$everything")).status_code == 410
    for wrong in ("_count=many", "_cursor=x", "colour=red", "end=2025-13-45"):
        assert (await client.get(f"/fhir/Patient/a/$everything?{wrong}")).status_code == 400, wrong
