"""What generated code calls: the namespace of every compiled expression."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any

from hub import clock
from hub.fhirpath import arithmetic, ast, compare
from hub.fhirpath.arithmetic import single
from hub.fhirpath.errors import EvaluationError, TooCostly
from hub.fhirpath.functions import collections, fhir
from hub.fhirpath.nodes import Element, Items, TypeInfo, choice_kids, kids, plain, start, unwrap, wrap
from hub.fhirpath.quantity import UCUM, Quantity
from hub.fhirpath.temporal import Temporal
from hub.fhirpath.types import SYSTEM_TYPES, is_a

log = logging.getLogger("hub.fhirpath")

Environment = Mapping[str, Any]
MOST_REPEATED = 1_000_000
"""Items that repeat() may gather."""

_CONSTANTS = {"ucum": UCUM, "sct": "http://snomed.info/sct", "loinc": "http://loinc.org"}
_SPECIAL = frozenset((Element, Temporal, Quantity, TypeInfo))


def variable(env: Environment, name: str, context: Items) -> Items:
    """`%name` from the environment, or one that the specification defines."""
    if name in env:
        value = env[name]
        if value.__class__ is list:
            return value
        return () if value is None else (value,)
    if name in ("context", "resource", "rootResource"):
        return context
    if name in _CONSTANTS:
        return (_CONSTANTS[name],)
    if name.startswith("vs-"):
        return (f"http://hl7.org/fhir/ValueSet/{name[3:]}",)
    if name.startswith("ext-"):
        return (f"http://hl7.org/fhir/StructureDefinition/{name[4:]}",)
    raise EvaluationError(f"%{name} is not defined")


def typed_variable(env: Environment, name: str, context: Items) -> Items:
    """The same, ready for typed evaluation."""
    return [wrap(item) for item in variable(env, name, context)]


def wrapped(context: Items) -> Items:
    """The context, ready for typed evaluation."""
    return [wrap(item) for item in context]


def boolean(items: Items) -> bool | None:
    """Singleton evaluation: one item that is no boolean counts as true."""
    if len(items) == 1:
        value = plain(items[0])
        return value if value.__class__ is bool else True
    if items:
        raise EvaluationError("a condition needs one item, there are several")
    return None


def criterion(items: Items) -> bool | None:
    """The condition of iif(): a boolean, or nothing."""
    value = single(items)
    if value is None or value.__class__ is bool:
        return value
    if value.__class__ in (str, int, Temporal):
        raise EvaluationError("the condition of iif() is a boolean")
    return True


def within(items: Items, texts: frozenset[str]) -> bool | None:
    """`items in ('a' | 'b')`."""
    value = single(items)
    return None if value is None else value in texts


def items_or_none(value: Any | None) -> Items:
    """A single value or None as a collection."""
    return () if value is None else (value,)


def outside(value: Any | None) -> Any | None:
    """One result as plain JSON."""
    if value.__class__ in _SPECIAL:
        return next(iter(unwrap((value,))), None)
    return value


def results(items: Items) -> list[Any]:
    """All results as plain JSON, in a list of the caller's own."""
    for item in items:
        if item.__class__ in _SPECIAL:
            return unwrap(items)
    return list(items)


def is_type(items: Items, wanted: ast.TypeName) -> bool | None:
    """`items is Type`."""
    if len(items) > 1:
        raise EvaluationError("`is` needs one item, there are several")
    return _is(items[0], wanted, exact=False) if items else None


def of_type(items: Items, wanted: ast.TypeName) -> Items:
    """The items of exactly that type (or, for a resource, of one derived from it).

    `as` is the same: the specification wants an error for several items, but the invariants and search
    parameters of R4 (dom-3, for one) apply it to collections.
    """
    return [item for item in items if _is(item, wanted, exact=True)]


def _is(item: Any, wanted: ast.TypeName, *, exact: bool) -> bool:
    own = fhir.type_of(item)
    if own.namespace == "System":
        return own.name == wanted.name and wanted.namespace in ("", "System")
    if wanted.namespace == "System" or (not wanted.namespace and wanted.name in _SYSTEM_ONLY):
        return False
    if exact and own.name[:1].islower():
        return own.name == wanted.name
    return is_a(own.name, wanted.name)


_SYSTEM_ONLY = SYSTEM_TYPES - {"Quantity"}


def trace(items: Items, name: Items, shown: Items, env: Environment) -> Items:
    """Hands name and items to env["trace"], or logs how many there were (never the values)."""
    listener = env.get("trace")
    if listener is not None:
        listener(single(name), unwrap(shown))
    else:
        log.debug("trace %s: %d items", single(name), len(shown))
    return items


def timed(env: Environment) -> Environment:
    """An environment whose clock stands still for one evaluation."""
    return env if "now" in env else {**env, "now": clock.now(), "zone": env.get("zone", UTC)}


def rooted(env: Environment, context: Items) -> Environment:
    """An environment that knows the resource around references to contained resources."""
    return env if "resource" in env or not context else {**env, "resource": context[0]}


def outsider(function: Callable[..., Any]) -> Callable[..., Items]:
    """A custom function called with plain JSON."""

    def call(items: Items, env: Environment, *arguments: Items) -> Items:
        answer = function(results(items), env, *(results(argument) for argument in arguments))
        return items_or_none(answer) if not isinstance(answer, list | tuple) else answer

    return call


def sorted_items(items: Items, keys: list[tuple[Items, ...]], descending: tuple[bool, ...]) -> Items:
    """Items by their keys, the first key first; an empty key comes first in either direction."""
    places = list(range(len(items)))
    for column in reversed(range(len(descending))):
        places.sort(key=lambda place: _SortKey(keys[place][column]), reverse=descending[column])
        places.sort(key=lambda place: len(keys[place][column]) > 0)
    return [items[place] for place in places]


class _SortKey:
    __slots__ = ("items",)

    def __init__(self, items: Items) -> None:
        self.items = items

    def __lt__(self, other: _SortKey) -> bool:
        if not self.items or not other.items:
            return not self.items and bool(other.items)
        return compare.order(self.items, other.items) == -1


def several(name: str) -> None:
    """Refuse a collection where one item is needed."""
    raise EvaluationError(f"{name}() needs one item, there are several")


class Repeated:
    """Gathers what repeat() finds, each equal item once."""

    def __init__(self) -> None:
        self.seen = collections.Seen()
        self.items: list[Any] = []
        self.level: list[Any] = []

    def take(self, items: Items) -> None:
        """Keep what is new, for the result and for the next level."""
        for item in items:
            if self.seen.add(item):
                self.items.append(item)
                self.level.append(item)
        if len(self.items) > MOST_REPEATED:
            raise TooCostly(f"repeat() gathered more than {MOST_REPEATED} items")

    def next_level(self) -> list[Any]:
        """What the next round starts from."""
        level, self.level = self.level, []
        return level


def meter(budget: int) -> Callable[[int], None]:
    """A counter of steps that raises TooCostly once `budget` is used up."""
    left = budget

    def spend(steps: int) -> None:
        nonlocal left
        left -= steps
        if left < 0:
            raise TooCostly(f"the expression took more than {budget} steps")

    return spend


NAMESPACE: dict[str, Any] = {
    "kids": kids,
    "choice_kids": choice_kids,
    "start": start,
    "equal": compare.equal,
    "equal_text": compare.equal_text,
    "not_equal": compare.not_equal,
    "equivalent": compare.equivalent,
    "order": compare.order,
    "calculate": arithmetic.calculate,
    "negated": arithmetic.negated,
    "positive": arithmetic.positive,
    "distinct": collections.distinct,
    "index": collections.index,
    "contains": collections.contains,
    "resolve_typed": fhir.resolve_typed,
    **{
        function.__name__: function
        for function in (
            variable,
            typed_variable,
            wrapped,
            boolean,
            criterion,
            within,
            items_or_none,
            outside,
        )
    },
    **{
        function.__name__: function
        for function in (
            results,
            is_type,
            of_type,
            trace,
            timed,
            rooted,
            sorted_items,
            several,
            Repeated,
            meter,
        )
    },
}
