"""How each type looks in XML (http://hl7.org/fhir/R4/xml.html), worked out from the pack when needed."""

from __future__ import annotations

from functools import cache

import msgspec

from hub.r4 import definitions
from hub.r4.primitives import INTEGERS
from hub.r4.structs import field_names, has_beside

FHIR = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"

NUMBERS = frozenset({"decimal", *INTEGERS})
SPACED = frozenset({"string", "markdown", "base64Binary"})
"""Types whose white space at the ends is content; that of others is trimmed, as XML Schema does."""


class Shape(msgspec.Struct, frozen=True):
    """One member of a type: its name, the element in the definition (without `[x]`), its type.

    place      its position among the members: XML is written in this order, attributes first
    primitive  it has a `value`, and perhaps an id and extensions
    attribute  it is an attribute (`id` of an element, `url` of an extension)
    """

    name: str
    element: str
    kind: str
    place: int
    many: bool
    primitive: bool
    attribute: bool


@cache
def shapes(path: str) -> dict[str, Shape]:
    """The members of a type or inner structure by JSON name, choices by their full name (`valueQuantity`)."""
    found: dict[str, Shape] = {}
    for name, element in definitions.members(path).items():
        for member, kind in field_names(name, element):
            beside = has_beside(path, name, kind)
            primitive = kind in definitions.PRIMITIVES
            attribute = primitive and not beside and kind != "xhtml"
            found[member] = Shape(
                name=member,
                element=name,
                kind=kind,
                place=2 * len(found) - (1000 if attribute else 0),
                many=element.many,
                primitive=beside,
                attribute=attribute,
            )
    return found


@cache
def places(path: str) -> dict[str, int]:
    """JSON member → its place; the `_member` beside a primitive comes right after it."""
    found: dict[str, int] = {}
    for name, shape in shapes(path).items():
        found[name] = shape.place
        if shape.primitive:
            found["_" + name] = shape.place + 1
    return found
