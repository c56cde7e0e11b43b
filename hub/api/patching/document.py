"""A patch as it came, and a stored resource with it applied, every untouched literal as it was."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from hub import r4
from hub.api import body
from hub.api.patching import by_path, by_pointer
from hub.api.patching.refusals import impossible, malformed

JSON_PATCH = "application/json-patch+json"

Json = dict[str, Any]
Change = Callable[[Json], Json]
"""The resource after the patch; the one given is used up."""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read(content: bytes, *, limit: int) -> Change:
    """The change that a patch describes: a JSON Patch is a list, a FHIRPath Patch a Parameters resource.

    `limit` bounds the bytes that a patch may add by copying. Raises BadRequest for what is neither.
    """
    if content.lstrip()[:1] == b"[":
        return _by_pointer(content, limit)
    if body.of_any(content).resource_type != "Parameters":
        raise malformed("expected a JSON Patch, or the Parameters of a FHIRPath Patch")
    r4.decode(content, "Parameters")
    asked = by_path.operations(r4.tree(content))
    return lambda resource: _in_place(resource, asked)


def _in_place(resource: Json, asked: list[by_path.Operation]) -> Json:
    by_path.apply(resource, asked)
    return resource


def _by_pointer(content: bytes, limit: int) -> Change:
    wrapped = b'{"patch":' + content + b"}"
    body.check(wrapped)
    found = r4.tree(wrapped)
    if found.keys() != {"patch"}:
        raise malformed("expected a JSON Patch: a list of operations", code="structure")
    asked = by_pointer.check(found["patch"])

    def change(resource: Json) -> Json:
        patched = by_pointer.apply(resource, asked, limit=limit)
        if not isinstance(patched, dict):
            raise impossible("what comes out is no resource")
        return patched

    return change


def unwrapped(content: bytes, place: str) -> bytes:
    """The patch of a Bundle entry, where a JSON Patch is the data of a Binary.

    http://hl7.org/fhir/R4/http.html#patch; `place` names the entry in errors.
    """
    if body.head(content).resource_type != "Binary":
        return content
    r4.decode(content, "Binary")
    binary = r4.tree(content)
    media = str(binary.get("contentType", "")).partition(";")[0].strip()
    if media != JSON_PATCH:
        raise malformed(f"contentType: expected {JSON_PATCH}", f"{place}.resource", "not-supported")
    try:
        found = base64.b64decode("".join(str(binary.get("data", "")).split()), validate=True)
    except binascii.Error as error:
        raise malformed("data: not base64", f"{place}.resource", "value") from error
    if found.lstrip()[:1] != b"[":
        raise malformed("data: expected a JSON Patch, a list of operations", f"{place}.resource")
    return found


def patched(stored: bytes, change: Change) -> bytes:
    """The resource after the change. What the change left alone keeps its text; if that is all, all of it.

    Raises Unprocessable when the change does not fit, or touches the type or the id.
    """
    before = r4.tree(stored)
    after = change(r4.tree(stored))
    for name in ("resourceType", "id"):
        if after.get(name) != before.get(name):
            raise impossible(f"a patch does not change {name}", code="business-rule")
    if same(before, after):
        return stored
    raw = _members(stored)
    kept = {
        name: raw[name] if name in before and same(before[name], value) else msgspec.Raw(r4.untree(value))
        for name, value in after.items()
    }
    return msgspec.json.encode(kept)


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are written alike; the order of members does not count."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, Decimal):
        return str(left) == str(right)
    return bool(left == right)
