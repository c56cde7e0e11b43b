"""Which concepts of a code system the filters of a value set select.

http://hl7.org/fhir/R4/valueset.html#filter, http://hl7.org/fhir/R4/valueset-filter-operator.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import regex

from hub.errors import NotSupported, TooCostly, Unworkable
from hub.terminology.systems import Concept, System

SECONDS = 1.0
"""How long the regular expressions of one include may run."""

Test = Callable[[Concept], bool]


def selected(
    system: System, filters: Sequence[dict[str, Any]], among: Iterable[Concept] | None = None
) -> list[Concept]:
    """The concepts for which every filter is true, in the system's order, or `among` these.

    Raises NotSupported for an operator or property that the code system does not have, Unworkable for a
    value that means nothing in it, TooCostly for a regular expression that takes too long.
    """
    tests = [_test(system, one) for one in filters]
    try:
        asked = system.concepts.values() if among is None else among
        return [concept for concept in asked if all(test(concept) for test in tests)]
    except TimeoutError:
        raise TooCostly(f"a regular expression over {system.url} takes longer than {SECONDS:g} s") from None


def _test(system: System, one: dict[str, Any]) -> Test:
    name, op, value = str(one.get("property", "")), str(one.get("op", "")), str(one.get("value", ""))
    made = _OPERATORS.get(op)
    if made is None:
        raise NotSupported(f"the filter operator {op[:20]!r} is not offered (code system {system.url})")
    if not system.knows(name) and not any(
        code == name for concept in system.concepts.values() for code, _, _ in concept.properties
    ):
        raise NotSupported(f"the code system {system.url} has no property {name[:60]!r} to filter by")
    return made(system, name, value)


def _equals(system: System, name: str, value: str) -> Test:
    if name in ("code", "concept"):
        found = system.find(value)
        return lambda concept: concept is found
    return lambda concept: value in system.values(concept, name)


def _in(system: System, name: str, value: str) -> Test:
    wanted = {part.strip() for part in value.split(",")}
    if name in ("code", "concept"):
        wanted = {found.code for code in wanted if (found := system.find(code)) is not None}
    return lambda concept: not wanted.isdisjoint(system.values(concept, name))


def _not_in(system: System, name: str, value: str) -> Test:
    found = _in(system, name, value)
    return lambda concept: not found(concept)


def _is_a(system: System, name: str, value: str) -> Test:
    return _among(system, name, system.below(_root(system, value)))


def _descendent_of(system: System, name: str, value: str) -> Test:
    root = _root(system, value)
    return _among(system, name, system.below(root) - {root})


def _is_not_a(system: System, name: str, value: str) -> Test:
    found = _is_a(system, name, value)
    return lambda concept: not found(concept)


def _generalizes(system: System, name: str, value: str) -> Test:
    return _among(system, name, system.above(_root(system, value)))


def _among(system: System, name: str, codes: set[str]) -> Test:
    return lambda concept: not codes.isdisjoint(system.values(concept, name))


def _root(system: System, value: str) -> str:
    found = system.find(value)
    if found is None:
        raise Unworkable(f"a filter names a code that {system.canonical} does not have")
    return found.code


def _exists(system: System, name: str, value: str) -> Test:
    if value not in ("true", "false"):
        raise Unworkable(f"the filter operator exists takes true or false (code system {system.url})")
    wanted = value == "true"
    if name in ("parent", "child", "display", "definition", "code", "concept"):
        return lambda concept: bool(system.values(concept, name)) == wanted
    return lambda concept: any(code == name for code, _, _ in concept.properties) == wanted


def _regex(system: System, name: str, value: str) -> Test:
    try:
        pattern = regex.compile(value)
    except (regex.error, RecursionError, OverflowError):
        raise Unworkable(f"a filter on {system.url} is no regular expression") from None
    until = 0.0

    def matches(concept: Concept) -> bool:
        nonlocal until
        until = until or time.monotonic() + SECONDS
        return any(
            pattern.fullmatch(text, timeout=max(until - time.monotonic(), 0.001))
            for text in system.values(concept, name)
        )

    return matches


_OPERATORS: dict[str, Callable[[System, str, str], Test]] = {
    "=": _equals,
    "in": _in,
    "not-in": _not_in,
    "is-a": _is_a,
    "descendent-of": _descendent_of,
    "is-not-a": _is_not_a,
    "generalizes": _generalizes,
    "exists": _exists,
    "regex": _regex,
}
