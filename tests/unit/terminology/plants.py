"""A small invented code system, and value sets over it.

plant ─ tree ─ oak
      │      └ birch (withdrawn)
      ├ herb ─ mint
      └ (mint is under tea, too, by property)
tea (groups only)
"""

from __future__ import annotations

from typing import Any

from hub.terminology.compose import Composer, Versions
from hub.terminology.source import Shelf

PLANTS = "http://example.org/plants"
COLOURS = "http://example.org/colours"

PLANT_SYSTEM: dict[str, Any] = {
    "resourceType": "CodeSystem",
    "url": PLANTS,
    "version": "2",
    "name": "Plants",
    "status": "active",
    "content": "complete",
    "caseSensitive": True,
    "language": "en",
    "hierarchyMeaning": "is-a",
    "property": [
        {"code": "height", "type": "integer"},
        {"code": "edible", "type": "boolean"},
        {"code": "inactive", "uri": "http://hl7.org/fhir/concept-properties#inactive", "type": "boolean"},
        {
            "code": "notSelectable",
            "uri": "http://hl7.org/fhir/concept-properties#notSelectable",
            "type": "boolean",
        },
        {"code": "under", "uri": "http://hl7.org/fhir/concept-properties#parent", "type": "code"},
    ],
    "concept": [
        {
            "code": "plant",
            "display": "Plant",
            "concept": [
                {
                    "code": "tree",
                    "display": "Tree",
                    "concept": [
                        {
                            "code": "oak",
                            "display": "Oak",
                            "definition": "Quercus",
                            "designation": [
                                {"language": "zh-CN", "value": "橡树"},
                                {
                                    "language": "fr",
                                    "use": {"system": "http://snomed.info/sct", "code": "900000000000013009"},
                                    "value": "Chêne",
                                },
                            ],
                            "property": [{"code": "height", "valueInteger": 30}],
                        },
                        {
                            "code": "birch",
                            "display": "Birch",
                            "property": [
                                {"code": "inactive", "valueBoolean": True},
                                {"code": "height", "valueInteger": 20},
                            ],
                        },
                    ],
                },
                {
                    "code": "herb",
                    "display": "Herb",
                    "concept": [
                        {
                            "code": "mint",
                            "display": "Mint",
                            "property": [
                                {"code": "edible", "valueBoolean": True},
                                {"code": "under", "valueCode": "tea"},
                            ],
                        }
                    ],
                },
            ],
        },
        {"code": "tea", "display": "Tea", "property": [{"code": "notSelectable", "valueBoolean": True}]},
    ],
}
OLD_PLANTS: dict[str, Any] = {
    **PLANT_SYSTEM,
    "version": "1",
    "concept": [{"code": "plant", "display": "Vegetable"}],
}
COLOUR_SYSTEM: dict[str, Any] = {
    "resourceType": "CodeSystem",
    "url": COLOURS,
    "status": "active",
    "content": "complete",
    "caseSensitive": False,
    "concept": [{"code": "RED", "display": "Red"}, {"code": "GREEN", "display": "Green"}],
}
FRAGMENT: dict[str, Any] = {
    "resourceType": "CodeSystem",
    "url": "http://example.org/fragment",
    "status": "active",
    "content": "fragment",
    "concept": [{"code": "known", "display": "Known"}],
}
ABSENT: dict[str, Any] = {
    "resourceType": "CodeSystem",
    "url": "http://example.org/absent",
    "status": "active",
    "content": "not-present",
}
SYSTEMS = (PLANT_SYSTEM, OLD_PLANTS, COLOUR_SYSTEM, FRAGMENT, ABSENT)


def value_set(*include: dict[str, Any], url: str = "http://example.org/vs", **more: Any) -> dict[str, Any]:
    """A ValueSet of these includes; `exclude` and `inactive` go into its compose."""
    compose: dict[str, Any] = {"include": list(include)}
    for name in ("exclude", "inactive"):
        if name in more:
            compose[name] = more.pop(name)
    return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": compose, **more}


def plants(*filters: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    """An include of the plants that these filters select."""
    found: dict[str, Any] = {"system": PLANTS, **more}
    if filters:
        found["filter"] = [{"property": name, "op": op, "value": value} for name, op, value in filters]
    return found


def listed(*codes: str, system: str = PLANTS) -> dict[str, Any]:
    """An include of these codes."""
    return {"system": system, "concept": [{"code": code} for code in codes]}


def composer(*others: dict[str, Any], versions: Versions = Versions()) -> Composer:  # noqa: B008
    """A Composer over the invented code systems and these resources."""
    return Composer(Shelf([*SYSTEMS, *others]), versions)
