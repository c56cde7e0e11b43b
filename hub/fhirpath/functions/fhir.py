"""What FHIR adds to FHIRPath (http://hl7.org/fhir/R4/fhirpath.html#functions)."""

from __future__ import annotations

import logging
from typing import Any

from hub.fhirpath import units
from hub.fhirpath.arithmetic import single
from hub.fhirpath.errors import EvaluationError
from hub.fhirpath.functions.signature import Entry, Environment, on_value
from hub.fhirpath.nodes import Element, Items, TypeInfo, kids, plain, quantity_of, wrap
from hub.fhirpath.quantity import Quantity, ucum_code
from hub.fhirpath.temporal import Temporal
from hub.fhirpath.types import is_a

log = logging.getLogger(__name__)

_PROFILE_BASE = "http://hl7.org/fhir/StructureDefinition/"
_SYSTEM = {str: "String", bool: "Boolean", int: "Integer"}


def _extension(items: Items, _: Environment, url: Items) -> Items:
    wanted = single(url)
    return [
        extension
        for item in items
        for extension in kids(item, "extension")
        if any(plain(own) == wanted for own in kids(extension, "url"))
    ]


def _has_value(items: Items, _: Environment) -> Items:
    return (len(items) == 1 and not isinstance(value_of(items[0]), dict | None),)


def _get_value(items: Items, env: Environment) -> Items:
    return (plain(items[0]),) if _has_value(items, env)[0] else ()


def value_of(item: Any) -> Any:
    """The JSON below an Element; other items are their own value."""
    return item.value if item.__class__ is Element else item


def _reference(item: Any) -> str | None:
    value = value_of(item)
    if value.__class__ is str:
        return value
    found = kids(item, "reference")
    reference = plain(found[0]) if len(found) == 1 else None
    return reference if reference.__class__ is str else None


def _resolve(items: Items, env: Environment) -> Items:
    found: list[Any] = []
    for item in items:
        reference = _reference(item)
        if not reference:
            continue
        if reference.startswith("#"):
            found.extend(_contained(reference[1:], env))
        elif (resolver := env.get("resolve")) is not None and (node := resolver(reference)) is not None:
            found.append(node)
    return found


def _contained(own_id: str, env: Environment) -> Items:
    root = env.get("rootResource") or env.get("resource")
    if root is None:
        return ()
    if not own_id:
        return (root,)
    return [node for node in kids(root, "contained") if any(plain(i) == own_id for i in kids(node, "id"))]


def resolve_typed(items: Items, env: Environment) -> Items:
    """resolve() for typed evaluation; without a resolver the reference itself tells the type."""
    if env.get("resolve") is not None:
        return [wrap(node) for node in _resolve(items, env)]
    found: list[Any] = []
    for item in items:
        reference = _reference(item) or ""
        if reference.startswith("#"):
            found.extend(wrap(node) for node in _contained(reference[1:], env))
        elif reference.count("/") >= 1:
            parts = reference.split("/_history/")[0].split("/")
            found.append(Element({"resourceType": parts[-2], "id": parts[-1]}, parts[-2]))
    return found


def type_of(item: Any) -> TypeInfo:
    """Namespace and name of an item's type, as `type()` tells it."""
    if item.__class__ is Element:
        return TypeInfo("FHIR", item.type or "Element")
    if item.__class__ is dict:
        return TypeInfo("FHIR", item.get("resourceType", "Element"))
    if item.__class__ is Temporal:
        return TypeInfo("System", item.kind)
    if item.__class__ is TypeInfo:
        return TypeInfo("System", "TypeInfo")
    if item.__class__ is Quantity:
        return TypeInfo("System", "Quantity")
    return TypeInfo("System", _SYSTEM.get(item.__class__, "Decimal"))


def _conforms_to(items: Items, env: Environment, profile: Items) -> Items:
    url = single(profile)
    if url is None or not items:
        return ()
    check = env.get("conforms_to")
    if check is not None:
        return (bool(check(value_of(items[0]), url)),)
    name = str(url).removeprefix(_PROFILE_BASE)
    if "/" in name:
        raise EvaluationError("conformsTo() knows the types of FHIR only; no profiles are plugged in")
    return (is_a(type_of(items[0]).name, name),)


def _member_of(items: Items, env: Environment, value_set: Items) -> Items:
    url = single(value_set)
    check = env.get("member_of")
    if url is None or not items:
        return ()
    if check is None:
        raise EvaluationError("memberOf() needs a terminology source, none is plugged in")
    answer = check(value_of(items[0]), url)
    return () if answer is None else (bool(answer),)


def _comparable(value: Any, other: Any) -> bool:
    left, right = quantity_of(value), quantity_of(other)
    if left is None or right is None:
        return False
    mine, theirs = units.canonical(ucum_code(left)), units.canonical(ucum_code(right))
    if mine is None or theirs is None:
        return ucum_code(left) == ucum_code(right)
    return mine[1] == theirs[1]


FUNCTIONS: dict[str, Entry] = {
    "extension": Entry(_extension, 1, 1, typed=True),
    "hasExtension": Entry(lambda items, env, url: (bool(_extension(items, env, url)),), 1, 1, typed=True),
    "hasValue": Entry(_has_value, 0, 0),
    "getValue": Entry(_get_value, 0, 0),
    "resolve": Entry(_resolve, 0, 0),
    "type": Entry(lambda items, _: [type_of(item) for item in items], 0, 0, typed=True),
    "conformsTo": Entry(_conforms_to, 1, 1, typed=True),
    "memberOf": Entry(_member_of, 1, 1),
    "comparable": on_value(_comparable, 1, 1),
}
