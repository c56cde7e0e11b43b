"""JSON Patch (RFC 6902) on plain JSON whose numbers keep their literal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from jsonpatch import JsonPatch, JsonPatchException
from jsonpointer import JsonPointer, JsonPointerException

from hub import r4
from hub.api.patching.refusals import impossible, malformed

MOST = 10_000
"""Operations in one patch."""

Json = Any

_NEEDS = {
    "add": ("path", "value"),
    "remove": ("path",),
    "replace": ("path", "value"),
    "move": ("path", "from"),
    "copy": ("path", "from"),
    "test": ("path", "value"),
}


def check(operations: Json) -> list[dict[str, Any]]:
    """The operations of a patch document; BadRequest, naming the one that breaks RFC 6902."""
    if not isinstance(operations, list):
        raise malformed("expected a JSON Patch: a list of operations")
    if len(operations) > MOST:
        raise malformed(f"a patch may have {MOST} operations", code="too-costly")
    for number, one in enumerate(operations):
        needs = _NEEDS.get(one.get("op", "")) if isinstance(one, dict) and _texts(one) else None
        if needs is None:
            raise malformed(
                "expected an object with op: add, remove, replace, move, copy or test", f"[{number}]"
            )
        for name in needs:
            if name not in one:
                raise malformed(f"{one['op']} needs {name}", f"[{number}]", "required")
            if name != "value":
                _pointer(one[name], f"[{number}].{name}")
    return operations


def _texts(one: dict[str, Any]) -> bool:
    return all(isinstance(one.get(name, ""), str) for name in ("op", "path", "from"))


def _pointer(text: str, place: str) -> list[str]:
    try:
        return list(JsonPointer(text).parts)
    except JsonPointerException as error:
        raise malformed("not a JSON Pointer (RFC 6901)", place) from error


def apply(resource: Json, operations: list[dict[str, Any]], *, limit: int) -> Json:
    """The resource after the patch; `resource` itself is used up.

    `limit` bounds what `copy` may add, in bytes of JSON. Raises Unprocessable when an operation does not fit
    or a `test` fails.
    """
    copied = 0
    for number, one in enumerate(operations):
        place = f"[{number}]"
        if one["op"] == "test":
            if not equal(_walk(resource, one["path"], place), one["value"]):
                raise impossible("the test failed: the value is another one", place)
            continue
        if one["op"] == "copy":
            copied += len(r4.untree(_walk(resource, one["from"], place)))
            if copied > limit:
                raise impossible(f"copies more than {limit} bytes", place, "too-costly")
        resource = _one(resource, one, place)
    return resource


def _one(resource: Json, one: dict[str, Any], place: str) -> Json:
    _check_holders(resource, one, place)
    try:
        return JsonPatch([one]).apply(resource, in_place=True)
    except (JsonPatchException, JsonPointerException) as error:
        raise impossible("the path does not fit the resource", place) from error


def _check_holders(resource: Json, one: dict[str, Any], place: str) -> None:
    """What holds the target is an object or a list: text has no members."""
    for name in ("path", "from"):
        parts = _pointer(one[name], place) if name in one else []
        if parts:
            holder = _follow(resource, parts[:-1], place)
            if not isinstance(holder, (dict, list)):
                raise impossible("the path leads into a value that has no members", place)


def _walk(resource: Json, pointer: str, place: str) -> Json:
    return _follow(resource, _pointer(pointer, place), place)


def _follow(resource: Json, parts: list[str], place: str) -> Json:
    current = resource
    for part in parts:
        if isinstance(current, dict) and part in current:
            current = current[part]
        elif isinstance(current, list) and _is_index(part) and int(part) < len(current):
            current = current[int(part)]
        else:
            raise impossible("there is nothing at this path", place, "not-found")
    return current


def _is_index(part: str) -> bool:
    return part.isascii() and part.isdigit() and len(part) < 10 and (part == "0" or part[0] != "0")


def equal(left: Json, right: Json) -> bool:
    """Equality of JSON values: numbers by value, and true is no number (RFC 6902 §4.6)."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, Decimal)) and isinstance(right, (int, Decimal)):
        return left == right
    return type(left) is type(right) and bool(left == right)
