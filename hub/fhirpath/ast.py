"""The syntax tree of FHIRPath: frozen values, compared by content (http://hl7.org/fhirpath/N1/#grammar).

Literal  Nothing  This  Variable         what starts a path
Member  Index  Call  TypeOperation       what goes on from a collection
Unary  Binary                            what combines collections
"""

from __future__ import annotations

from typing import Literal as OneOf

import msgspec

from hub.fhirpath.quantity import Quantity
from hub.fhirpath.temporal import Temporal
from hub.fhirpath.values import Number

LiteralValue = bool | Number | str | Temporal | Quantity


class Node(msgspec.Struct, frozen=True):
    """Any expression."""


class Literal(Node, frozen=True):
    """A constant. Decimals keep their digits (`105.00`), dates their precision."""

    value: LiteralValue


class Nothing(Node, frozen=True):
    """The empty collection `{}`."""


class This(Node, frozen=True):
    """`$this`, `$index` or `$total`."""

    name: OneOf["this", "index", "total"]


class Variable(Node, frozen=True):
    """`%name`, looked up in the environment."""

    name: str


class Member(Node, frozen=True):
    """`target.name`; without a target the path starts at `$this` (or names the context's type)."""

    target: Node | None
    name: str


class Index(Node, frozen=True):
    """`target[index]`."""

    target: Node
    index: Node


class Call(Node, frozen=True):
    """`target.name(arguments)`; without a target the input is `$this`."""

    target: Node | None
    name: str
    arguments: tuple[Node, ...] = ()


class TypeName(msgspec.Struct, frozen=True):
    """`Quantity`, `System.String`, `FHIR.code`; an empty namespace means either."""

    name: str
    namespace: str = ""


class TypeOperation(Node, frozen=True):
    """`operand is Type` and `operand as Type`."""

    operator: OneOf["is", "as"]
    operand: Node
    type: TypeName


class Unary(Node, frozen=True):
    """`-x` and `+x`."""

    operator: OneOf["-", "+"]
    operand: Node


class Binary(Node, frozen=True):
    """Two operands and one of the operators of http://hl7.org/fhirpath/N1/#operations."""

    operator: str
    left: Node
    right: Node
