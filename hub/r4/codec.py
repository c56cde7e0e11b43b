"""JSON in and out, with every string and number literal kept as it was written (http://hl7.org/fhir/R4/json.html)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import jiter
import msgspec

from hub.errors import InvalidResource, Issue
from hub.r4 import definitions, structs
from hub.r4.issues import collect, unreadable
from hub.r4.primitives import LONGEST

_BROKEN = (msgspec.MsgspecError, ValueError, RecursionError, ArithmeticError)
# each begins with one literal byte, which the regex engine looks for at the speed of memchr
_EMPTY = re.compile(rb"\{\s*\}").search
_CONTROL = re.compile(rb"\\[u]00[01]").search
_MINUS_ZERO = re.compile(rb"-(?<=[:\[,\s]-)0\s*[,}\]]").search


class Literal(Decimal):
    """A decimal whose text differs from what Python would write (`1e2`); `str()` gives that text."""

    __slots__ = ("_text",)
    _text: str

    def __str__(self) -> str:
        return self._text


def _decimal(text: str) -> Decimal:
    number = Decimal(text)
    if str(number) == text:
        return number
    literal = Literal(text)
    literal._text = text
    return literal


def _number_text(value: Any) -> Any:
    if isinstance(value, Literal):
        return msgspec.Raw(str(value).encode())
    raise TypeError(f"{type(value).__name__} is no JSON value")


_decode_tree = msgspec.json.Decoder(float_hook=_decimal).decode
_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=_number_text)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = _encoder.encode


def decode(body: bytes, type_name: str | None = None, *, strict_keys: bool = False) -> Any:
    """The resource as a msgspec struct, fully checked against the R4 structure.

    Raises InvalidResource with every issue (`expression` is a path such as `Patient.contact[0].name`) for
    whatever is not a valid resource of `type_name` (default: its own resourceType), be it any bytes.
    `strict_keys` also refuses an object that names a member twice (otherwise the last one counts).
    """
    try:
        name = structs.resource_type(body)
        if (type_name is None or name == type_name) and definitions.is_type(name):
            resource = structs.decoder(name)(body)
            if not _suspicious(body) and not (strict_keys and _duplicated(body)):
                return resource
            return _second_look(body, name, resource, strict_keys)
        error: Exception | None = None
    except _BROKEN as broken:
        error = broken
    issues = collect(body, type_name, strict_keys=strict_keys)
    if not any(issue.severity in ("error", "fatal") for issue in issues):
        issues = [Issue(code="structure", diagnostics=f"not valid R4: {_plain(error)}")]
    raise InvalidResource(issues=issues) from error


def load(body: bytes, type_name: str) -> Any:
    """The struct of JSON that the hub made or checked itself: as `decode`, without the look at raw bytes."""
    try:
        return structs.decoder(type_name)(body)
    except (*_BROKEN, KeyError):
        return decode(body, type_name)


def encode(resource: Any) -> bytes:
    """The JSON of a struct, resourceType first, numbers and dates literally as they came."""
    return _encode(resource)


def tree(body: bytes) -> dict[str, Any]:
    """Plain JSON: decimals as `decimal.Decimal` with their literal (`untree` keeps it), whole numbers as int.

    Raises InvalidResource if the bytes are not one JSON object.
    """
    try:
        found = _decode_tree(body)
    except _BROKEN as broken:
        raise InvalidResource(issues=[unreadable(body)]) from broken
    if not isinstance(found, dict):
        raise InvalidResource("a resource is a JSON object")
    return found


def untree(tree: Any) -> bytes:
    """The JSON of a plain tree; a Decimal becomes a JSON number with the digits it has."""
    return _encode(tree)


def splice(body: bytes, *, id: str | None = None, meta: Mapping[str, Any] | None = None) -> bytes:
    """The same JSON with resourceType, id and meta first; every other member's text is untouched.

    `id` replaces the id; members of `meta` replace those of the body's meta (None removes one).
    The body must be a JSON object that `decode` accepts, or one the hub made.
    """
    try:
        members = _members(body)
        new: dict[str, Any] = {"resourceType": members.pop("resourceType")}
        had = members.pop("id", None)
        value = id if id is not None else had
        if value is not None:
            new["id"] = value
        old = members.pop("meta", None)
        if meta is not None:
            merged: dict[str, Any] = dict(_members(old)) if old is not None else {}
            merged.update(meta)
            old = {k: v for k, v in merged.items() if v is not None}  # type: ignore[assignment]
        if old:
            new["meta"] = old
        new.update(members)
        return _encode(new)
    except (*_BROKEN, KeyError) as broken:
        raise InvalidResource(issues=[unreadable(body)]) from broken


def _duplicated(body: bytes) -> bool:
    """Whether a member may stand twice: also true where the quick look gives up (very deep nesting)."""
    try:
        jiter.from_json(body, catch_duplicate_keys=True)
    except ValueError:
        return True
    return False


def _suspicious(body: bytes) -> bool:
    """Signs of what structs cannot see: an empty object, escaped control characters, a whole number `-0`, a
    string without end."""
    return bool(_EMPTY(body) or _CONTROL(body) or _MINUS_ZERO(body)) or (
        len(body) > LONGEST and _endless(jiter.from_json(body))
    )


def _endless(value: Any) -> bool:
    """Whether any string in it is longer than a FHIR string may be."""
    if isinstance(value, str):
        return len(value) > LONGEST
    if isinstance(value, list):
        return any(map(_endless, value))
    return isinstance(value, dict) and any(map(_endless, value.values()))


def _second_look(body: bytes, name: str, resource: Any, strict_keys: bool) -> Any:
    issues = [i for i in collect(body, name, strict_keys=strict_keys) if i.severity in ("error", "fatal")]
    if issues:
        raise InvalidResource(issues=issues)
    return resource


def _plain(error: Exception | None) -> str:
    return json.dumps(str(error))[1:-1] if error else "unknown type"
