"""Bulk exports over HTTP: kick-off, status, files, cancel (http://hl7.org/fhir/uv/bulkdata/export.html)."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from sqlalchemy import select

from hub.app import Hub
from hub.store.statements import statement
from hub.store.tables import audit
from tests.integration.api.conftest import BASE, issue

ASYNC = {"Prefer": "respond-async", "Accept": "application/fhir+json"}
IDENTITY = "urn:oid:2.16.156.10011.1.3"


async def put(client: httpx.AsyncClient, type_name: str, id: str, **members: Any) -> None:
    body = {"resourceType": type_name, "id": id, **members}
    answer = await client.put(f"/fhir/{type_name}/{id}", content=json.dumps(body))
    assert answer.status_code in (200, 201), answer.text


async def clinic(client: httpx.AsyncClient) -> None:
    """Two patients, what belongs to each, and what belongs to nobody."""
    await put(client, "Patient", "p1", gender="female")
    await put(client, "Patient", "p2", gender="male")
    await put(client, "Organization", "o1", name="县人民医院")
    for number, patient, status in ((1, "p1", "final"), (2, "p1", "preliminary"), (3, "p2", "final")):
        await put(
            client,
            "Observation",
            f"b{number}",
            status=status,
            code={"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
            subject={"reference": f"Patient/{patient}"},
            valueQuantity={"value": number, "unit": "mm[Hg]"},
        )


async def begun(client: httpx.AsyncClient, path: str, *query: tuple[str, str], **more: Any) -> str:
    """Kick off; the URL of the status."""
    url = f"/fhir/{path}" + (f"?{urlencode(query)}" if query else "")
    answer = await client.request("POST" if more else "GET", url, headers=ASYNC, **more)
    assert answer.status_code == 202, answer.text
    assert issue(answer)["severity"] == "information"
    return answer.headers["content-location"]


async def finished(client: httpx.AsyncClient, status: str) -> dict[str, Any]:
    """Poll until the manifest comes."""
    for _ in range(600):
        answer = await client.get(status)
        if answer.status_code != 202:
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"] == "application/json"
            found: dict[str, Any] = answer.json()
            return found
        assert answer.headers["retry-after"].isdigit() and 0 < len(answer.headers["x-progress"]) < 100
        await asyncio.sleep(0.05)
    raise AssertionError("the export does not end")


async def exported(client: httpx.AsyncClient, path: str, *query: tuple[str, str], **more: Any) -> set[str]:
    """The names of everything in the files, each of which is there once."""
    manifest = await finished(client, await begun(client, path, *query, **more))
    names = [
        f"{one['resourceType']}/{one['id']}"
        for file in manifest["output"]
        for one in await lines(client, file)
    ]
    assert len(names) == len(set(names))
    return set(names)


async def lines(client: httpx.AsyncClient, file: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await client.get(file["url"], headers={"Accept": "application/fhir+ndjson"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/fhir+ndjson"
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert len(found) == file["count"] and answer.text.endswith("\n")
    return found


async def test_a_system_export_gives_every_resource_in_files_of_its_type(client: httpx.AsyncClient) -> None:
    await clinic(client)
    status = await begun(client, "$export")
    assert status.startswith(BASE + "/")
    manifest = await finished(client, status)
    assert manifest["request"] == f"{BASE}/$export"
    assert manifest["requiresAccessToken"] is False
    assert manifest["error"] == [] and manifest["deleted"] == []
    assert manifest["transactionTime"].endswith("Z")
    assert {one["type"]: one["count"] for one in manifest["output"]} == {
        "Observation": 3,
        "Organization": 1,
        "Patient": 2,
    }
    by_type = {one["type"]: await lines(client, one) for one in manifest["output"]}
    assert [one["name"] for one in by_type["Organization"]] == ["县人民医院"]
    assert [one["id"] for one in by_type["Observation"]] == ["b1", "b2", "b3"]


async def test_a_line_is_what_was_stored_even_when_it_was_sent_on_several(client: httpx.AsyncClient) -> None:
    sent = '{"resourceType": "Observation", "id": "x",\n "status": "final", "code": {"text": "a\\nb"},\n'
    sent += ' "valueQuantity": {"value": 105.00}}\n'
    await client.put("/fhir/Observation/x", content=sent)
    manifest = await finished(client, await begun(client, "$export"))
    text = (await client.get(manifest["output"][0]["url"])).text
    assert text.count("\n") == 1 and "105.00" in text and "a\\nb" in text


async def test_an_empty_store_gives_an_empty_manifest(client: httpx.AsyncClient) -> None:
    manifest = await finished(client, await begun(client, "$export"))
    assert manifest["output"] == []


async def test_kick_off_by_post_takes_parameters(client: httpx.AsyncClient) -> None:
    await clinic(client)
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "_outputFormat", "valueString": "application/fhir+ndjson"},
            {"name": "_type", "valueString": "Patient,Organization"},
        ],
    }
    found = await exported(client, "$export", content=json.dumps(parameters))
    assert found == {"Patient/p1", "Patient/p2", "Organization/o1"}


@pytest.mark.parametrize("form", ["application/fhir+ndjson", "application/ndjson", "ndjson"])
async def test_the_output_formats_of_the_specification(client: httpx.AsyncClient, form: str) -> None:
    await put(client, "Patient", "p1")
    assert await exported(client, "$export", ("_outputFormat", form)) == {"Patient/p1"}


async def test_a_plus_that_was_not_encoded_is_one(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fhir/$export?_outputFormat=application/fhir+ndjson", headers=ASYNC)
    assert answer.status_code == 202


async def test_type_may_be_given_with_commas_and_several_times(client: httpx.AsyncClient) -> None:
    await clinic(client)
    found = await exported(client, "$export", ("_type", "Patient,Encounter"), ("_type", "Organization"))
    assert found == {"Patient/p1", "Patient/p2", "Organization/o1"}


async def test_a_patient_export_gives_the_compartments_only(client: httpx.AsyncClient) -> None:
    await clinic(client)
    await put(client, "Observation", "nobody", status="final", code={"text": "x"})
    # Mentions a patient, but not as one of the compartment's references.
    await put(
        client,
        "Observation",
        "focus",
        status="final",
        code={"text": "x"},
        focus=[{"reference": "Patient/p1"}],
    )
    found = await exported(client, "Patient/$export")
    assert found == {"Patient/p1", "Patient/p2", "Observation/b1", "Observation/b2", "Observation/b3"}


async def test_a_patient_export_leaves_out_types_outside_the_compartment_and_says_so(
    client: httpx.AsyncClient,
) -> None:
    await clinic(client)
    url = "/fhir/Patient/$export?_type=Patient,Organization"
    answer = await client.get(url, headers=ASYNC)
    assert answer.status_code == 202
    assert "Organization" in answer.json()["issue"][1]["diagnostics"]
    manifest = await finished(client, answer.headers["content-location"])
    assert [one["type"] for one in manifest["output"]] == ["Patient"]


async def test_a_patient_export_of_named_patients(client: httpx.AsyncClient) -> None:
    await clinic(client)
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "patient", "valueReference": {"reference": "Patient/p2"}}],
    }
    found = await exported(client, "Patient/$export", content=json.dumps(parameters))
    assert found == {"Patient/p2", "Observation/b3"}


async def test_a_group_export_gives_the_compartments_of_its_current_members(
    client: httpx.AsyncClient,
) -> None:
    await clinic(client)
    for id in ("gone", "past", "inner"):
        await put(client, "Patient", id)
    await put(
        client,
        "Group",
        "nested",
        type="person",
        actual=True,
        member=[{"entity": {"reference": "Patient/inner"}}, {"entity": {"reference": "Group/g"}}],
    )
    await put(
        client,
        "Group",
        "g",
        type="person",
        actual=True,
        member=[
            {"entity": {"reference": "Patient/p1"}, "period": {"start": "2020-01-01"}},
            {"entity": {"reference": "Patient/gone"}, "inactive": True},
            {"entity": {"reference": "Patient/past"}, "period": {"end": "2020-01-01"}},
            {"entity": {"reference": "Group/nested"}},
        ],
    )
    found = await exported(client, "Group/g/$export")
    assert found == {
        "Patient/p1",
        "Patient/inner",
        "Observation/b1",
        "Observation/b2",
        "Group/g",
        "Group/nested",
    }
    assert await exported(client, "Group/g/$export", ("_type", "Patient")) == {"Patient/p1", "Patient/inner"}


async def test_named_patients_must_be_in_the_group(client: httpx.AsyncClient) -> None:
    await clinic(client)
    member = [{"entity": {"reference": "Patient/p1"}}]
    await put(client, "Group", "g", type="person", actual=True, member=member)

    async def ask(id: str) -> httpx.Response:
        named = [{"name": "patient", "valueReference": {"reference": f"Patient/{id}"}}]
        body = json.dumps({"resourceType": "Parameters", "parameter": named})
        return await client.post("/fhir/Group/g/$export", content=body, headers=ASYNC)

    assert (await ask("p1")).status_code == 202
    refused = await ask("p2")
    assert refused.status_code == 400 and issue(refused)["expression"] == ["patient"]


async def test_since_gives_what_changed_and_what_was_deleted(client: httpx.AsyncClient) -> None:
    await clinic(client)
    first = await finished(client, await begun(client, "$export"))
    since = first["transactionTime"]
    await asyncio.sleep(0.002)  # the transaction time has milliseconds, and counts what falls into its own
    await put(client, "Patient", "p1", gender="other")
    assert (await client.delete("/fhir/Observation/b3")).status_code in (200, 204)
    await put(client, "Encounter", "new", status="planned", **{"class": {"code": "AMB"}})
    later = await finished(client, await begun(client, "$export", ("_since", since)))
    found = [one for file in later["output"] for one in await lines(client, file)]
    assert {one["id"] for one in found} == {"p1", "new"}
    assert [one["gender"] for one in found if one["id"] == "p1"] == ["other"]
    assert [one["type"] for one in later["deleted"]] == ["Bundle"]
    (bundle,) = await lines(client, later["deleted"][0])
    assert bundle["type"] == "transaction"
    assert [one["request"] for one in bundle["entry"]] == [{"method": "DELETE", "url": "Observation/b3"}]


async def test_a_deletion_is_told_to_whom_the_deleted_resource_was(client: httpx.AsyncClient) -> None:
    await clinic(client)
    since = (await finished(client, await begun(client, "$export")))["transactionTime"]
    await client.delete("/fhir/Observation/b3")
    await client.delete("/fhir/Organization/o1")
    manifest = await finished(client, await begun(client, "Patient/$export", ("_since", since)))
    (file,) = manifest["deleted"]
    (bundle,) = await lines(client, file)
    assert bundle["entry"][0]["request"]["url"] == "Observation/b3"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["Observation?status=final"], {"b1", "b3"}),
        (["Observation?status=final&value-quantity=gt2"], {"b3"}),
        (["Observation?status=preliminary", "Observation?value-quantity=3"], {"b2", "b3"}),
        (["Observation?status=preliminary,Observation?value-quantity=3"], {"b2", "b3"}),
        (["Observation?status=preliminary,final"], {"b1", "b2", "b3"}),
        (["Observation%3Fstatus%3Dpreliminary,Observation%3Fvalue-quantity%3D3"], {"b2", "b3"}),
        (["Observation?subject.gender=male"], {"b3"}),
        (["Observation?code=http%3A%2F%2Floinc.org%7C8480-6&status:not=final"], {"b2"}),
        (["Observation?_lastUpdated=lt2020-01-01"], set()),
    ],
)
async def test_a_type_filter_selects_among_its_type_only(
    client: httpx.AsyncClient, filters: list[str], expected: set[str]
) -> None:
    await clinic(client)
    query = [("_typeFilter", one) for one in filters]
    found = await exported(client, "$export", ("_type", "Observation,Patient"), *query)
    assert found == {"Patient/p1", "Patient/p2"} | {f"Observation/{id}" for id in expected}


async def test_elements_are_marked_as_parts(client: httpx.AsyncClient) -> None:
    await clinic(client)
    query = ("_type", "Patient"), ("_elements", "Patient.active")
    manifest = await finished(client, await begun(client, "$export", *query))
    for one in await lines(client, manifest["output"][0]):
        assert "gender" not in one
        assert one["meta"]["tag"][0]["code"] == "SUBSETTED"


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("$export", "_type=Patients", "invalid"),
        ("$export", "_outputFormat=text/csv", "invalid"),
        ("$export", "_since=yesterday", "invalid"),
        ("$export", "_typeFilter=Observation", "invalid"),
        ("$export", "_typeFilter=Observation%3Fshoe-size%3D1", "not-supported"),
        ("$export", "_typeFilter=Observation%3F_count%3D1", "invalid"),
        ("$export", "_type=Patient&_typeFilter=Observation%3Fstatus%3Dfinal", "invalid"),
        ("$export", "_elements=shoe", "value"),
        ("$export", "includeAssociatedData=LatestProvenanceResources", "not-supported"),
        ("$export", "patient=Patient/p1", "not-supported"),
        ("Patient/$export", "patient=Patient/p1", "invalid"),
        ("Patient/$export", "_type=Organization", "invalid"),
    ],
)
async def test_what_cannot_be_exported_so_is_refused(
    client: httpx.AsyncClient, path: str, query: str, code: str
) -> None:
    answer = await client.get(f"/fhir/{path}?{query}", headers=ASYNC)
    assert answer.status_code == 400
    assert issue(answer)["code"] == code


async def test_lenient_handling_leaves_out_unknown_parameters_and_says_so(client: httpx.AsyncClient) -> None:
    headers = ASYNC | {"Prefer": "respond-async, handling=lenient"}
    answer = await client.get("/fhir/$export?organizeOutputBy=Patient", headers=headers)
    assert answer.status_code == 202
    warning = answer.json()["issue"][1]
    assert warning["severity"] == "warning" and warning["expression"] == ["organizeOutputBy"]


async def test_without_respond_async_nothing_begins(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fhir/$export", headers={"Accept": "application/fhir+json"})
    assert answer.status_code == 400 and issue(answer)["code"] == "required"


async def test_groups_that_are_not_there(client: httpx.AsyncClient) -> None:
    assert (await client.get("/fhir/Group/none/$export", headers=ASYNC)).status_code == 404
    await put(client, "Group", "g", type="person", actual=True)
    await client.delete("/fhir/Group/g")
    assert (await client.get("/fhir/Group/g/$export", headers=ASYNC)).status_code == 410
    assert (await client.get("/fhir/Observation/$export", headers=ASYNC)).status_code == 404


async def test_a_cancelled_export_is_gone_with_its_files(client: httpx.AsyncClient, hub: Hub) -> None:
    await clinic(client)
    status = await begun(client, "$export")
    manifest = await finished(client, status)
    folder = hub.settings.exports_at / status.rpartition("/")[2]
    assert folder.is_dir() and folder.stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o777 for one in folder.iterdir()} == {0o600}
    cancelled = await client.delete(status)
    assert cancelled.status_code == 202
    for url in (status, manifest["output"][0]["url"]):
        answer = await client.get(url)
        assert answer.status_code == 404 and issue(answer)["code"] == "not-found"
    assert (await client.delete(status)).status_code == 404
    assert not folder.exists()


async def test_an_export_that_waits_can_be_cancelled(client: httpx.AsyncClient, hub: Hub) -> None:
    await hub.exports.stop()
    status = await begun(client, "$export")
    waiting = await client.get(status)
    assert waiting.status_code == 202 and waiting.headers["x-progress"] == "waiting"
    assert (await client.delete(status)).status_code == 202
    assert (await client.get(status)).status_code == 404
    assert await hub.exports.claim() is None


async def test_too_many_exports_at_once_are_told_to_wait(client: httpx.AsyncClient, hub: Hub) -> None:
    await hub.exports.stop()
    for _ in range(20):
        await begun(client, "$export")
    answer = await client.get("/fhir/$export", headers=ASYNC)
    assert answer.status_code == 429 and issue(answer)["code"] == "throttled"
    assert answer.headers["retry-after"].isdigit()


async def test_an_export_that_failed_says_so(
    client: httpx.AsyncClient, hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    await clinic(client)
    hub.settings.exports_at.write_text("in the way")
    status = await begun(client, "$export")
    for _ in range(600):
        answer = await client.get(status)
        if answer.status_code != 202:
            break
        await asyncio.sleep(0.05)
    assert answer.status_code == 500
    assert "could not be written" in issue(answer)["diagnostics"]
    assert "县人民医院" not in caplog.text


async def test_files_come_compressed_for_who_takes_gzip(client: httpx.AsyncClient) -> None:
    await clinic(client)
    manifest = await finished(client, await begun(client, "Patient/$export", ("_type", "Patient")))
    url = manifest["output"][0]["url"]
    plain = await client.get(url, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert int(plain.headers["content-length"]) == len(plain.content)
    async with client.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert gzip.decompress(raw) == plain.content
    head = await client.head(url)
    assert head.status_code == 200 and head.content == b""


async def test_unknown_exports_and_files_are_404(client: httpx.AsyncClient) -> None:
    await put(client, "Patient", "p1")
    manifest = await finished(client, await begun(client, "$export"))
    folder = manifest["output"][0]["url"].rpartition("/")[0]
    for url in (f"{BASE}/$export-status/{'0' * 32}", f"{folder}/Nothing.1-1.ndjson", f"{folder}/%2e%2e"):
        answer = await client.get(url)
        assert answer.status_code == 404, url
        assert issue(answer)["code"] == "not-found"


async def test_kick_off_and_download_leave_audit_rows(client: httpx.AsyncClient, hub: Hub) -> None:
    await put(client, "Patient", "p1")
    manifest = await finished(client, await begun(client, "Patient/$export"))
    await client.get(manifest["output"][0]["url"])
    await hub.api.auditor.flush()
    rows = await hub.store.rows(statement(select(audit.c.action, audit.c.target, audit.c.status)))
    assert ("operation", "Patient/$export", 202) in rows
    assert ("operation", "$export-file", 200) in rows


async def test_the_capability_statement_names_the_three_exports(client: httpx.AsyncClient) -> None:
    told = (await client.get("/fhir/metadata")).json()
    assert told["instantiates"] == ["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"]
    rest = told["rest"][0]
    base = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition"
    assert f"{base}/export" in [one["definition"] for one in rest["operation"]]
    named = {
        one["type"]: [operation["definition"] for operation in one["operation"]] for one in rest["resource"]
    }
    assert f"{base}/patient-export" in named["Patient"]
    assert f"{base}/group-export" in named["Group"]
