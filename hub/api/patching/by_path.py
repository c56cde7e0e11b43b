"""FHIRPath Patch: operations on elements named by FHIRPath, given as Parameters.

http://hl7.org/fhir/R4/fhirpatch.html: add, insert, delete, replace, move.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hub import r4
from hub.api.patching import places
from hub.api.patching.places import Pair, Place
from hub.api.patching.refusals import impossible, malformed
from hub.fhirpath import ast, unparse
from hub.fhirpath.types import is_a, types

Json = dict[str, Any]

_NEEDS = {
    "add": frozenset({"path", "name", "value"}),
    "insert": frozenset({"path", "index", "value"}),
    "delete": frozenset({"path"}),
    "replace": frozenset({"path", "value"}),
    "move": frozenset({"path", "source", "destination"}),
}
MOST = 1000
"""Operations in one patch."""

_PARTS = frozenset({"type", "path", "name", "value", "index", "source", "destination"})
_NUMBERS = frozenset({"index", "source", "destination"})


class Given(msgspec.Struct):
    """A value as it was given: its type ("" when by parts), value and what stands beside, or its parts."""

    kind: str = ""
    pair: Pair = (None, None)
    parts: list[Json] | None = None


class Operation(msgspec.Struct):
    """One operation; `place` names it in errors (`Parameters.parameter[2]`)."""

    place: str
    type: str
    path: str
    name: str = ""
    value: Given | None = None
    index: int = 0
    source: int = 0
    destination: int = 0


def operations(parameters: Json) -> list[Operation]:
    """What a Parameters resource asks for; BadRequest when it is no FHIRPath Patch."""
    found = []
    if len(parameters.get("parameter", [])) > MOST:
        raise malformed(f"a patch may have {MOST} operations", code="too-costly")
    for number, one in enumerate(parameters.get("parameter", [])):
        place = f"Parameters.parameter[{number}]"
        if one.get("name") != "operation":
            raise malformed("expected the name operation", place)
        found.append(_operation(one.get("part", []), place))
    return found


def _operation(parts: list[Json], place: str) -> Operation:
    given: Json = {}
    for part in parts:
        name = part.get("name", "")
        if name not in _PARTS:
            raise malformed(f"expected a part named {', '.join(sorted(_PARTS))}", place)
        if name in given:
            raise malformed(f"the part {name} stands twice", place)
        given[name] = _given(part) if name == "value" else _plain(part, name, place)
    needs = _NEEDS.get(given.get("type", ""))
    if needs is None:
        raise malformed("expected the type add, insert, delete, replace or move", place)
    missing = sorted(needs - given.keys())
    if missing:
        raise malformed(f"{given['type']} needs {', '.join(missing)}", place, "required")
    return Operation(place=place, **{k: v for k, v in given.items() if k in needs or k == "type"})


def _plain(part: Json, name: str, place: str) -> Any:
    value = next((value for key, value in part.items() if key.startswith("value")), None)
    if name not in _NUMBERS:
        if not isinstance(value, str):
            raise malformed(f"{name}: expected a string", place)
        return value
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise malformed(f"{name}: expected a whole number, 0 or more", place)
    return value


def _given(part: Json) -> Given:
    if "resource" in part:
        return Given("Resource", (part["resource"], None))
    for key in part:
        plain = key.removeprefix("_")
        if plain.startswith("value"):
            kind = places.stated_choice("Parameters.parameter", plain) or ""
            return Given(kind, (part.get(plain), part.get("_" + plain)))
    return Given(parts=part.get("part", []))


def apply(resource: Json, asked: list[Operation]) -> None:
    """Change `resource` in place, one operation after the other; Unprocessable when one does not fit."""
    for one in asked:
        _RUN[one.type](resource, one)


def _single(resource: Json, one: Operation) -> Place:
    found = places.find(resource, one.path, one.place)
    if len(found) != 1:
        said = "nothing" if not found else f"{len(found)} elements"
        raise impossible(f"the path selects {said}, expected one element", one.place)
    return found[0]


def _add(resource: Json, one: Operation) -> None:
    place = _single(resource, one)
    value, beside = place.pair
    owner, inner = (value, place.type) if isinstance(value, dict) else (beside, "Element")
    assert one.value is not None
    if owner is None:
        fresh: Json = {}
        _attach(fresh, inner, one.name, one.value, one.place)
        place.write((value, fresh))
    else:
        _attach(owner, inner, one.name, one.value, one.place)


def _attach(owner: Json, owner_type: str, name: str, given: Given, place: str) -> None:
    """Append to a list, or set what is not there yet."""
    key, kind, many = _target(owner_type, name, given, place)
    if not many and any(
        other in owner or "_" + other in owner for other in _names(owner_type, name.removesuffix("[x]"), key)
    ):
        raise impossible(f"{name[:64]} is there already and does not repeat; use replace", place)
    found = [*places.pairs(owner, key), _pair(given, kind, place)]
    places.write_pairs(owner, key, found, many=many)


def _names(owner_type: str, name: str, key: str) -> list[str]:
    return [*(types().choices(owner_type, name) or {}), key]


def _target(owner_type: str, name: str, given: Given, place: str) -> tuple[str, str, bool]:
    """JSON name, type and whether it repeats, for a value that goes below `owner_type`."""
    name = name.removesuffix("[x]")
    element = r4.members(owner_type).get(name)
    if element is None:
        stated = places.stated_choice(owner_type, name)
        if stated is None:
            raise impossible(f"{owner_type} has no element {name[:64]}", place)
        return name, stated, False
    if not element.choice:
        return name, element.types[0], element.many
    for key, kind in (types().choices(owner_type, name) or {}).items():
        if kind == given.kind or (not given.kind and len(element.types) == 1):
            return key, kind, element.many
    raise impossible(f"{owner_type}.{name}[x] cannot be a {given.kind or 'value by parts'}", place)


def _pair(given: Given, kind: str, place: str) -> Pair:
    """The value as JSON, of the type that its place asks for."""
    if given.parts is not None:
        if kind[:1].islower():
            raise impossible(f"expected a {kind}, found parts", place)
        made: Json = {}
        for part in given.parts:
            _attach(made, kind, str(part.get("name", "")), _given(part), place)
        return made, None
    _check_kind(given, kind, place)
    return given.pair


def _check_kind(given: Given, kind: str, place: str) -> None:
    """Complex types must be the one asked for; of primitives, the written form decides what is valid."""
    simple = kind[:1].islower() or kind.startswith("http://")
    if simple != given.kind[:1].islower() or not (simple or is_a(given.kind, kind) or kind == "Resource"):
        raise impossible(f"expected a {kind}, found a {given.kind or 'value without a type'}", place)


def _replace(resource: Json, one: Operation) -> None:
    place = _single(resource, one)
    assert one.value is not None
    if not place.key:
        raise impossible("the resource itself cannot be replaced; use update", one.place)
    choice = _choice(place)
    if choice is None:
        place.write(_pair(one.value, place.type, one.place))
        return
    owner_type, name = choice
    key, kind, _ = _target(owner_type, name, one.value, one.place)
    pair = _pair(one.value, kind, one.place)
    if key == place.key:
        place.write(pair)
        return
    places.write_pairs(place.owner, place.key, [], many=False)
    places.write_pairs(place.owner, key, [pair], many=False)


def _choice(place: Place) -> tuple[str, str] | None:
    """Type and name of the choice element that this place is, or None."""
    assert place.parent is not None
    owner_type = place.parent.type if place.owner is place.parent.pair[0] else "Element"
    for name in r4.members(owner_type):
        if place.key in (types().choices(owner_type, name) or {}):
            return owner_type, name
    return None


def _delete(resource: Json, one: Operation) -> None:
    """What is not there needs no deletion."""
    found = places.find(resource, one.path, one.place)
    if not found:
        return
    place = _single(resource, one)
    if not place.key:
        raise impossible("the resource itself cannot be deleted by a patch", one.place)
    place.write(None)


def _list(resource: Json, one: Operation) -> tuple[Json, str, str]:
    """The list a path names: the object that holds it, the member, the type of its items."""
    node = places.parse(one.path, one.place)
    if not isinstance(node, ast.Member):
        raise malformed("expected the path of a list: it ends with a name", one.place)
    above = unparse(node.target) if node.target is not None else "$this"
    holder = _single(resource, msgspec.structs.replace(one, path=above))
    value, beside = holder.pair
    owner, inner = (value, holder.type) if isinstance(value, dict) else (beside, "Element")
    element = r4.members(inner).get(node.name)
    if element is None or not element.many or not isinstance(owner, dict):
        raise impossible("the path names no list", one.place)
    return owner, node.name, element.types[0]


def _insert(resource: Json, one: Operation) -> None:
    owner, key, kind = _list(resource, one)
    found = places.pairs(owner, key)
    if one.index > len(found):
        raise impossible(f"index: the list has {len(found)} items", one.place)
    assert one.value is not None
    found.insert(one.index, _pair(one.value, kind, one.place))
    places.write_pairs(owner, key, found, many=True)


def _move(resource: Json, one: Operation) -> None:
    owner, key, _ = _list(resource, one)
    found = places.pairs(owner, key)
    if one.source >= len(found) or one.destination >= len(found):
        raise impossible(f"source and destination: the list has {len(found)} items", one.place)
    found.insert(one.destination, found.pop(one.source))
    places.write_pairs(owner, key, found, many=True)


_RUN = {"add": _add, "insert": _insert, "delete": _delete, "replace": _replace, "move": _move}
