"""From FHIR JSON to FHIR XML (http://hl7.org/fhir/R4/xml.html), every literal as it stands in the JSON."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from hub.r4 import definitions
from hub.r4.narrative import embedded
from hub.r4.xml_shape import FHIR, Shape, places, shapes

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
_SPECIAL = re.compile('[&<>"\t\n\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]')
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}

__all__ = ["DECLARATION", "write"]


def write(body: bytes, *, pretty: bool = False) -> bytes:
    """A resource in XML.

    The JSON is one that `hub.r4.decode` accepts or that the hub made; ValueError names what has no XML form.
    A character that XML cannot carry becomes U+FFFD.
    """
    tree = json.loads(body, parse_float=str, parse_int=str)
    parts = [DECLARATION]
    _resource(parts, tree, f' xmlns="{FHIR}"', "\n" if pretty else "")
    if pretty:
        parts.append("\n")
    return "".join(parts).encode()


def _resource(parts: list[str], tree: Any, namespace: str, line: str) -> None:
    """`line`: what goes before each element; empty unless the answer is pretty."""
    kind = tree.get("resourceType") if isinstance(tree, dict) else None
    if not isinstance(kind, str) or not definitions.is_type(kind):
        raise ValueError("no resource type")
    parts.append(f"{line}<{kind}{namespace}")
    _content(parts, kind, {name: value for name, value in tree.items() if name != "resourceType"}, kind, line)


def _content(parts: list[str], tag: str, node: dict[str, Any], kind: str, line: str) -> None:
    """Attributes, children and end of an element whose start tag is open."""
    known = shapes(kind)
    deeper = line and line + "  "
    empty = True
    for name in sorted(node, key=_order(kind)):
        beside = name.startswith("_")
        shape = known[name[1:] if beside else name]
        if shape.attribute:
            parts.append(f' {shape.name}="{escape(node[name])}"')
            continue
        if beside and shape.name in node:
            continue  # written with the value
        if empty:
            parts.append(">")
            empty = False
        if shape.primitive:
            _primitives(parts, shape, node.get(shape.name), node.get("_" + shape.name), deeper)
        else:
            for value in node[name] if shape.many else (node[name],):
                _complex(parts, shape, value, deeper)
    parts.append("/>" if empty else f"{line}</{tag}>")


@cache
def _order(kind: str) -> Any:
    """The sort key of JSON members: ValueError for one that the type does not have."""
    found = places(kind)

    def place(name: str) -> int:
        if name not in found:
            raise ValueError(f"{kind} has a member that the definitions do not know")
        return found[name]

    return place


def _complex(parts: list[str], shape: Shape, value: Any, line: str) -> None:
    if shape.kind == "xhtml":
        parts.append(line + embedded(value))
    elif shape.kind == "Resource":
        parts.append(f"{line}<{shape.name}>")
        _resource(parts, value, "", line and line + "  ")
        parts.append(f"{line}</{shape.name}>")
    else:
        parts.append(f"{line}<{shape.name}")
        _content(parts, shape.name, value, shape.kind, line)


def _primitives(parts: list[str], shape: Shape, values: Any, extras: Any, line: str) -> None:
    if not shape.many:
        _primitive(parts, shape.name, values, extras, line)
        return
    values, extras = values or [], extras or []
    for position in range(max(len(values), len(extras))):
        value = values[position] if position < len(values) else None
        extra = extras[position] if position < len(extras) else None
        _primitive(parts, shape.name, value, extra, line)


def _primitive(parts: list[str], name: str, value: Any, extra: Any, line: str) -> None:
    parts.append(f"{line}<{name}")
    if extra and "id" in extra:  # attributes in the order in which others write them
        parts.append(f' id="{escape(extra["id"])}"')
    if value is not None:
        parts.append(f' value="{escape(value)}"')
    extensions = extra.get("extension") if extra else None
    if not extensions:
        parts.append("/>")
        return
    parts.append(">")
    for one in extensions:
        parts.append(f"{line and line + '  '}<extension")
        _content(parts, "extension", one, "Extension", line and line + "  ")
    parts.append(f"{line}</{name}>")


def escape(value: Any) -> str:
    """The value of an attribute; tabs and ends of lines as character references, which parsers keep."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise ValueError("a primitive is text, a number or a truth value")
    return _SPECIAL.sub(_escaped, value) if _SPECIAL.search(value) else value


def _escaped(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0], "\ufffd")
