"""Resources made from the element tables: of any type, with the least it needs or with all it may have."""

from __future__ import annotations

from typing import Any

from hub import r4
from hub.r4.definitions import Element

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">text</div>'
DEPTH = 4
"""Structures inside structures, from the resource down, when everything is filled."""

PRIMITIVES: dict[str, Any] = {
    "base64Binary": "U2FueWk=",
    "boolean": True,
    "canonical": "http://example.org/canonical/one|1.0",
    "code": "some-code",
    "date": "2019-03-04",
    "dateTime": "2019-03-04T05:06:07+08:00",
    "decimal": 2.5,
    "id": "some-id",
    "instant": "2019-03-04T05:06:07.123Z",
    "integer": 7,
    "markdown": "some *markdown*",
    "oid": "urn:oid:1.2.3",
    "positiveInt": 3,
    "string": "Some String",
    "time": "05:06:07",
    "unsignedInt": 4,
    "uri": "http://example.org/uri/one",
    "url": "http://example.org/url/one",
    "uuid": "urn:uuid:4fc0b5dd-2f25-4a4f-8d3c-1a0e6a1f0b0c",
    "xhtml": DIV,
}
META = {
    "source": "http://example.org/source",
    "profile": ["http://example.org/profile"],
    "security": [{"system": "http://example.org/labels", "code": "R", "display": "Restricted"}],
    "tag": [{"system": "http://example.org/tags", "code": "t"}],
}
_NEVER = frozenset({"id", "extension", "modifierExtension"})
_NOT_OF_A_RESOURCE = frozenset({"meta", "contained", "implicitRules", "language"})


def least(type: str, id: str) -> dict[str, Any]:
    """A resource with what its type requires and nothing else."""
    return {"resourceType": type, "id": id, **_structure(type, 0, full=False, depth=0)}


def richest(type: str, id: str, variant: int) -> dict[str, Any]:
    """A resource with a value in every element; `variant` chooses the types of choices and references."""
    return {"resourceType": type, "id": id, "meta": META, **_structure(type, variant, full=True, depth=0)}


def _structure(path: str, variant: int, *, full: bool, depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, element in r4.members(path).items():
        if name in _NEVER or (not depth and name in _NOT_OF_A_RESOURCE):
            continue
        if not (element.min or (full and depth < DEPTH)):
            continue
        kind = element.types[variant % len(element.types)]
        if kind == "Resource":
            value: Any = {"resourceType": "Basic", "code": {"text": "inside"}}
        else:
            value = _value(name, element, kind, variant, full=full, depth=depth)
        if value in ({}, None):
            continue
        member = name + kind[0].upper() + kind[1:] if element.choice else name
        made[member] = [value] if element.many else value
    return made


def _value(name: str, element: Element, kind: str, variant: int, *, full: bool, depth: int) -> Any:
    if kind == "Reference":
        targets = element.targets or r4.TYPES
        made = {"reference": f"{targets[variant % len(targets)]}/somewhere"}
        if full:
            made["display"] = "Some Thing"
        return made
    if kind in r4.PRIMITIVES:
        return _primitive(name, element, kind, variant)
    listed = sorted(r4.codings(element.valueset) or ()) if element.binding == "required" else []
    if listed and kind in ("Coding", "CodeableConcept"):
        system, code = listed[variant % len(listed)]
        coding = {"system": system, "code": code}
        return coding if kind == "Coding" else {"coding": [coding], "text": "Some Text"}
    inner = _structure(kind, variant, full=full, depth=depth + 1)
    if not inner and (element.min or not full):
        inner = {"extension": [{"url": "http://example.org/absent", "valueBoolean": True}]}
    return inner


def _primitive(name: str, element: Element, kind: str, variant: int) -> Any:
    if element.binding == "required" and kind == "code":
        listed = sorted(r4.codes(element.valueset) or ())
        if listed:
            return listed[variant % len(listed)]
        return {"mimetypes": "text/plain", "languages": "zh-CN", "currencies": "CNY"}.get(
            element.valueset.partition("|")[0].rpartition("/")[2], "some-code"
        )
    if kind == "string" and name == "reference":
        return "Patient/somewhere"
    return PRIMITIVES[kind]
