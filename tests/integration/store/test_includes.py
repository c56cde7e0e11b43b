"""`_include` and `_revinclude` (http://hl7.org/fhir/R4/search.html#include)."""

from __future__ import annotations

from typing import Any

import pytest

from hub.errors import NotSupported
from hub.store import Store
from hub.store.backend import Reader
from hub.store.search import including
from tests.integration.store.results import asked, stored


def _named(type_name: str, id: str, **members: Any) -> dict[str, Any]:
    return {"resourceType": type_name, "id": id, **members}


def _to(*names: str) -> list[dict[str, str]]:
    return [{"reference": name} for name in names]


def _observation(id: str, **members: Any) -> dict[str, Any]:
    return _named("Observation", id, status="final", code={"text": "x"}, **members)


@pytest.fixture
async def graph(store: Store) -> Store:
    await stored(
        store,
        _named("Organization", "top"),
        _named("Organization", "hospital", partOf=_to("Organization/top")[0]),
        _named("Practitioner", "doctor"),
        _named(
            "Patient",
            "p",
            managingOrganization=_to("Organization/hospital")[0],
            generalPractitioner=_to("Practitioner/doctor"),
        ),
        _observation("a", subject=_to("Patient/p")[0], hasMember=_to("Observation/b")),
        _observation("b", subject=_to("Patient/p")[0], hasMember=_to("Observation/c")),
        _observation("c", hasMember=_to("Observation/a"), performer=_to("Practitioner/doctor")),
        _named(
            "Provenance", "pa", target=_to("Observation/a"), recorded="2026-01-01T00:00:00Z",
            agent=[{"who": {"display": "x"}}],
        ),
        _named(
            "Provenance", "pp", target=_to("Provenance/pa"), recorded="2026-01-01T00:00:00Z",
            agent=[{"who": {"display": "x"}}],
        ),
    )  # fmt: skip
    return store


async def _added(store: Store, text: str) -> set[str]:
    page = await asked(store, text)
    names = [f"{hit.type}/{hit.id}" for hit in page.entries]
    assert len(names) == len(set(names))
    return {f"{hit.type}/{hit.id}" for hit in page.entries if hit.mode == "include"}


@pytest.mark.parametrize(
    ("includes", "expected"),
    [
        ("_include=Observation:subject", "Patient/p"),
        ("_include=Observation:subject:Patient", "Patient/p"),
        ("_include=Observation:subject:Group", ""),
        ("_include=Observation:has-member", "Observation/b"),
        ("_include:iterate=Observation:has-member", "Observation/b Observation/c"),
        ("_include:recurse=Observation:has-member", "Observation/b Observation/c"),
        ("_include=Observation:*", "Observation/b Patient/p"),
        ("_include=*", "Observation/b Patient/p"),
        ("_include=Observation:subject&_include=Patient:organization", "Patient/p"),
        (
            "_include=Observation:subject&_include:iterate=Patient:organization",
            "Patient/p Organization/hospital",
        ),
        (
            "_include=Observation:subject&_include:iterate=Patient:organization"
            "&_include:iterate=Organization:partof",
            "Patient/p Organization/hospital Organization/top",
        ),
        (
            "_include:iterate=*",
            "Observation/b Observation/c Organization/hospital Organization/top Patient/p "
            "Practitioner/doctor",
        ),
        ("_revinclude=Provenance:target", "Provenance/pa"),
        ("_revinclude=Provenance:target:Observation", "Provenance/pa"),
        ("_revinclude=Provenance:target:Patient", ""),
        ("_revinclude:iterate=Provenance:target", "Provenance/pa Provenance/pp"),
        ("_revinclude=Observation:has-member", "Observation/c"),
        ("_revinclude=Provenance:*", "Provenance/pa"),
        ("_include=Observation:subject&_revinclude=Provenance:target", "Patient/p Provenance/pa"),
    ],
)
async def test_what_is_included(graph: Store, includes: str, expected: str) -> None:
    assert await _added(graph, f"Observation?_id=a&{includes}") == set(expected.split())


async def test_a_versioned_reference_includes_that_version(store: Store, ticking: Any) -> None:
    await stored(store, _named("Patient", "p", gender="male"))
    ticking.advance(1)
    await stored(store, _named("Patient", "p", gender="female"))
    await stored(store, _observation("old", subject=_to("Patient/p/_history/1")[0]))
    await stored(store, _observation("now", subject=_to("Patient/p/_history/2")[0]))
    for id, version in (("old", 1), ("now", 2)):
        page = await asked(store, f"Observation?_id={id}&_include=Observation:subject")
        assert [(hit.id, hit.version) for hit in page.entries[1:]] == [("p", version)]


async def test_canonical_references_lead_to_what_is_stored_here(store: Store) -> None:
    url = "http://example.org/Questionnaire/intake"

    def questionnaire(id: str, version: str) -> dict[str, Any]:
        return _named("Questionnaire", id, status="active", url=url, version=version)

    await stored(
        store,
        questionnaire("one", "1"),
        questionnaire("two", "2"),
        _named("QuestionnaireResponse", "exact", status="completed", questionnaire=f"{url}|1"),
        _named("QuestionnaireResponse", "other", status="completed", questionnaire=f"{url}|9"),
        _named("QuestionnaireResponse", "plain", status="completed", questionnaire=url),
    )
    include = "_include=QuestionnaireResponse:questionnaire"
    assert await _added(store, f"QuestionnaireResponse?_id=exact&{include}") == {"Questionnaire/one"}
    assert await _added(store, f"QuestionnaireResponse?_id=other&{include}") == set()
    assert len(await _added(store, f"QuestionnaireResponse?_id=plain&{include}")) == 1
    back = "_revinclude=QuestionnaireResponse:questionnaire"
    assert await _added(store, f"Questionnaire?_id=one&{back}") == {
        "QuestionnaireResponse/exact", "QuestionnaireResponse/plain",
    }  # fmt: skip


async def test_more_than_may_be_included_is_cut_and_said(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(including, "MAX_INCLUDED", 3)
    await stored(
        store,
        _named("Patient", "p"),
        *(_observation(f"o{n}", subject=_to("Patient/p")[0]) for n in range(5)),
    )
    page = await asked(store, "Patient?_revinclude=Observation:subject")
    assert len(page.entries) == 4
    assert [one.code for one in page.issues] == ["incomplete"]
    page = await asked(store, "Observation?_include=Observation:subject")
    assert page.issues == ()


async def test_a_page_of_matches_costs_one_query_for_what_they_refer_to(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored(
        store,
        *(_named("Patient", f"p{n}") for n in range(30)),
        *(_observation(f"o{n}", subject=_to(f"Patient/p{n}")[0]) for n in range(30)),
    )
    calls = 0
    original = including._walked

    async def walked(reader: Reader, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        return await original(reader, *arguments)

    monkeypatch.setattr(including, "_walked", walked)
    page = await asked(store, "Observation?_count=30&_include=Observation:subject")
    assert (len(page.entries), calls) == (60, 1)
    page = await asked(store, "Patient?_count=30&_revinclude=Observation:subject")
    assert (len(page.entries), calls) == (60, 2)


@pytest.mark.parametrize(
    "include",
    ["_include=Observation:nothing", "_include=Observation:code", "_include=Nothing:subject", "_include=x",
     "_include=Observation:subject:Nothing", "_include=Observation:subject:Patient:more",
     "_revinclude=*", "_revinclude=*:*", "_revinclude=Provenance", "_include=Observation:",
     "_include=:subject"],
)  # fmt: skip
async def test_what_cannot_be_included_is_refused(store: Store, include: str) -> None:
    with pytest.raises(NotSupported):
        await asked(store, f"Observation?{include}")
