"""Every search parameter of every type, with every modifier it takes, asked of an empty store.

http://hl7.org/fhir/R4/searchparameter-registry.html. Nothing is found and nothing is refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from hub import r4
from hub.store import Store
from hub.store.search.asking import LATER, MODIFIERS
from hub.store.search.planner import parse_query, search
from hub.store.search.query import InvalidSearch

WITHOUT = {("Patient", "age"), ("Patient", "birthOrderBoolean"), ("Patient", "part-agree")}
"""What docs/reference/deviations.md names."""
VALUES = {
    "token": "http://acme.org|a",
    "reference": "1",
    "string": "a",
    "uri": "http://acme.org/a",
    "date": "ge2026-01-01",
    "number": "lt5.4",
    "quantity": "5.4|http://unitsofmeasure.org|mg",
}
OF_MODIFIER = {
    "missing": "true",
    "text": "head",
    "of-type": "http://acme.org|MR|1",
    "in": "http://hl7.org/fhir/ValueSet/administrative-gender",
    "not-in": "http://hl7.org/fhir/ValueSet/administrative-gender",
    "above": "http://hl7.org/fhir/administrative-gender|male",
    "below": "http://hl7.org/fhir/administrative-gender|male",
    "identifier": "http://acme.org|1",
}
SPECIAL = {
    "near": "30.25|120.17|5|km",
    "_text": "bone",
    "_content": "bone",
    "_id": "a",
    "_lastUpdated": "2026",
}
UNLIKE = {"date": "soon", "number": "many", "quantity": "5|a", "token": "a|b|c", "composite": "a"}
"""By type: what is no value of it."""


def _value(parameter: r4.SearchParameter, modifier: str) -> str:
    if parameter.code in SPECIAL and not modifier:
        return SPECIAL[parameter.code]
    if modifier in OF_MODIFIER and (parameter.type == "token" or modifier in ("missing", "identifier")):
        return OF_MODIFIER[modifier]
    if parameter.type == "composite":
        return "$".join(VALUES[kind] if kind != "token" else "a" for kind in parameter.components)
    return VALUES[parameter.type]


def _modifiers(parameter: r4.SearchParameter) -> Iterator[str]:
    """Those of its type; :above and :below of references only where R4 has a hierarchy."""
    if parameter.code in ("_text", "_content"):
        yield ""
        return
    if parameter.code in ("_id", "_lastUpdated"):
        yield from ("", "missing")
        return
    canonical = parameter.type == "reference" and {one[1] for one in parameter.plan or ()} == {"canonical"}
    for modifier in sorted(MODIFIERS[parameter.type]):
        if parameter.sounds and modifier not in ("", "missing"):
            continue
        if parameter.type == "reference" and modifier in ("above", "below", "identifier"):
            if modifier == "identifier" and not canonical:
                yield modifier
            continue
        yield modifier
    if parameter.type == "reference":
        yield from parameter.targets[:1]


class _Terms:
    """A terminology that knows one code."""

    async def members(self, value_set: str) -> frozenset[tuple[str, str]]:
        return frozenset({("http://hl7.org/fhir/administrative-gender", "male")})

    async def below(self, system: str, code: str) -> frozenset[str]:
        return frozenset({code})

    above = below


async def test_every_parameter_takes_a_value_of_its_type_and_each_of_its_modifiers(store: Store) -> None:
    store.terms = _Terms()
    parameters = asked = 0
    failures = []
    for type_name in r4.TYPES:
        for parameter in r4.search_parameters(type_name):
            if parameter.code in LATER or (type_name, parameter.code) in WITHOUT:
                continue
            parameters += 1
            for modifier in _modifiers(parameter):
                name = f"{parameter.code}:{modifier}" if modifier else parameter.code
                asked += 1
                try:
                    query = parse_query(type_name, [(name, _value(parameter, modifier))])
                    # each parameter is looked up once; and a quarter of the modifiers
                    if not modifier or asked % 4 == 0:
                        page = await search(store, query)
                        assert page.entries == [] and page.next is None
                except Exception as error:
                    failures.append(f"{type_name}?{name}: {error}")
    assert failures == []
    assert parameters > 2200 and asked > 6000


def test_every_parameter_refuses_what_is_no_value_of_its_type() -> None:
    taken = []
    for type_name in r4.TYPES:
        for parameter in r4.search_parameters(type_name):
            own = parameter.code in ("_id", *LATER) or (type_name, parameter.code) in WITHOUT
            if own or parameter.type not in UNLIKE:
                continue
            try:
                parse_query(type_name, [(parameter.code, UNLIKE[parameter.type])])
            except InvalidSearch:
                continue
            taken.append(f"{type_name}?{parameter.code}")
    assert taken == []
