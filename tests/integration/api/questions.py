"""What can be asked of one resource: for each search parameter the queries that must find it, and those that
must not, worked out from the parameter's published FHIRPath expression by the FHIRPath engine.

The index is filled by other code (functions generated from plans), so the two check each other.
http://hl7.org/fhir/R4/search.html#table
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from hub import fhirpath, r4
from hub.r4.definitions import SearchParameter


class Question(NamedTuple):
    """A criterion (`name=value`, escaped for a URL) and whether the resource meets it."""

    criterion: str
    found: bool


NOT_A_VALUE = {"_content", "_filter", "_has", "_id", "_lastUpdated", "_list", "_query", "_text"}


def questions(tree: dict[str, Any]) -> Iterator[Question]:
    """Every question there is about a resource (as `r4.tree` gives it)."""
    for parameter in r4.search_parameters(tree["resourceType"]):
        if parameter.code in NOT_A_VALUE or parameter.plan is None:
            continue
        if parameter.type == "composite":
            yield from _pairs(parameter, tree)
        else:
            yield from _about(parameter, evaluate(parameter.expression, tree))


def evaluate(expression: str, tree: dict[str, Any], context: Any = None) -> list[Any]:
    """The typed values that an expression selects."""
    environment = {"resource": tree, "context": tree, "resolve": _stub}
    return fhirpath.compile(expression).items(context or tree, environment)


def _stub(reference: Any) -> dict[str, str] | None:
    """What a reference leads to, as far as the reference itself says."""
    text = reference if isinstance(reference, str) else reference.get("reference", "")
    parts = text.partition("/_history/")[0].split("/")
    if len(parts) < 2 or not r4.is_type(parts[-2]):
        return None
    return {"resourceType": parts[-2], "id": parts[-1]}


def _about(parameter: SearchParameter, values: list[Any]) -> Iterator[Question]:
    asked: dict[str, bool] = {}
    for one in values:
        for modifier, text, found in ASKED["phonetic" if parameter.sounds else parameter.type](
            *_value_and_type(one)
        ):
            criterion = f"{parameter.code}{modifier}={quote(text, safe='')}"
            asked[criterion] = found or asked.get(criterion, False)
    several = len(values) > 1  # of several values one may meet what another does not
    for criterion, found in asked.items():
        if found or not several or parameter.type not in ("date", "number", "quantity"):
            yield Question(criterion, found)
    if parameter.type != "special" and (asked or not values):
        yield Question(f"{parameter.code}:missing=false", bool(asked))
        yield Question(f"{parameter.code}:missing=true", not asked)


def _value_and_type(one: Any) -> tuple[Any, str]:
    return getattr(one, "value", one), getattr(one, "type", "")


COMPONENTS = {
    "context-type-quantity": ("useContext", "code", "value as Quantity"),
    "context-type-value": ("useContext", "code", "value as CodeableConcept"),
    "code-value-concept": ("", "code", "value as CodeableConcept"),
    "code-value-date": ("", "code", "value as dateTime"),
    "code-value-quantity": ("", "code", "value as Quantity"),
    "code-value-string": ("", "code", "value as string"),
    "combo-code-value-concept": ("", "code", "value as CodeableConcept"),
    "combo-code-value-quantity": ("", "code", "value as Quantity"),
    "component-code-value-concept": ("component", "code", "value as CodeableConcept"),
    "component-code-value-quantity": ("component", "code", "value as Quantity"),
    "relationship": ("relatesTo", "code", "target"),
    "characteristic-value": ("characteristic", "code", "value as CodeableConcept"),
}
"""Composites by code: where both parts lie, and the parts."""


def _pairs(parameter: SearchParameter, tree: dict[str, Any]) -> Iterator[Question]:
    """Both parts of one element are found; the first of one with a value of nobody is not."""
    if parameter.code not in COMPONENTS:
        return
    where, *parts = COMPONENTS[parameter.code]
    root = tree["resourceType"]
    for context in evaluate(f"{root}.{where}" if where else root, tree):
        left, right = (
            [
                text
                for one in evaluate(part, tree, context)
                for modifier, text, found in ASKED[kind](*_value_and_type(one))
                if found and not modifier
            ]
            for part, kind in zip(parts, parameter.components, strict=True)
        )
        for first in left:
            for second in right[:4]:
                yield Question(f"{parameter.code}={quote(f'{first}${second}', safe='')}", True)
        if left and right:
            other = {"date": "1800", "quantity": "-123456"}.get(parameter.components[1], "nobody")
            yield Question(f"{parameter.code}={quote(f'{left[0]}${other}', safe='')}", False)


Asked = Iterator[tuple[str, str, bool]]


def escaped(text: str) -> str:
    """http://hl7.org/fhir/R4/search.html#escaping"""
    for character in "\\,|$":
        text = text.replace(character, "\\" + character)
    return text


def _token(value: Any, kind: str) -> Asked:
    if isinstance(value, dict):
        for coding in value.get("coding", [value]):
            yield from _coding(coding, "value" if "value" in value else "code")
        for text in _texts(value):
            yield ":text", escaped(text), True
        yield from _typed(value)
    else:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        yield "", escaped(text), True
        yield ":not", escaped(text), False
        yield "", f"http://example.org/no-such-system|{escaped(text)}", False


def _coding(coding: dict[str, Any], member: str) -> Asked:
    code, system = coding.get(member), coding.get("system")
    if code is not None:
        plain = escaped(str(code))
        yield "", plain, True
        yield ":not", plain, False
        yield "", f"{escaped(system)}|{plain}" if system else f"|{plain}", True
        if system:
            yield "", f"|{plain}", False
        yield "", f"http://example.org/no-such-system|{plain}", False
    if system and (member == "code" or code is not None):
        yield "", f"{escaped(system)}|", True


def _texts(value: dict[str, Any]) -> Iterator[str]:
    concept = value.get("type", {}) if "value" in value and isinstance(value.get("type"), dict) else value
    for coding in concept.get("coding", [concept]):
        if "display" in coding:
            yield coding["display"]
    if "text" in concept:
        yield concept["text"]


def _typed(value: dict[str, Any]) -> Asked:
    kind = value.get("type")
    if isinstance(kind, dict) and "value" in value:
        for coding in kind.get("coding", ()):
            if "system" in coding and "code" in coding:
                parts = (coding["system"], coding["code"], value["value"])
                yield ":of-type", "|".join(map(escaped, parts)), True


def _parts(value: Any, kind: str) -> list[str]:
    """The texts of a string, a name or an address that have a letter or digit."""
    if not isinstance(value, dict):
        parts = [value]
    elif kind == "HumanName":
        names = ("given", "prefix", "suffix")
        parts = [value.get("text"), value.get("family"), *(p for n in names for p in value.get(n, ()))]
    else:
        names = ("city", "district", "state", "postalCode", "country", "text")
        parts = [*value.get("line", ()), *(value.get(name) for name in names)]
    return [part for part in parts if part and any(map(str.isalnum, part))]


def _phonetic(value: Any, kind: str) -> Asked:
    """What is compared by ear is asked by whole parts alone."""
    for part in _parts(value, kind):
        yield "", escaped(part), True
        yield "", escaped(part.lower()), True


def _string(value: Any, kind: str) -> Asked:
    for part in _parts(value, kind):
        yield "", escaped(part), True
        yield "", escaped(part.upper()), True
        yield "", escaped(part[: max(3, len(part) // 2)].rstrip()), True
        yield ":exact", escaped(part), True
        middle = part[len(part) // 3 : len(part) // 3 + 5].strip()
        if middle:
            yield ":contains", escaped(middle), True
        yield "", escaped(part + "zqx"), False


def _reference(value: Any, kind: str) -> Asked:
    if not isinstance(value, dict):  # a canonical
        yield "", escaped(value), True
        yield "", escaped(value.partition("|")[0]), True
        yield "", escaped(value.partition("|")[0] + "-other"), False
        return
    text = value.get("reference", "")
    if text and not text.startswith("#"):
        yield "", escaped(text), True
        parts = text.split("/")
        if len(parts) == 2 and r4.is_type(parts[0]):
            yield "", parts[1], True
            yield f":{parts[0]}", parts[1], True
            yield "", f"{parts[0]}/other-{parts[1]}"[:70], False
    identifier = value.get("identifier", {})
    if "value" in identifier:
        number, system = escaped(identifier["value"]), identifier.get("system")
        yield ":identifier", f"{escaped(system)}|{number}" if system else number, True


def _date(value: Any, kind: str) -> Asked:
    if kind not in ("date", "dateTime", "instant", "Period", "Timing"):
        return  # some parameters lead to a choice of types that also has an age or a text
    if not isinstance(value, dict):
        yield from _moment(str(value))
        return
    if kind == "Timing":
        for event in value.get("event", ()):
            yield "ge", str(event), True
            yield "le", str(event), True
        value = value.get("repeat", {}).get("boundsPeriod", {})
    start, end = value.get("start"), value.get("end")
    if start:
        before = str(int(start[:4]) - 1)
        yield from ((prefix, before, True) for prefix in ("gt", "sa", "ge", "ne"))
        yield from ((prefix, before, False) for prefix in ("", "eb", "lt", "le"))
        yield "sa", str(start), False
    if end:
        after = str(int(end[:4]) + 1)
        yield from ((prefix, after, True) for prefix in ("lt", "eb", "le", "ne"))
        yield from ((prefix, after, False) for prefix in ("", "sa", "gt", "ge"))
        yield "eb", str(end), False
    if start and end and start[:7] == end[:7]:
        yield "", start[:4], True


def _moment(text: str) -> Asked:
    yield "", text, True
    if len(text) <= 10:  # of a time the year depends on the zone
        yield "", text[:4], True
    yield "ne", text, False
    yield from ((prefix, text, True) for prefix in ("ge", "le"))
    yield from ((prefix, text, False) for prefix in ("sa", "eb"))
    before, after = str(int(text[:4]) - 2), str(int(text[:4]) + 2)
    yield from ((prefix, before, True) for prefix in ("gt", "sa", "ge", "ne"))
    yield from ((prefix, after, True) for prefix in ("lt", "eb", "le", "ne"))
    yield "", before, False


def _number(value: Any, kind: str, suffix: str = "") -> Asked:
    if isinstance(value, dict):
        return
    text = str(value)
    yield "", text + suffix, True
    yield "ne", text + suffix, False
    yield from ((prefix, text + suffix, True) for prefix in ("ge", "le", "ap"))
    yield from ((prefix, text + suffix, False) for prefix in ("gt", "lt"))
    if abs(value) < 1e9:  # of larger ones a thousand may be less than a double can tell
        yield "gt", f"{float(value) - 1000}{suffix}", True
        yield "lt", f"{float(value) + 1000}{suffix}", True
        yield "", f"{float(value) + 1000}{suffix}", False


def _quantity(value: Any, kind: str) -> Asked:
    if not isinstance(value, dict) or value.get("comparator") or "value" not in value:
        return
    number = value["value"]
    yield from _number(number, "")
    if kind == "Money" or "currency" in value:
        if "currency" in value:
            yield from _number(number, "", f"|urn:iso:std:iso:4217|{value['currency']}")
        return
    system, code, unit = value.get("system"), value.get("code"), value.get("unit")
    if system and code:
        yield from _number(number, "", f"|{escaped(system)}|{escaped(code)}")
        yield "", f"{number}|http://example.org/no-such-system|{escaped(code)}", False
    for one in (code, unit):
        if one:
            yield from _number(number, "", f"||{escaped(one)}")


def _uri(value: Any, kind: str) -> Asked:
    yield "", escaped(value), True
    yield "", escaped(value + "-other"), False
    if value.startswith(("http://", "https://")):
        host = "/".join(value.split("/")[:3])
        yield ":below", escaped(host), True
        if value[-1].isalnum():
            yield ":above", escaped(value + "/x"), True
        yield ":below", escaped(host + "-other"), False


def _special(value: Any, kind: str) -> Asked:
    if "latitude" in value and "longitude" in value:
        yield "", f"{value['latitude']}|{value['longitude']}|1|km", True
        yield "", f"{-float(value['latitude']) - 1}|{value['longitude']}|1|km", False


def _prefixed(ask: Callable[[Any, str], Asked]) -> Callable[[Any, str], Asked]:
    """What ordered types yield first is a prefix, not a modifier."""

    def asked(value: Any, kind: str) -> Asked:
        for prefix, text, found in ask(value, kind):
            yield "", prefix + text, found

    return asked


ASKED: dict[str, Callable[[Any, str], Asked]] = {
    "token": _token,
    "string": _string,
    "phonetic": _phonetic,
    "reference": _reference,
    "date": _prefixed(_date),
    "number": _prefixed(_number),
    "quantity": _prefixed(_quantity),
    "uri": _uri,
    "special": _special,
}


EVERY = int(os.environ.get("HUB_QUESTIONS_EVERY", "12"))
"""Every so many questions are asked; 1 asks them all, which takes minutes."""
NARROW = 4
"""Every so many of those are asked together with `_id`, too: then rows decide, not a scan of the index."""


async def wrong_answers(
    client: httpx.AsyncClient, resources: list[tuple[str, bytes]]
) -> tuple[list[str], int]:
    """Ask about stored resources (`Type/id`, text): what was answered wrong, and the number of questions.

    Each criterion is asked once, through the index; all resources look into the same answer.
    """
    failures: list[str] = []
    known: dict[str, set[str]] = {}
    count = 0
    for name, body in resources:
        type_name, _, id = name.partition("/")
        for question in questions(r4.tree(body)):
            count += 1
            if count % EVERY:
                continue
            search = f"{type_name}?{question.criterion}"
            if search not in known:
                known[search] = await matches(client, search)
            answers = {id in known[search]}
            if count % (EVERY * NARROW) == 0:
                answers.add(id in await matches(client, f"{search}&_id={id}"))
            if answers != {question.found}:
                why = known[search] if any(" " in one for one in known[search]) else ""
                failures.append(f"{name}: {question.criterion}: {answers}, not {question.found} {why}")
    return failures, count


async def matches(client: httpx.AsyncClient, search: str) -> set[str]:
    """The ids of all that a search finds; an error as its text."""
    answer = await client.get(f"/fhir/{search}&_elements=id&_count=1000")
    if answer.status_code != 200:
        return {answer.text}
    return {one["resource"]["id"] for one in answer.json().get("entry", ())}
