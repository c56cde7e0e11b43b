"""$lookup, $subsumes and $translate, on both databases."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.integration.api.conftest import issue
from tests.integration.api.terms import GENDERS, TREES, asked, found, posted, store_plants
from tests.unit.terminology.plants import PLANTS


@pytest.fixture
async def stored(client: httpx.AsyncClient) -> None:
    """The plants, a value set of trees, and a map."""
    await store_plants(client)


class TestLookup:
    """http://hl7.org/fhir/R4/codesystem-operation-lookup.html"""

    @pytest.mark.usefixtures("stored")
    async def test_everything_known_of_a_code_is_told(self, client: httpx.AsyncClient) -> None:
        for answer in (
            await asked(client, "CodeSystem/$lookup", system=PLANTS, code="oak"),
            await posted(
                client,
                "CodeSystem/$lookup",
                {"name": "coding", "valueCoding": {"system": PLANTS, "code": "oak", "version": "2"}},
            ),
        ):
            told = found(answer)
            assert (told["name"], told["version"], told["display"]) == ("Plants", "2", "Oak")
            assert told["designation"][0] == {"language": "zh-CN", "value": "橡树"}
            assert told["designation"][1]["use"]["code"] == "900000000000013009"
            assert {"code": "parent", "value": "tree", "description": "Tree"} in told["property"]
            assert {"code": "height", "value": 30} in told["property"]
            assert {"code": "definition", "value": "Quercus"} in told["property"]

    @pytest.mark.usefixtures("stored")
    async def test_only_the_properties_asked_for_are_told(self, client: httpx.AsyncClient) -> None:
        told = found(await asked(client, "CodeSystem/$lookup", system=PLANTS, code="tree", property="child"))
        assert [one["value"] for one in told["property"]] == ["oak", "birch"]
        assert "designation" not in told and told["display"] == "Tree"
        told = found(await asked(client, "CodeSystem/$lookup", system=PLANTS, code="oak", property="lang.fr"))
        assert [one["value"] for one in told["designation"]] == ["Chêne"] and "property" not in told

    @pytest.mark.usefixtures("stored")
    @pytest.mark.parametrize(
        ("params", "status", "code"),
        [
            ({"system": PLANTS, "code": "stone"}, 404, "not-found"),
            ({"system": PLANTS, "code": "oak", "version": "7"}, 404, "not-found"),
            ({"system": "http://example.org/none", "code": "oak"}, 404, "not-found"),
            ({"code": "oak"}, 400, "required"),
            ({"system": PLANTS}, 400, "required"),
        ],
    )
    async def test_what_is_not_there_or_not_said_is_refused(
        self, client: httpx.AsyncClient, params: dict[str, str], status: int, code: str
    ) -> None:
        answer = await client.get("/fhir/CodeSystem/$lookup", params=params)
        assert (answer.status_code, issue(answer)["code"]) == (status, code)


class TestSubsumes:
    """http://hl7.org/fhir/R4/codesystem-operation-subsumes.html"""

    @pytest.mark.usefixtures("stored")
    @pytest.mark.parametrize(
        ("one", "other", "outcome"),
        [
            ("plant", "oak", "subsumes"),
            ("oak", "plant", "subsumed-by"),
            ("oak", "oak", "equivalent"),
            ("oak", "mint", "not-subsumed"),
            ("tea", "mint", "subsumes"),
        ],
    )
    async def test_two_codes_stand_so(
        self, client: httpx.AsyncClient, one: str, other: str, outcome: str
    ) -> None:
        params = {"codeA": one, "codeB": other}
        assert (
            found(await asked(client, "CodeSystem/$subsumes", system=PLANTS, **params))["outcome"] == outcome
        )
        assert found(await asked(client, "CodeSystem/plants/$subsumes", **params))["outcome"] == outcome
        codings = [
            {"name": f"coding{side}", "valueCoding": {"system": PLANTS, "code": code}}
            for side, code in (("A", one), ("B", other))
        ]
        assert found(await posted(client, "CodeSystem/$subsumes", *codings))["outcome"] == outcome

    @pytest.mark.usefixtures("stored")
    async def test_what_is_not_there_or_not_said_is_refused(self, client: httpx.AsyncClient) -> None:
        params = {"system": PLANTS, "codeA": "oak"}
        assert (await asked(client, "CodeSystem/$subsumes", **params)).status_code == 400
        assert (await asked(client, "CodeSystem/$subsumes", codeA="a", codeB="b")).status_code == 400
        assert (await asked(client, "CodeSystem/$subsumes", **params, codeB="stone")).status_code == 404


class TestTranslate:
    """http://hl7.org/fhir/R4/conceptmap-operation-translate.html"""

    @pytest.mark.usefixtures("stored")
    async def test_a_code_is_translated_by_the_map_that_is_meant(self, client: httpx.AsyncClient) -> None:
        params = {"code": "oak", "system": PLANTS}
        for answer in (
            await asked(client, "ConceptMap/$translate", url="http://example.org/map", **params),
            await asked(client, "ConceptMap/plants/$translate", **params),
            await asked(client, "ConceptMap/$translate", **params),
            await asked(client, "ConceptMap/$translate", source=TREES, **params),
            await asked(client, "ConceptMap/$translate", source="ValueSet/trees", **params),
            await asked(client, "ConceptMap/$translate", target="http://example.org/woods", **params),
            await asked(client, "ConceptMap/$translate", targetsystem="http://example.org/wood", **params),
        ):
            told = found(answer)
            assert told["result"] is True and told["match"] == [
                {
                    "equivalence": "wider",
                    "concept": {"system": "http://example.org/wood", "code": "hard", "display": "Hard"},
                    "source": "http://example.org/map|3",
                }
            ]

    @pytest.mark.usefixtures("stored")
    async def test_no_translation_is_said_to_be_none(self, client: httpx.AsyncClient) -> None:
        mint = found(await asked(client, "ConceptMap/plants/$translate", code="mint", system=PLANTS))
        assert mint["result"] is False
        assert mint["match"] == [{"equivalence": "unmatched", "source": "http://example.org/map|3"}]
        none = found(await asked(client, "ConceptMap/plants/$translate", code="tea", system=PLANTS))
        assert none["result"] is False and none["message"] and "match" not in none
        elsewhere = {"code": "oak", "system": PLANTS, "target": "http://example.org/other"}
        assert found(await asked(client, "ConceptMap/$translate", **elsewhere))["result"] is False

    @pytest.mark.usefixtures("stored")
    async def test_a_map_can_be_read_backwards(self, client: httpx.AsyncClient) -> None:
        params = {"code": "hard", "system": "http://example.org/wood", "reverse": "true"}
        for path in ("ConceptMap/plants/$translate", "ConceptMap/$translate"):
            told = found(await asked(client, path, **params))
            assert told["match"][0]["concept"] == {"system": PLANTS, "code": "oak"}
            assert told["match"][0]["equivalence"] == "narrower"

    async def test_a_published_map_translates(self, client: httpx.AsyncClient) -> None:
        told = found(
            await asked(
                client,
                "ConceptMap/$translate",
                url="http://hl7.org/fhir/ConceptMap/cm-administrative-gender-v3",
                code="male",
                system=GENDERS,
            )
        )
        assert told["match"][0]["concept"]["code"] == "M"
        assert (
            told["match"][0]["concept"]["system"]
            == "http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender"
        )

    @pytest.mark.parametrize(
        ("params", "status", "code"),
        [
            ({}, 400, "required"),
            ({"code": "oak"}, 400, "required"),
            ({"url": "http://example.org/none", "code": "oak", "system": PLANTS}, 404, "not-found"),
        ],
    )
    async def test_a_wrong_request_is_refused(
        self, client: httpx.AsyncClient, params: dict[str, str], status: int, code: str
    ) -> None:
        answer = await client.get("/fhir/ConceptMap/$translate", params=params)
        assert (answer.status_code, issue(answer)["code"]) == (status, code)

    async def test_a_table_beside_the_mappings_translates(
        self, client: httpx.AsyncClient, tmp_path: Path
    ) -> None:
        folder = tmp_path / "hl7v2"
        folder.mkdir()
        (folder / "route.map.csv").write_text("source,code,display,system\nPO,1,Oral,urn:route\n", "utf-8")
        url = "https://sanyi-hub.org/fhir/ConceptMap/hl7v2-route"
        told = found(await asked(client, "ConceptMap/$translate", url=url, code="PO", system="urn:any"))
        concept = {"system": "urn:route", "code": "1", "display": "Oral"}
        assert told["match"] == [{"equivalence": "equivalent", "concept": concept, "source": url}]
