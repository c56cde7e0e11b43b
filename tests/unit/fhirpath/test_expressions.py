"""What expressions yield over JSON, FHIR and other trees."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hub import fhirpath
from hub.fhirpath.choices import CHOICES


def results(text: str, context: Any = None, env: dict[str, Any] | None = None, **options: Any) -> list[Any]:
    return fhirpath.compile(text, **options)([] if context is None else context, env or {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name.given", ["秀", "兰", "Lan"]),
        ("Patient.name.where(use = 'official').given.first()", ["秀"]),
        ("name.where(use = 'official' and family.exists()).text", ["王秀兰"]),
        ("name[1].given.last()", ["Lan"]),
        ("name.given[9]", []),
        ("Observation.name", []),
        ("Resource.id", ["one"]),
        ("multipleBirth", [2]),
        ("multipleBirth is integer", [True]),
        ("multipleBirth.ofType(boolean)", []),
        ("(extension.value as Quantity).unit", ["kg"]),
        ("extension.value.ofType(Quantity).value", [Decimal("61.50")]),
        ("extension('urn:weight').value.value", [Decimal("61.50")]),
        ("birthDate.extension('urn:time').value", ["1961-03-02T08:30:00+08:00"]),
        ("birthDate.extension.url", ["urn:time"]),
        ("name.given.count()", [4]),
        ("name.given.select(hasValue())", [True, True, False, True]),
        ("name.select($index)", [0, 1]),
        ("name.where($index = 1).use", ["old"]),
        ("name.all(given.exists())", [True]),
        ("name.exists(use = 'nickname')", [False]),
        ("active and name.empty().not()", [True]),
        ("gender = 'female'", []),
        ("gender.exists() or active", [True]),
        ("name.use.join('/')", ["official/old"]),
        ("name.use in ('official' | 'old')", fhirpath.EvaluationError),
        ("name.first().use in ('official' | 'old')", [True]),
        ("iif(active, 'yes', 1 / 0)", ["yes"]),
        ("birthDate > @1960", [True]),
        ("birthDate = @1961-03", []),
        ("birthDate + 1 month", ["1961-04-02"]),
        ("birthDate.toString().substring(0, 4).toInteger() + 1", [1962]),
        ("1.10 + 2.205", [Decimal("3.305")]),
        ("7 days = 1 week", [True]),
        ("0.5 'g' > 499 'mg'", [True]),
        (
            "4 'mg'",
            [{"value": Decimal(4), "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}],
        ),
        ("descendants().where($this is Quantity).unit", ["kg"]),
        ("managingOrganization.resolve().name", ["Seventh"]),
        ("%resource.id", ["one"]),
        ("%box.a", [1, 2]),
        ("%missing", fhirpath.EvaluationError),
        ("name.single()", fhirpath.EvaluationError),
        ("1 < 'a'", fhirpath.EvaluationError),
        ("today()", ["2026-02-01"]),
        ("now()", ["2026-02-01T00:30:00.000+08:00"]),
        ("(1 | 2 | 3).aggregate($this + $total, 0)", [6]),
        ("conformsTo('http://hl7.org/fhir/StructureDefinition/Patient')", [True]),
    ],
)
def test_results(text: str, expected: Any, patient: dict[str, Any]) -> None:
    env = {
        "box": {"a": [1, 2]},
        "resolve": {"Organization/7": {"resourceType": "Organization", "name": "Seventh"}}.get,
        "zone": ZoneInfo("Asia/Shanghai"),
        "now": 1_769_877_000_000_000,
    }
    expression = fhirpath.compile(text)
    if isinstance(expected, type):
        with pytest.raises(expected):
            expression(patient, env)
        return
    assert expression(patient, env) == expected
    assert expression.first(patient, env) == (expected[0] if expected else None)
    assert len(expression.items(patient, env)) >= len(expected)


def test_truth_counts_empty_as_false(patient: dict[str, Any]) -> None:
    assert fhirpath.compile("name.use.exists()").truth(patient) is True
    assert fhirpath.compile("gender = 'male'").truth(patient) is False
    assert fhirpath.compile("(gender = 'male').not()").truth(patient) is False
    assert fhirpath.compile("name.first()").truth(patient) is True
    with pytest.raises(fhirpath.EvaluationError):
        fhirpath.compile("name").truth(patient)


def test_results_never_alias_the_source(patient: dict[str, Any]) -> None:
    fhirpath.compile("name")(patient).clear()
    assert len(patient["name"]) == 2


def test_numbered_members_of_other_trees(message: Any) -> None:
    options: dict[str, Any] = {"members_by_number": True}
    path = fhirpath.compile("PID.3.where($this.5 = 'PI').1", members_by_number=True)
    assert [part.text for part in path(message)] == ["P-12"]
    assert path.first(message).text == "P-12"
    assert results("PID.3.where(5 = 5).count()", message, **options) == [2]
    assert results("PID.3[0] & '!'", message, **options) == ["A-77!"]
    assert results("PID.4.upper()", message, **options) == []
    assert results("PID.4 = 'x'", message, **options) == []
    assert results("PID.3.1.select(replace('-', ''))", message, **options) == ["A77", "P12"]
    assert results("1.5 + 1", **options) == [Decimal("2.5")]


def test_own_functions_get_plain_lists(patient: dict[str, Any]) -> None:
    def shout(found: list[str], _: Any, mark: list[str]) -> list[str]:
        assert isinstance(found, list)
        return [text + mark[0] for text in found]

    assert results("name.use.shout('!')", patient, functions={"shout": shout}) == ["official!", "old!"]
    assert results(
        "birthDate.extension('urn:none').exists() | birthDate.shout('?')", patient, functions={"shout": shout}
    )
    with pytest.raises(fhirpath.InvalidExpression, match="unknown function shout"):
        fhirpath.compile("name.shout('!')")


def test_unresolved_references_still_tell_their_type(patient: dict[str, Any]) -> None:
    assert results("managingOrganization.where(resolve() is Organization).reference", patient) == [
        "Organization/7"
    ]
    assert results("managingOrganization.where(resolve() is Patient)", patient) == []


def test_contained_resources_are_resolved_within_the_resource(patient: dict[str, Any]) -> None:
    patient["managingOrganization"] = {"reference": "#o"}
    assert results("managingOrganization.resolve().name", patient) == ["First"]


def test_steps_from_outside_are_counted(patient: dict[str, Any]) -> None:
    assert results("name.given", patient, budget=100) == ["秀", "兰", "Lan"]
    nested = "name.given.select(%resource.descendants().where(%resource.descendants().exists()))"
    with pytest.raises(fhirpath.TooCostly):
        results(nested, patient, budget=100)
    with pytest.raises(fhirpath.TooCostly):
        results("1.repeat($this + 1)", budget=1000)


def test_regular_expressions_are_timed() -> None:
    with pytest.raises(fhirpath.TooCostly):
        results(f"'{'a' * 60}b'.matches('^(a|aa|a?)+$')")


@pytest.mark.parametrize(
    "text", ["name.given.", "1 +", "(a", "a b", "'open", "@2015-13", "a.$this", "{1}", "'\\q'", ""]
)
def test_syntax_errors_tell_the_place(text: str) -> None:
    with pytest.raises(fhirpath.InvalidExpression) as caught:
        fhirpath.compile(text)
    assert 0 <= caught.value.position <= len(text)
    assert "line 1, column" in str(caught.value)


@pytest.mark.parametrize("text", ["(" * 500 + "1" + ")" * 500, "a.where(" * 140 + "b" + ")" * 140])
def test_nesting_has_an_end(text: str) -> None:
    with pytest.raises(fhirpath.InvalidExpression, match="nested too deeply"):
        fhirpath.compile(text)


def test_long_paths_and_deep_conditions_compile(patient: dict[str, Any]) -> None:
    tree: Any = "leaf"
    for _ in range(40):
        tree = {"a": [tree]}
    assert results(".".join(["a"] * 40), tree) == ["leaf"]
    condition = "name.where(" * 10 + "use = 'old'" + ")" * 10
    assert results(condition, patient) == []
    many = " or ".join(f"id = 'x{number}'" for number in range(100))
    assert results(many, patient) == [False]


def test_texts_never_enter_the_generated_source() -> None:
    hostile = "x'); import os #"
    expression = fhirpath.compile(f"`{hostile}` = '{hostile.replace(chr(39), '')}'")
    assert "import os" not in expression.source()


def test_misspelt_members_are_found_without_data() -> None:
    assert fhirpath.check("name.where(given1 = 'x')", "Patient") == ("HumanName has no member given1",)
    assert fhirpath.check("Observation.valueQuantity", "Observation")
    assert fhirpath.check("contained.anything | managingOrganization.resolve().name", "Patient") == ()


def test_choices_agree_with_the_definitions() -> None:
    from hub import r4

    defined: dict[str, set[str]] = {}
    for name in (*r4.TYPES, *r4.DATA_TYPES):
        definition = r4.definition(name)
        for members in definition.elements.values() if definition else ():
            for stem, element in members.items():
                if element.choice:
                    defined.setdefault(stem, set()).update(element.types)
    assert {name: set(kinds.values()) for name, kinds in CHOICES.items()} == defined


def test_every_constraint_and_search_parameter_of_r4_compiles() -> None:
    from hub import r4

    for name in (*r4.TYPES, *r4.DATA_TYPES):
        definition = r4.definition(name)
        assert definition is not None
        for constraints in definition.constraints.values():
            for constraint in constraints:
                fhirpath.compile(constraint.expression)
        for parameter in definition.search:
            if parameter.expression:
                fhirpath.compile(parameter.expression)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("<div xmlns='http://www.w3.org/1999/xhtml'><p>十二周&nbsp;</p></div>", True),
        ("<div xmlns='http://www.w3.org/1999/xhtml'><img src='#a'/></div>", True),
        ("<div xmlns='http://www.w3.org/1999/xhtml'> </div>", False),
        ("<div xmlns='http://www.w3.org/1999/xhtml'><script>1</script></div>", False),
        ("<div xmlns='http://www.w3.org/1999/xhtml' onclick='x()'>1</div>", False),
        ("<!DOCTYPE div [<!ENTITY x 'y'>]><div xmlns='http://www.w3.org/1999/xhtml'>&x;</div>", False),
        ("<div>no namespace</div>", False),
    ],
)
def test_narratives(text: str, allowed: bool) -> None:
    assert results("`div`.htmlChecks()", {"div": text}) == [allowed]
