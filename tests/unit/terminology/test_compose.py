"""Which codes a value set has: http://hl7.org/fhir/R4/valueset.html#compositions"""

from __future__ import annotations

from typing import Any

import pytest

from hub.errors import NotFound, NotSupported, TooCostly, Unworkable
from hub.terminology import compose, filters
from hub.terminology.compose import Versions
from tests.unit.terminology.plants import COLOURS, PLANTS, composer, listed, plants, value_set

ALL = "plant tree oak birch herb mint tea"


async def codes(tree: dict[str, Any], *others: dict[str, Any], **more: Any) -> str:
    """The codes of a value set in their order."""
    return " ".join(code for _, code in await composer(*others, **more).members(tree))


@pytest.mark.parametrize(
    ("name", "op", "value", "expected"),
    [
        ("concept", "=", "oak", "oak"),
        ("code", "=", "oak", "oak"),
        ("concept", "is-a", "tree", "tree oak birch"),
        ("concept", "is-a", "tea", "mint tea"),
        ("concept", "descendent-of", "tree", "oak birch"),
        ("concept", "is-not-a", "tree", "plant herb mint tea"),
        ("concept", "generalizes", "mint", "plant herb mint tea"),
        ("concept", "in", "oak, mint,none", "oak mint"),
        ("concept", "not-in", "oak,mint", "plant tree birch herb tea"),
        ("code", "regex", "[ot].*", "tree oak tea"),
        ("code", "regex", "ree", ""),
        ("display", "regex", ".*i.*", "birch mint"),
        ("display", "=", "Mint", "mint"),
        ("parent", "=", "tree", "oak birch"),
        ("parent", "exists", "false", "plant tea"),
        ("child", "=", "mint", "herb tea"),
        ("child", "exists", "false", "oak birch mint"),
        ("height", "=", "30", "oak"),
        ("height", "in", "20,30", "oak birch"),
        ("height", "exists", "true", "oak birch"),
        ("edible", "=", "true", "mint"),
        ("inactive", "=", "false", "plant tree oak herb mint tea"),
        ("notSelectable", "=", "true", "tea"),
        ("parent", "is-a", "tree", "oak birch"),
    ],
)
async def test_a_filter_selects_what_its_operator_means(
    name: str, op: str, value: str, expected: str
) -> None:
    assert await codes(value_set(plants((name, op, value)))) == expected


async def test_several_filters_must_all_hold() -> None:
    tree = value_set(plants(("concept", "is-a", "plant"), ("height", "exists", "true"), ("code", "=", "oak")))
    assert await codes(tree) == "oak"


@pytest.mark.parametrize(
    ("name", "op", "value", "error"),
    [
        ("colour", "=", "red", NotSupported),
        ("concept", "like", "oak", NotSupported),
        ("concept", "is-a", "stone", Unworkable),
        ("height", "exists", "maybe", Unworkable),
        ("code", "regex", "(", Unworkable),
    ],
)
async def test_a_filter_that_cannot_be_worked_out_is_refused_by_the_name_of_its_system(
    name: str, op: str, value: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match=PLANTS):
        await codes(value_set(plants((name, op, value))))


async def test_a_regular_expression_that_explodes_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "SECONDS", 0.05)
    endless = {
        "resourceType": "CodeSystem",
        "url": "http://example.org/endless",
        "content": "complete",
        "concept": [{"code": "a" * 40 + "!"}],
    }
    part = {"system": endless["url"], "filter": [{"property": "code", "op": "regex", "value": "(a|a|aa)+"}]}
    with pytest.raises(TooCostly):
        await codes(value_set(part), endless)


async def test_a_whole_system_comes_in_its_own_order() -> None:
    assert await codes(value_set(plants())) == ALL


async def test_includes_add_up_and_excludes_are_taken_away() -> None:
    tree = value_set(listed("mint"), plants(("concept", "is-a", "tree")), exclude=[listed("birch")])
    assert await codes(tree) == "mint tree oak"


async def test_a_listed_code_that_a_complete_system_does_not_have_is_left_out() -> None:
    assert await codes(value_set(listed("oak", "stone"))) == "oak"
    assert await codes(value_set(listed("x", system="http://example.org/unknown"))) == "x"
    assert await codes(value_set(listed("x", system="http://example.org/fragment"))) == "x"


async def test_inactive_codes_stay_unless_the_value_set_says_not() -> None:
    assert await codes(value_set(plants(("concept", "is-a", "tree")))) == "tree oak birch"
    assert await codes(value_set(plants(("concept", "is-a", "tree")), inactive=False)) == "tree oak"
    assert await codes(value_set(plants(("concept", "is-a", "tree")), inactive=True)) == "tree oak birch"


async def test_imports_within_one_include_intersect_and_several_includes_add_up() -> None:
    trees = value_set(plants(("concept", "is-a", "tree")), url="http://example.org/trees")
    tall = value_set(listed("oak", "mint"), url="http://example.org/tall")
    both = {"valueSet": [trees["url"], tall["url"]]}
    assert await codes(value_set(both), trees, tall) == "oak"
    assert await codes(value_set({"valueSet": [trees["url"]]}, {"valueSet": [tall["url"]]}), trees, tall) == (
        "tree oak birch mint"
    )
    with_system = plants(("height", "exists", "true"), valueSet=[tall["url"]])
    assert await codes(value_set(with_system), tall) == "oak"
    assert await codes(value_set(plants(), exclude=[both]), trees, tall) == "plant tree birch herb mint tea"


async def test_value_sets_that_include_each_other_are_refused() -> None:
    one = value_set({"valueSet": ["http://example.org/two"]}, url="http://example.org/one")
    two = value_set({"valueSet": ["http://example.org/one"]}, url="http://example.org/two")
    with pytest.raises(Unworkable, match="includes itself"):
        await codes(one, one, two)
    with pytest.raises(Unworkable, match="includes itself"):
        await composer(one, two).find(one, PLANTS, "oak")


async def test_a_value_set_used_twice_is_no_circle() -> None:
    base = value_set(listed("oak"), url="http://example.org/base")
    left = value_set({"valueSet": [base["url"]]}, url="http://example.org/left")
    assert (
        await codes(value_set({"valueSet": [base["url"]]}, {"valueSet": [left["url"]]}), base, left) == "oak"
    )


async def test_what_is_unknown_or_cannot_be_listed_is_named() -> None:
    with pytest.raises(NotFound, match=r"example\.org/unknown"):
        await codes(value_set({"system": "http://example.org/unknown"}))
    with pytest.raises(NotFound, match=r"example\.org/nowhere"):
        await codes(value_set({"valueSet": ["http://example.org/nowhere"]}))
    with pytest.raises(NotSupported, match=r"example\.org/absent"):
        await codes(value_set({"system": "http://example.org/absent"}))


async def test_too_many_codes_or_too_deep_imports_are_too_costly(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = [
        value_set({"valueSet": [f"http://example.org/{n + 1}"]}, url=f"http://example.org/{n}")
        for n in range(40)
    ]
    with pytest.raises(TooCostly):
        await codes(chain[0], *chain)
    monkeypatch.setattr(compose, "MOST", 6)
    with pytest.raises(TooCostly):
        await codes(value_set(plants()))


async def test_the_version_of_a_system_can_be_asked_for_checked_or_forced() -> None:
    free, pinned = value_set(plants()), value_set(plants(version="1"))
    assert await codes(free, versions=Versions(wanted={PLANTS: "1"})) == "plant"
    assert await codes(pinned, versions=Versions(wanted={PLANTS: "2"})) == "plant"
    assert await codes(pinned, versions=Versions(forced={PLANTS: "2"})) == ALL
    with pytest.raises(Unworkable, match="version 1"):
        await codes(pinned, versions=Versions(checked={PLANTS: "2"}))
    with pytest.raises(NotFound, match="version 9"):
        await codes(value_set(plants(version="9")))


async def test_codes_are_compared_without_case_where_the_system_says_so() -> None:
    tree = value_set(listed("red", system=COLOURS))
    assert await codes(tree) == "RED"
    found = await composer().find(tree, COLOURS, "Red")
    assert found is not None and found.code == "RED"
    assert await composer().find(value_set(plants()), PLANTS, "OAK") is None


async def test_a_list_decides_where_another_part_cannot() -> None:
    tree = value_set({"system": "http://example.org/absent"}, listed("oak"))
    found = await composer().find(tree, PLANTS, "oak")
    assert found is not None and found.code == "oak"
    assert await composer().find(tree, PLANTS, "mint") is None
    with pytest.raises(NotSupported):
        await composer().find(tree, "http://example.org/absent", "x")


async def test_an_exclude_that_cannot_be_worked_out_leaves_the_code_undecided() -> None:
    tree = value_set(plants(), exclude=[plants(("colour", "=", "red"))])
    with pytest.raises(NotSupported, match="colour"):
        await composer().find(tree, PLANTS, "oak")


async def test_a_value_set_with_nothing_but_an_expansion_has_its_codes() -> None:
    inner = {"system": PLANTS, "code": "oak", "display": "Oak"}
    contains = [{"display": "Trees", "contains": [inner]}, {"system": PLANTS, "code": "mint"}]
    tree = {"resourceType": "ValueSet", "url": "http://example.org/e", "expansion": {"contains": contains}}
    assert await codes(tree) == "oak mint"
    found = await composer().find(tree, PLANTS, "oak")
    assert found is not None and found.display == "Oak"
