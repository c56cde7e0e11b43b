"""$translate: a code in other words, http://hl7.org/fhir/R4/conceptmap-operation-translate.html

By the map named (`url`, `conceptMap`, an instance), else by every map that maps from the code's system.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hub import r4
from hub.api import coded
from hub.api.exchange import Answer, Api, Ask, Offered
from hub.api.parameters import Given, given, wrong
from hub.errors import NotFound
from hub.terminology.coded import Code
from hub.terminology.source import Source, split
from hub.terminology.translation import NO_MATCH, Dependency, Map, Match, Needed, Stated, translated


async def translate(api: Api, ask: Ask) -> Answer:
    """200 with result, message and matches."""
    said = given(ask, resource="conceptMap")
    asked, _ = coded.codes(said)
    if not all(one.system for one in asked):
        raise coded.missing("expected the parameter system beside code, or codings with their system")
    known = [_dependency(one) for one in said.all("dependency")]
    reverse = said.flag("reverse")
    source = await api.vocabulary.source()
    needed = Needed()
    matches: list[Match] = []
    for code in asked:
        for one in await _maps(api, ask, said, source, code.system, reverse):
            matches += await _by(one, code, known, needed, source, reverse)
    target = coded.string(said, "targetsystem")
    if target:
        matches = [one for one in matches if one.concept.get("system") in (None, target)]
    return Answer(body=r4.untree(_rendered(matches, needed)))


async def _by(
    one: Map, code: Code, known: Sequence[Dependency], needed: Needed, source: Source, reverse: bool
) -> list[Match]:
    if reverse:
        return one.backward(code.system, code.code)

    async def find(url: str) -> Map | None:
        return await source.concept_map(*split(url))

    return await translated(one, code.system, code.code, known, needed, find)


async def _maps(api: Api, ask: Ask, said: Given, source: Source, system: str, reverse: bool) -> Sequence[Map]:
    """The maps to ask, less those between other value sets than the ones named."""
    found = await _named(api, ask, said, source)
    if found is None:
        found = await source.concept_maps(system, reverse=reverse)
    scopes = [coded.string(said, "source"), coded.string(said, "target")]
    if reverse:
        scopes.reverse()
    for side, scope in enumerate(scopes):
        if scope:
            wanted = await api.vocabulary.canonical(scope)
            found = [one for one in found if _same(one.scopes[side], wanted)]
    return found


async def _named(api: Api, ask: Ask, said: Given, source: Source) -> Sequence[Map] | None:
    if ask.id:
        return [Stated(await api.vocabulary.instance("ConceptMap", ask.id))]
    inline = coded.resource(said, "conceptMap", "ConceptMap")
    if inline is not None:
        return [Stated(inline)]
    url, version = split(coded.string(said, "url"))
    if not url:
        return None
    found = await source.concept_map(url, version or coded.string(said, "conceptMapVersion"))
    if found is None:
        raise NotFound(f"the concept map {url} is not known here")
    return [found]


def _same(stated: str, wanted: str) -> bool:
    """Whether two canonical URLs are one; a version counts where both have it."""
    (one, version), (other, asked) = split(stated), split(wanted)
    return one == other and (not version or not asked or version == asked)


def _dependency(value: Any) -> Dependency:
    if not isinstance(value, dict):
        raise wrong("dependency", "expected the parts element and concept")
    element = (value.get("element") or [""])[0]
    concepts = value.get("concept") or []
    if not isinstance(element, str) or not all(isinstance(one, dict) for one in concepts):
        raise wrong("dependency", "expected a uri as element and a CodeableConcept as concept")
    codings = [one for concept in concepts for one in concept.get("coding", [])]
    return Dependency(element, frozenset((one.get("system", ""), one.get("code", "")) for one in codings))


def _rendered(matches: list[Match], needed: Needed) -> dict[str, Any]:
    result = any(one.equivalence not in NO_MATCH and one.concept for one in matches)
    parameters: list[dict[str, Any]] = [{"name": "result", "valueBoolean": result}]
    message = _message(result, needed)
    if message:
        parameters.append({"name": "message", "valueString": message})
    parameters += [{"name": "match", "part": _parts(one)} for one in matches]
    return {"resourceType": "Parameters", "parameter": parameters}


def _message(result: bool, needed: Needed) -> str:
    if needed.elements:
        names = ", ".join(dict.fromkeys(needed.elements))
        return f"further translations depend on {names}: give it as dependency"
    return "" if result else "no concept map known here translates the code"


def _parts(one: Match) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    if one.equivalence:
        parts.append({"name": "equivalence", "valueCode": one.equivalence})
    if one.concept:
        parts.append({"name": "concept", "valueCoding": one.concept})
    for element, concept in one.products:
        inner = [{"name": "element", "valueUri": element}, {"name": "concept", "valueCoding": concept}]
        parts.append({"name": "product", "part": inner})
    if one.source:
        parts.append({"name": "source", "valueUri": one.source})
    return parts


TRANSLATE = Offered(
    name="translate",
    url="http://hl7.org/fhir/OperationDefinition/ConceptMap-translate",
    run=translate,
    on=frozenset({"type", "instance"}),
    types=frozenset({"ConceptMap"}),
    description="A code in the words of another system, by concept maps",
)
