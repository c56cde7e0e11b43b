"""$expand, $validate-code and searches by meaning, on both databases.

http://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

import httpx
import pytest

from hub.app import Hub
from hub.errors import NotFound, NotSupported
from tests.integration.api.conftest import issue
from tests.integration.api.terms import GENDER, GENDERS, TREES, asked, codes, found, posted, store_plants
from tests.unit.terminology.plants import PLANT_SYSTEM, PLANTS, listed, plants, value_set


@pytest.fixture
async def stored(client: httpx.AsyncClient) -> None:
    """The plants, a value set of trees, and a map."""
    await store_plants(client)


class TestExpand:
    """http://hl7.org/fhir/R4/valueset-operation-expand.html"""

    @pytest.mark.usefixtures("stored")
    async def test_a_stored_value_set_is_expanded_by_url_by_instance_and_as_given(
        self, client: httpx.AsyncClient
    ) -> None:
        assert codes(await asked(client, "ValueSet/$expand", url=TREES)) == ["tree", "oak", "birch"]
        assert codes(await asked(client, "ValueSet/$expand", url=f"{TREES}|1")) == ["tree", "oak", "birch"]
        assert codes(await asked(client, "ValueSet/trees/$expand")) == ["tree", "oak", "birch"]
        inline = value_set(listed("mint"))
        assert codes(await client.post("/fhir/ValueSet/$expand", json=inline)) == ["mint"]
        parameter = {"name": "valueSet", "resource": inline}
        assert codes(await posted(client, "ValueSet/$expand", parameter)) == ["mint"]
        parameter = {"name": "url", "valueUri": TREES}
        assert codes(await posted(client, "ValueSet/$expand", parameter)) == ["tree", "oak", "birch"]

    async def test_a_published_value_set_is_expanded_whole(self, client: httpx.AsyncClient) -> None:
        answer = await asked(client, "ValueSet/$expand", url=GENDER)
        tree = answer.json()
        assert (tree["resourceType"], tree["url"], "compose" in tree) == ("ValueSet", GENDER, False)
        expansion = tree["expansion"]
        assert (expansion["total"], expansion["offset"]) == (4, 0)
        assert expansion["identifier"].startswith("urn:uuid:") and expansion["timestamp"]
        assert expansion["parameter"] == [{"name": "version", "valueUri": f"{GENDERS}|4.0.1"}]
        assert expansion["contains"] == [
            {"system": GENDERS, "code": "male", "display": "Male"},
            {"system": GENDERS, "code": "female", "display": "Female"},
            {"system": GENDERS, "code": "other", "display": "Other"},
            {"system": GENDERS, "code": "unknown", "display": "Unknown"},
        ]

    async def test_pages_and_filters_say_what_they_did(self, client: httpx.AsyncClient) -> None:
        answer = await asked(client, "ValueSet/$expand", url=GENDER, filter="MALE", offset=1, count=1)
        expansion = answer.json()["expansion"]
        assert codes(answer) == ["female"]
        assert (expansion["total"], expansion["offset"]) == (2, 1)
        assert {"name": "filter", "valueString": "MALE"} in expansion["parameter"]
        assert {"name": "offset", "valueInteger": 1} in expansion["parameter"]
        assert {"name": "count", "valueInteger": 1} in expansion["parameter"]
        empty = await asked(client, "ValueSet/$expand", url=GENDER, count=0)
        assert (codes(empty), empty.json()["expansion"]["total"]) == ([], 4)

    @pytest.mark.usefixtures("stored")
    async def test_designations_languages_and_inactive_codes(self, client: httpx.AsyncClient) -> None:
        answer = await asked(
            client, "ValueSet/$expand", url=TREES, includeDesignations="true", displayLanguage="zh-CN"
        )
        contains = answer.json()["expansion"]["contains"]
        assert [one.get("display") for one in contains] == ["Tree", "橡树", "Birch"]
        assert [one["value"] for one in contains[1]["designation"]] == ["橡树", "Chêne"]
        assert [one.get("inactive") for one in contains] == [None, None, True]
        only = await asked(client, "ValueSet/$expand", url=TREES, designation="urn:ietf:bcp:47|fr")
        assert [
            one.get("designation", [{}])[0].get("value") for one in only.json()["expansion"]["contains"]
        ] == [
            None,
            "Chêne",
            None,
        ]
        assert codes(await asked(client, "ValueSet/$expand", url=TREES, activeOnly="true")) == ["tree", "oak"]

    @pytest.mark.usefixtures("stored")
    async def test_codes_are_nested_where_it_is_asked_for(self, client: httpx.AsyncClient) -> None:
        answer = await asked(client, "ValueSet/$expand", url=TREES, excludeNested="false")
        expansion = answer.json()["expansion"]
        assert codes(answer) == ["tree"] and expansion["total"] == 3
        assert [one["code"] for one in expansion["contains"][0]["contains"]] == ["oak", "birch"]

    async def test_abstract_codes_and_systems_can_be_left_out(self, client: httpx.AsyncClient) -> None:
        inline = value_set(plants(("code", "in", "tea,mint")), {"system": GENDERS})
        given = {"name": "valueSet", "resource": inline}
        system = {"resourceType": "CodeSystem", "id": "plants", **PLANT_SYSTEM}
        await client.put("/fhir/CodeSystem/plants", json=system)
        without = {"name": "exclude-system", "valueCanonical": GENDERS}
        answer = await posted(client, "ValueSet/$expand", given, without)
        assert [(one["code"], one.get("abstract")) for one in answer.json()["expansion"]["contains"]] == [
            ("mint", None),
            ("tea", True),
        ]
        selectable = {"name": "excludeNotForUI", "valueBoolean": True}
        assert codes(await posted(client, "ValueSet/$expand", given, without, selectable)) == ["mint"]

    async def test_an_element_of_r4_names_its_value_set(self, client: httpx.AsyncClient) -> None:
        context = "http://hl7.org/fhir/StructureDefinition/Patient#Patient.gender"
        assert codes(await asked(client, "ValueSet/$expand", context=context))[0] == "male"
        answer = await asked(client, "ValueSet/$expand", context="http://example.org/x#Patient.gender")
        assert (answer.status_code, issue(answer)["code"]) == (400, "not-supported")

    @pytest.mark.usefixtures("stored")
    async def test_a_change_counts_at_once(self, client: httpx.AsyncClient) -> None:
        assert len(codes(await asked(client, "ValueSet/$expand", url=TREES))) == 3
        changed = value_set(listed("mint"), url=TREES, id="trees", version="2")
        await client.put("/fhir/ValueSet/trees", json=changed)
        assert codes(await asked(client, "ValueSet/$expand", url=TREES)) == ["mint"]
        await client.delete("/fhir/ValueSet/trees")
        assert (await asked(client, "ValueSet/$expand", url=TREES)).status_code == 404
        assert (await asked(client, "ValueSet/trees/$expand")).status_code == 410

    @pytest.mark.usefixtures("stored")
    async def test_the_newest_active_version_counts_unless_one_is_named(
        self, client: httpx.AsyncClient
    ) -> None:
        for version, status, code in (
            ("10", "active", "oak"),
            ("9", "active", "mint"),
            ("11", "retired", "tea"),
        ):
            one = value_set(listed(code), url=TREES, id=f"trees-{version}", version=version)
            await client.put(f"/fhir/ValueSet/trees-{version}", json={**one, "status": status})
        assert codes(await asked(client, "ValueSet/$expand", url=TREES)) == ["oak"]
        assert codes(await asked(client, "ValueSet/$expand", url=f"{TREES}|9")) == ["mint"]
        assert codes(await asked(client, "ValueSet/$expand", url=TREES, valueSetVersion="11")) == ["tea"]

    async def test_what_is_stored_counts_before_what_is_published(self, client: httpx.AsyncClient) -> None:
        own = value_set({"system": GENDERS, "concept": [{"code": "other"}]}, url=GENDER, id="own")
        await client.put("/fhir/ValueSet/own", json=own)
        assert codes(await asked(client, "ValueSet/$expand", url=GENDER)) == ["other"]
        assert len(codes(await asked(client, "ValueSet/$expand", url=f"{GENDER}|4.0.1"))) == 4

    @pytest.mark.parametrize(
        ("params", "status", "code"),
        [
            ({}, 400, "required"),
            ({"url": "http://example.org/none"}, 404, "not-found"),
            ({"url": "http://hl7.org/fhir/ValueSet/body-site"}, 400, "not-supported"),
            ({"url": GENDER, "count": "many"}, 400, "invalid"),
            ({"url": GENDER, "offset": "-1"}, 400, "invalid"),
            ({"url": GENDER, "activeOnly": "perhaps"}, 400, "invalid"),
            ({"url": GENDER, "contextDirection": "up"}, 400, "invalid"),
            ({"url": GENDER, "date": "soon"}, 400, "invalid"),
            ({"valueSet": "x"}, 400, "invalid"),
        ],
    )
    async def test_a_wrong_request_is_refused(
        self, client: httpx.AsyncClient, params: dict[str, str], status: int, code: str
    ) -> None:
        answer = await client.get("/fhir/ValueSet/$expand", params=params)
        assert (answer.status_code, issue(answer)["code"]) == (status, code), answer.text

    async def test_a_value_that_is_no_value_set_is_refused(self, client: httpx.AsyncClient) -> None:
        answer = await client.post("/fhir/ValueSet/$expand", json={"resourceType": "Patient"})
        assert answer.status_code == 400
        wrong = {"resourceType": "ValueSet", "compose": {"include": "x"}}
        assert 400 <= (await client.post("/fhir/ValueSet/$expand", json=wrong)).status_code < 500
        twice = [{"name": "url", "valueUri": GENDER}] * 2
        assert (await posted(client, "ValueSet/$expand", *twice)).status_code == 400
        number = {"name": "url", "valueInteger": 1}
        assert (await posted(client, "ValueSet/$expand", number)).status_code == 400

    @pytest.mark.usefixtures("stored")
    async def test_circles_and_expansions_without_bounds_are_refused(self, client: httpx.AsyncClient) -> None:
        circle = value_set({"valueSet": ["http://example.org/c"]}, url="http://example.org/c", id="c")
        await client.put("/fhir/ValueSet/c", json=circle)
        answer = await asked(client, "ValueSet/$expand", url="http://example.org/c")
        assert (answer.status_code, issue(answer)["code"]) == (422, "processing")
        large = {
            "resourceType": "CodeSystem",
            "id": "large",
            "url": "http://example.org/large",
            "status": "active",
            "content": "complete",
            "concept": [{"code": f"c{n}"} for n in range(10_001)],
        }
        assert (await client.put("/fhir/CodeSystem/large", json=large)).status_code == 201
        inline = value_set({"system": "http://example.org/large"})
        answer = await client.post("/fhir/ValueSet/$expand", json=inline)
        assert (answer.status_code, issue(answer)["code"]) == (422, "too-costly")
        page = {"name": "count", "valueInteger": 2}
        given = {"name": "valueSet", "resource": inline}
        answer = await posted(client, "ValueSet/$expand", given, page)
        assert codes(answer) == ["c0", "c1"] and answer.json()["expansion"]["total"] == 10_001


class TestValidateCode:
    """http://hl7.org/fhir/R4/valueset-operation-validate-code.html"""

    @pytest.mark.usefixtures("stored")
    @pytest.mark.parametrize(
        ("params", "result", "display"),
        [
            ({"code": "oak", "system": PLANTS}, True, "Oak"),
            ({"code": "oak", "system": PLANTS, "display": "oak"}, True, "Oak"),
            ({"code": "oak", "system": PLANTS, "display": "橡树"}, True, "Oak"),
            ({"code": "oak", "system": PLANTS, "displayLanguage": "zh"}, True, "橡树"),
            ({"code": "oak", "system": PLANTS, "display": "Pine"}, False, "Oak"),
            ({"code": "oak", "system": PLANTS, "systemVersion": "2"}, True, "Oak"),
            ({"code": "oak", "system": PLANTS, "systemVersion": "7"}, False, None),
            ({"code": "oak"}, True, "Oak"),
            ({"code": "mint", "system": PLANTS}, False, None),
            ({"code": "oak", "system": "http://example.org/other"}, False, None),
        ],
    )
    async def test_a_code_is_judged_against_a_value_set(
        self, client: httpx.AsyncClient, params: dict[str, str], result: bool, display: str | None
    ) -> None:
        for path, more in (("ValueSet/trees", {}), ("ValueSet", {"url": TREES})):
            answer = found(await asked(client, f"{path}/$validate-code", **params, **more))
            assert (answer["result"], answer.get("display")) == (result, display)
            assert result or answer["message"]

    @pytest.mark.usefixtures("stored")
    async def test_one_right_coding_is_enough(self, client: httpx.AsyncClient) -> None:
        wrong, right = {"system": PLANTS, "code": "mint"}, {"system": PLANTS, "code": "oak"}
        url = {"name": "url", "valueUri": TREES}
        for value, result in (
            ({"name": "coding", "valueCoding": right}, True),
            ({"name": "coding", "valueCoding": wrong}, False),
            ({"name": "coding", "valueCoding": {"code": "oak"}}, False),
            ({"name": "codeableConcept", "valueCodeableConcept": {"coding": [wrong, right]}}, True),
            ({"name": "codeableConcept", "valueCodeableConcept": {"coding": [wrong]}}, False),
        ):
            answer = found(await posted(client, "ValueSet/$validate-code", url, value))
            assert answer["result"] is result

    @pytest.mark.usefixtures("stored")
    async def test_abstract_and_inactive_codes_are_pointed_out(self, client: httpx.AsyncClient) -> None:
        params = {"url": PLANTS, "code": "tea"}
        assert found(await asked(client, "CodeSystem/$validate-code", **params))["result"] is True
        refused = found(await asked(client, "CodeSystem/$validate-code", **params, abstract="false"))
        assert refused["result"] is False and "abstract" in refused["message"]
        assert found(await asked(client, "CodeSystem/$validate-code", **params, abstract="true"))["result"]
        birch = found(await asked(client, "CodeSystem/plants/$validate-code", code="birch"))
        assert birch["result"] is True and "inactive" in birch["message"]

    async def test_a_code_is_judged_against_a_published_or_given_code_system(
        self, client: httpx.AsyncClient
    ) -> None:
        male = found(await asked(client, "CodeSystem/$validate-code", url=GENDERS, code="male"))
        assert male == {"result": True, "display": "Male"}
        none = found(await asked(client, "CodeSystem/$validate-code", url=GENDERS, code="m"))
        assert none["result"] is False and GENDERS in none["message"]
        given = {"name": "codeSystem", "resource": PLANT_SYSTEM}
        coding = {"name": "coding", "valueCoding": {"system": PLANTS, "code": "oak"}}
        assert found(await posted(client, "CodeSystem/$validate-code", given, coding))["result"] is True
        other = {"name": "coding", "valueCoding": {"system": GENDERS, "code": "oak"}}
        assert found(await posted(client, "CodeSystem/$validate-code", given, other))["result"] is False

    async def test_a_code_of_an_unknown_system_is_not_called_valid(self, client: httpx.AsyncClient) -> None:
        answer = found(
            await asked(
                client,
                "ValueSet/$validate-code",
                url="http://hl7.org/fhir/ValueSet/body-site",
                system="http://snomed.info/sct",
                code="1",
            )
        )
        assert answer["result"] is False and "http://snomed.info/sct" in answer["message"]

    @pytest.mark.parametrize(
        ("path", "params", "status", "code"),
        [
            ("ValueSet", {"url": GENDER}, 400, "required"),
            ("ValueSet", {"code": "male", "system": GENDERS}, 400, "required"),
            ("ValueSet", {"url": "http://example.org/none", "code": "x"}, 404, "not-found"),
            ("ValueSet", {"url": GENDER, "coding": "x"}, 400, "invalid"),
            ("CodeSystem", {"code": "x"}, 400, "required"),
            ("CodeSystem", {"url": "http://example.org/none", "code": "x"}, 404, "not-found"),
        ],
    )
    async def test_a_wrong_request_is_refused(
        self, client: httpx.AsyncClient, path: str, params: dict[str, str], status: int, code: str
    ) -> None:
        answer = await client.get(f"/fhir/{path}/$validate-code", params=params)
        assert (answer.status_code, issue(answer)["code"]) == (status, code)


@pytest.mark.usefixtures("stored")
async def test_a_search_asks_the_same_terminology(hub: Hub) -> None:
    terms = hub.store.terms
    assert terms is not None
    trees = frozenset({(PLANTS, "tree"), (PLANTS, "oak"), (PLANTS, "birch")})
    for name in (TREES, f"{TREES}|1", "ValueSet/trees", f"{hub.settings.fhir_base}/ValueSet/trees"):
        assert await terms.members(name) == trees
    assert await terms.below(PLANTS, "tree") == {"tree", "oak", "birch"}
    assert await terms.above(PLANTS, "mint") == {"mint", "herb", "plant", "tea"}
    assert await terms.below(PLANTS, "stone") == {"stone"}
    with pytest.raises(NotFound):
        await terms.members("http://example.org/none")
    with pytest.raises(NotFound):
        await terms.below("http://example.org/none", "x")
    with pytest.raises(NotSupported):
        await terms.below("http://snomed.info/sct", "1")


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        (f"code:in={TREES}", ["oak"]),
        ("code:in=ValueSet/trees", ["oak"]),
        (f"code:not-in={TREES}", ["mint"]),
        (f"code:below={PLANTS}|plant", ["mint", "oak"]),
        (f"code:above={PLANTS}|mint", ["mint"]),
    ],
)
async def test_a_search_finds_codes_by_meaning(
    client: httpx.AsyncClient, criterion: str, expected: list[str]
) -> None:
    for code in ("oak", "mint"):
        one = {"resourceType": "Basic", "id": code, "code": {"coding": [{"system": PLANTS, "code": code}]}}
        await client.put(f"/fhir/Basic/{code}", json=one)
    answer = await client.get(f"/fhir/Basic?{criterion}")
    assert sorted(one["resource"]["id"] for one in answer.json().get("entry", [])) == expected
    once = {"method": "POST", "url": "Basic", "ifNoneExist": criterion}
    if expected == ["oak"]:
        entry = {"resource": {"resourceType": "Basic", "code": {"text": "?"}}, "request": once}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        told = (await client.post("/fhir", json=bundle)).json()
        assert told["entry"][0]["response"]["status"].startswith("200")


async def test_definitions_of_another_time_are_refused(client: httpx.AsyncClient) -> None:
    one = value_set({"system": GENDERS}, url=TREES, id="trees")
    await client.put("/fhir/ValueSet/trees", json=one)
    answer = await asked(client, "ValueSet/$expand", url=TREES, date="2001-01-01")
    assert (answer.status_code, issue(answer)["code"]) == (400, "not-supported")
    assert len(codes(await asked(client, "ValueSet/$expand", url=TREES, date="2999-01-01"))) == 4
    assert len(codes(await asked(client, "ValueSet/$expand", url=GENDER, date="2024-01-01"))) == 4
