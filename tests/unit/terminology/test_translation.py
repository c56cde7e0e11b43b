"""Concept maps: http://hl7.org/fhir/R4/conceptmap.html"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hub import content, r4
from hub.errors import NotFound, Unworkable
from hub.terminology.source import Layers, Published, Shelf, split
from hub.terminology.tables import tables
from hub.terminology.translation import Dependency, Map, Match, Needed, Stated, translated

A, B = "http://example.org/a", "http://example.org/b"


def concept_map(url: str = "http://example.org/map", **group: Any) -> dict[str, Any]:
    return {
        "resourceType": "ConceptMap",
        "url": url,
        "status": "active",
        "group": [{"source": A, "target": B, "element": [], **group}],
    }


async def matches(
    one: dict[str, Any], code: str, *others: dict[str, Any], known: tuple[Dependency, ...] = ()
) -> list[Match]:
    shelf = Shelf(others)

    async def find(url: str) -> Map | None:
        return await shelf.concept_map(*split(url))

    return await translated(Stated(one), A, code, known, Needed(), find)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"mode": "provided"}, {"system": B, "code": "x"}),
        (
            {"mode": "fixed", "code": "other", "display": "Other"},
            {"system": B, "code": "other", "display": "Other"},
        ),
    ],
)
async def test_a_code_that_is_not_mapped_follows_the_rule(
    rule: dict[str, Any], expected: dict[str, Any]
) -> None:
    element = [{"code": "known", "target": [{"code": "k", "equivalence": "equal"}]}]
    tree = concept_map(element=element, unmapped=rule)
    (found,) = await matches(tree, "x")
    assert (found.concept, found.equivalence) == (expected, "relatedto")
    (known,) = await matches(tree, "known")
    assert (known.concept["code"], known.equivalence) == ("k", "equal")


async def test_a_map_leaves_what_it_does_not_know_to_another() -> None:
    first = concept_map(unmapped={"mode": "other-map", "url": "http://example.org/second"})
    element = [{"code": "x", "target": [{"code": "y", "equivalence": "equivalent"}]}]
    second = concept_map("http://example.org/second", element=element)
    (found,) = await matches(first, "x", second)
    assert (found.concept["code"], found.source) == ("y", "http://example.org/second")
    with pytest.raises(NotFound, match="second"):
        await matches(first, "x")
    back = concept_map("http://example.org/second", unmapped={"mode": "other-map", "url": first["url"]})
    with pytest.raises(Unworkable, match="leads back"):
        await matches(first, "x", first, back)


async def test_a_target_counts_only_where_what_it_depends_on_is_known() -> None:
    depends = [{"property": "http://example.org/part", "system": A, "value": "left"}]
    targets = [
        {"code": "hand", "equivalence": "wider"},
        {"code": "left-hand", "equivalence": "equivalent", "dependsOn": depends},
    ]
    tree = concept_map(element=[{"code": "x", "target": targets}])
    left = Dependency("http://example.org/part", frozenset({(A, "left")}))
    right = Dependency("http://example.org/part", frozenset({(A, "right")}))
    assert [one.concept["code"] for one in await matches(tree, "x")] == ["hand"]
    assert [one.concept["code"] for one in await matches(tree, "x", known=(right,))] == ["hand"]
    assert [one.concept["code"] for one in await matches(tree, "x", known=(left,))] == ["hand", "left-hand"]
    needed = Needed()
    Stated(tree).forward(A, "x", (), needed)
    assert needed.elements == ["http://example.org/part"]


async def test_products_go_along() -> None:
    product = [{"property": "http://example.org/side", "system": A, "value": "left"}]
    target = {"code": "hand", "equivalence": "equivalent", "product": product}
    (found,) = await matches(concept_map(element=[{"code": "x", "target": [target]}]), "x")
    assert found.products == (("http://example.org/side", {"system": A, "code": "left"}),)


@pytest.fixture
def shipped(tmp_path: Path) -> Map:
    folder = tmp_path / "set"
    folder.mkdir()
    rows = [
        "source,code,display,system,source_system,equivalence",
        f"PO,1,Oral,{B},,",
        f"IV,2,,%base/route,{A},inexact",
        "NONE,,,,,",
        f"/X\\d+/,$0,,{B},,",
    ]
    (folder / "route.map.csv").write_text("\n".join(rows), "utf-8")
    (one,) = tables([tmp_path], "http://example.org/base")
    return one


def test_a_table_of_the_hub_is_a_concept_map(shipped: Map) -> None:
    assert shipped.url == "http://example.org/base/ConceptMap/set-route"
    oral = shipped.forward(A, "PO", (), Needed())
    assert oral == [Match("equivalent", {"system": B, "code": "1", "display": "Oral"}, shipped.url)]
    (iv,) = shipped.forward(A, "IV", (), Needed())
    assert (iv.equivalence, iv.concept["system"]) == ("inexact", "http://example.org/base/route")
    assert shipped.forward(B, "IV", (), Needed()) == []
    (none,) = shipped.forward(A, "NONE", (), Needed())
    assert (none.equivalence, none.concept) == ("unmatched", {})
    (pattern,) = shipped.forward(A, "X12", (), Needed())
    assert pattern.concept == {"system": B, "code": "X12"}
    (back,) = shipped.backward(B, "1")
    assert back.concept == {"code": "PO"}


def test_every_table_that_ships_is_a_valid_concept_map() -> None:
    found = tables([content.mappings()], "https://sanyi-hub.org/fhir")
    assert "https://sanyi-hub.org/fhir/ConceptMap/hl7v2-route" in {one.url for one in found}
    for one in found:
        r4.decode(r4.untree(one.tree()), "ConceptMap")


async def test_maps_are_found_by_the_systems_they_join(shipped: Map) -> None:
    own = concept_map(element=[{"code": "x", "target": [{"code": "y", "equivalence": "equal"}]}])
    source = Layers(Shelf([own]), Shelf(maps=[shipped]), Published())
    assert {one.url for one in await source.concept_maps(A)} == {own["url"], shipped.url}
    assert {one.url for one in await source.concept_maps(B, reverse=True)} == {own["url"], shipped.url}
    genders = await source.concept_maps("http://hl7.org/fhir/administrative-gender")
    assert "http://hl7.org/fhir/ConceptMap/cm-administrative-gender-v3" in {one.url for one in genders}
