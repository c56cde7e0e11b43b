"""What the tests of the terminology operations share."""

from __future__ import annotations

from typing import Any

import httpx

from tests.unit.terminology.plants import PLANT_SYSTEM, PLANTS, plants, value_set

TREES = "http://example.org/trees"
GENDER = "http://hl7.org/fhir/ValueSet/administrative-gender"
GENDERS = "http://hl7.org/fhir/administrative-gender"
MAP = {
    "resourceType": "ConceptMap",
    "id": "plants",
    "url": "http://example.org/map",
    "version": "3",
    "status": "active",
    "sourceUri": TREES,
    "targetUri": "http://example.org/woods",
    "group": [
        {
            "source": PLANTS,
            "target": "http://example.org/wood",
            "element": [
                {"code": "oak", "target": [{"code": "hard", "display": "Hard", "equivalence": "wider"}]},
                {"code": "mint", "target": [{"equivalence": "unmatched"}]},
            ],
        }
    ],
}


async def store_plants(client: httpx.AsyncClient) -> None:
    """The plants, a value set of trees, and a map."""
    trees = value_set(plants(("concept", "is-a", "tree")), url=TREES, id="trees", version="1")
    system = {**PLANT_SYSTEM, "id": "plants"}
    for one in (system, trees, MAP):
        answer = await client.put(f"/fhir/{one['resourceType']}/{one['id']}", json=one)
        assert answer.status_code == 201, answer.text


async def asked(client: httpx.AsyncClient, path: str, **params: Any) -> httpx.Response:
    """A GET, with underscores of names as hyphens."""
    given = {name.replace("_", "-"): value for name, value in params.items()}
    return await client.get(f"/fhir/{path}", params=given)


async def posted(client: httpx.AsyncClient, path: str, *parameters: dict[str, Any]) -> httpx.Response:
    """A POST of Parameters."""
    return await client.post(
        f"/fhir/{path}", json={"resourceType": "Parameters", "parameter": list(parameters)}
    )


def found(answer: httpx.Response) -> dict[str, Any]:
    """The parameters of an answer by name; repeated ones as a list of their parts by name."""
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = {}
    for one in answer.json()["parameter"]:
        if "part" in one:
            parts = {part["name"]: _value(part) for part in one["part"]}
            result.setdefault(one["name"], []).append(parts)
        else:
            result[one["name"]] = _value(one)
    return result


def _value(parameter: dict[str, Any]) -> Any:
    return next((value for name, value in parameter.items() if name.startswith("value")), None)


def codes(answer: httpx.Response) -> list[str]:
    """The codes of an expansion."""
    assert answer.status_code == 200, answer.text
    return [one["code"] for one in answer.json()["expansion"].get("contains", [])]
