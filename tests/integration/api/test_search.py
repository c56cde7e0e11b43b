"""search over HTTP: http://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

import httpx

from tests.integration.api.conftest import BASE, issue


async def fill(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await client.put(
            f"/fhir/Patient/p{number}",
            json={
                "resourceType": "Patient",
                "id": f"p{number}",
                "name": [{"family": "欧阳", "text": "欧阳娜娜"}],
                "birthDate": f"195{number}-03-01",
                "gender": "female" if number % 2 else "male",
            },
        )
    await client.put(
        "/fhir/Condition/c",
        json={
            "resourceType": "Condition",
            "id": "c",
            "subject": {"reference": "Patient/p1"},
            "code": {"text": "x"},
        },
    )


async def test_a_search_set_has_absolute_links(client: httpx.AsyncClient) -> None:
    await fill(client)
    answer = await client.get("/fhir/Patient", params={"name": "欧阳", "_count": 2})
    page = answer.json()
    assert answer.status_code == 200 and page["type"] == "searchset"
    seen = [one["fullUrl"] for one in page["entry"]]
    while True:
        links = {one["relation"]: one["url"] for one in page["link"]}
        assert links["self"].startswith(f"{BASE}/Patient?")
        if "next" not in links:
            break
        assert links["next"].startswith(f"{BASE}/Patient?")
        page = (await client.get(links["next"])).json()
        seen += [one["fullUrl"] for one in page["entry"]]
    assert sorted(seen) == [f"{BASE}/Patient/p{n}" for n in range(5)]
    assert all(one["search"] == {"mode": "match"} for one in page["entry"])


async def test_post_search_is_the_same(client: httpx.AsyncClient) -> None:
    await fill(client)
    got = (await client.get("/fhir/Patient?gender=female&_id=p1,p2")).json()
    posted = await client.post(
        "/fhir/Patient/_search?_id=p1,p2",
        content="gender=female",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert posted.status_code == 200
    assert [one["resource"]["id"] for one in posted.json()["entry"]] == ["p1"]
    assert posted.json()["entry"] == got["entry"]
    wrong = await client.post("/fhir/Patient/_search", content="{}")
    assert wrong.status_code == 415


async def test_include_brings_the_subject(client: httpx.AsyncClient) -> None:
    await fill(client)
    page = (await client.get("/fhir/Condition?subject=Patient/p1&_include=Condition:subject")).json()
    assert [(one["resource"]["id"], one["search"]["mode"]) for one in page["entry"]] == [
        ("c", "match"),
        ("p1", "include"),
    ]


async def test_unknown_parameters_are_400_unless_lenient(client: httpx.AsyncClient) -> None:
    await fill(client)
    strict = await client.get("/fhir/Patient?nonsense=1&_id=p1")
    assert strict.status_code == 400 and "nonsense" in issue(strict)["diagnostics"]
    lenient = await client.get("/fhir/Patient?nonsense=1&_id=p1", headers={"Prefer": "handling=lenient"})
    page = lenient.json()
    assert lenient.status_code == 200
    assert [one["search"]["mode"] for one in page["entry"]] == ["match", "outcome"]
    assert "nonsense" not in page["link"][0]["url"]


async def test_bad_values_are_400(client: httpx.AsyncClient) -> None:
    for query in (
        "birthdate=2026-13-45",
        "_lastUpdated=x",
        "_count=-1",
        "_cursor=zzz",
        "name=%ff",
        "name=%00",
    ):
        answer = await client.get(f"/fhir/Patient?{query}")
        assert answer.status_code == 400, query
        assert issue(answer)


async def test_nothing_found_is_an_empty_set(client: httpx.AsyncClient) -> None:
    page = (await client.get("/fhir/Patient?_id=none&_total=accurate")).json()
    assert page["total"] == 0 and "entry" not in page
    huge = await client.get("/fhir/Patient?_count=1000000")
    assert huge.status_code == 200


async def test_capabilities_tell_what_is_searched(client: httpx.AsyncClient) -> None:
    statement = (await client.get("/fhir/metadata")).json()
    assert statement["fhirVersion"] == "4.0.1"
    patient = next(one for one in statement["rest"][0]["resource"] if one["type"] == "Patient")
    names = {one["name"] for one in patient["searchParam"]}
    assert {"_id", "_lastUpdated", "identifier", "birthdate", "name"} <= names
    assert len(statement["rest"][0]["resource"]) == 146


async def test_a_parameter_without_a_value_is_left_out(client: httpx.AsyncClient) -> None:
    """http://hl7.org/fhir/R4/search.html#errors: empty parameters are not an error, they are ignored."""
    await fill(client)
    for query in ("identifier=", "identifier=,", "_id=", "nonsense=", "_sort="):
        answer = await client.get(f"/fhir/Patient?gender=male&{query}")
        assert answer.status_code == 200, query
        assert answer.json()["link"][0]["url"] == f"{BASE}/Patient?gender=male"
        assert sorted(one["resource"]["id"] for one in answer.json()["entry"]) == ["p0", "p2", "p4"]
    deleted = await client.delete("/fhir/Patient?identifier=")
    assert deleted.status_code == 400
    assert (await client.get("/fhir/Patient")).json()["entry"]


async def test_a_refused_modifier_of_a_reference_is_answered_with_those_there_are(
    client: httpx.AsyncClient,
) -> None:
    refused = await client.get("/fhir/Observation?subject:Nobody=1")
    assert refused.status_code == 400
    assert ":above, :below, :identifier, :missing, :{type}" in issue(refused)["diagnostics"]


async def test_a_refused_modifier_of_a_general_parameter_speaks_of_it_alone(
    client: httpx.AsyncClient,
) -> None:
    refused = await client.get("/fhir/Observation?_content:exact=x")
    assert refused.status_code == 400 and "_content takes none" in issue(refused)["diagnostics"]
