"""Does an expression fit a type? Misspelt members are found before any data is (strict mode).

    check("name.given1", "Patient")  →  ("Patient.name has no member given1",)

What cannot be known (the target of a reference, a contained resource) is never complained about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hub.fhirpath import ast
from hub.fhirpath.parser import parse
from hub.fhirpath.types import is_a, types
from hub.fhirpath.typing_needs import type_argument

Kinds = frozenset[str] | None
"""Types a collection may hold: FHIR types, paths of nested elements, `System.X`; None: anything."""

_ABSTRACT = frozenset(("Resource", "DomainResource", "Element", "BackboneElement"))
_SAME = frozenset(
    [
        "where",
        "first",
        "last",
        "tail",
        "skip",
        "take",
        "distinct",
        "single",
        "trace",
        "intersect",
        "exclude",
        "sort",
        "allTrue",
        "anyTrue",
        "allFalse",
        "anyFalse",
    ]
)
_ORDERED = frozenset(("first", "last", "tail", "skip", "take"))
_UNORDERED = frozenset(("children", "descendants"))
_BOOLEAN = frozenset(
    ("exists", "empty", "all", "not", "hasValue", "is", "isDistinct", "subsetOf", "supersetOf")
)


def check(expression: str | ast.Node, type_name: str) -> tuple[str, ...]:
    """What does not fit when `expression` runs over a `type_name`; empty if nothing is found.

    Raises InvalidExpression for text that is not FHIRPath.
    """
    tree = parse(expression) if isinstance(expression, str) else expression
    checker = _Checker(frozenset((type_name,)))
    checker.kinds(tree, checker.root)
    return tuple(dict.fromkeys(checker.problems))


class _Checker:
    def __init__(self, root: frozenset[str]) -> None:
        self.root = root
        self.problems: list[str] = []

    def kinds(self, node: ast.Node, this: Kinds) -> Kinds:
        match node:
            case ast.Literal(value=value):
                return frozenset((f"System.{type(value).__name__}",))
            case ast.This(name="this"):
                return this
            case ast.Variable(name="resource" | "context" | "rootResource"):
                return None if node.name != "context" else self.root
            case ast.Member(target=None, name=name):
                return this if this is not None and _is_named(this, name) else self.member(this, name)
            case ast.Member(target=target, name=name) if target is not None:
                return self.member(self.kinds(target, this), name)
            case ast.Index(target=target, index=index):
                self.kinds(index, this)
                return self.kinds(target, this)
            case ast.TypeOperation(operator=operator, operand=operand, type=wanted):
                self.kinds(operand, this)
                return _narrowed(wanted) if operator == "as" else frozenset(("System.bool",))
            case ast.Unary(operand=operand):
                return self.kinds(operand, this)
            case ast.Binary():
                return self.binary(node, this)
            case ast.Call():
                return self.call(node, this)
        return None

    def member(self, owners: Kinds, name: str) -> Kinds:
        if owners is None or owners & _ABSTRACT:
            return None
        found: set[str] = set()
        for owner in owners:
            found.update(_members(owner, name))
        if not found and owners:
            self.problems.append(f"{_named(owners)} has no member {name}")
            return None
        return None if "" in found else frozenset(found)

    def binary(self, node: ast.Binary, this: Kinds) -> Kinds:
        left, right = self.kinds(node.left, this), self.kinds(node.right, this)
        if node.operator == "|":
            return None if left is None or right is None else left | right
        return None if node.operator in ("+", "-", "*", "/") else frozenset(("System.bool",))

    def call(self, node: ast.Call, this: Kinds) -> Kinds:
        target = this if node.target is None else self.kinds(node.target, this)
        if node.name in ("ofType", "as", "is"):
            wanted = type_argument(node.arguments[0]) if node.arguments else None
            if node.name == "is" or wanted is None:
                return frozenset(("System.bool",))
            return _narrowed(wanted)
        if node.name in _ORDERED and isinstance(node.target, ast.Call) and node.target.name in _UNORDERED:
            self.problems.append(f"{node.target.name}() has no order for {node.name}() to go by")
        return self.result(node, target, self.arguments(node, target, this))

    def arguments(self, node: ast.Call, target: Kinds, this: Kinds) -> list[Kinds]:
        per_item = node.name in ("where", "select", "all", "exists", "sort", "trace", "iif")
        own = target if per_item else None if node.name in ("repeat", "aggregate") else this
        return [self.kinds(argument, own) for argument in node.arguments]

    def result(self, node: ast.Call, target: Kinds, arguments: list[Kinds]) -> Kinds:
        if node.name in _SAME:
            return target
        if node.name == "select" and arguments:
            return arguments[0]
        if node.name == "extension":
            return frozenset(("Extension",))
        return frozenset(("System.bool",)) if node.name in _BOOLEAN else None


def _narrowed(wanted: ast.TypeName) -> Kinds:
    return None if wanted.namespace == "System" else frozenset((wanted.name,))


def _is_named(this: frozenset[str], name: str) -> bool:
    return name[:1].isupper() and any(is_a(kind, name) for kind in this)


def _named(kinds: Iterable[str]) -> str:
    return " or ".join(sorted(kinds)) or "nothing"


def _members(owner: str, name: str) -> Iterable[str]:
    """The types of one member; an empty name stands for `anything`."""
    if owner.startswith("System."):
        return ()
    if owner[:1].islower():
        return {"value": ("",), "id": ("string",), "extension": ("Extension",)}.get(name, ())
    child: Callable[[str, str], str | None] = types().child
    kind = child(owner, name)
    if kind is not None:
        return (kind,)
    choices = types().choices(owner, name)
    return () if choices is None else choices.values()
