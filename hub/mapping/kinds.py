"""What an expression over HL7 v2 yields, as far as its text tells."""

from __future__ import annotations

from hub.fhirpath import ast
from hub.mapping.functions import CONDITIONAL, SCALARS
from hub.mapping.scope import Scope

_KEEPS_KIND = frozenset(("where", "first", "last", "tail", "skip", "take", "distinct", "single"))
PLAIN = frozenset(("str", "int", "num"))
NUMBERS = frozenset(("int", "num"))
TEXT_CALLS: dict[str, tuple[str, tuple[list[type], ...]]] = {
    "replace": ("{0}.replace({1})", ([str, str],)),
    "upper": ("{0}.upper()", ([],)),
    "lower": ("{0}.lower()", ([],)),
    "trim": ("{0}.strip()", ([],)),
    "substring": ("substring({0}, {1})", ([int], [int, int])),
}
"""FHIRPath functions over one text: the Python for them, and the argument types it is good for."""


def kind_of(tree: ast.Node, scope: Scope) -> str:
    """What the members of a result are, as far as the text tells."""
    if scope.root_kind != "message":
        return "any"
    if isinstance(tree, ast.Call):
        if tree.name in ("group", "before"):
            return "group"
        return kind_of(tree.target, scope) if tree.target and tree.name in _KEEPS_KIND else "any"
    if isinstance(tree, ast.Index):
        return kind_of(tree.target, scope)
    if isinstance(tree, ast.This):
        return scope.kind if tree.name == "this" else "any"
    if isinstance(tree, ast.Variable):
        if tree.name == "message":
            return scope.root_kind
        known = scope.locals.get(tree.name)
        return known.kind if known else "any"
    if isinstance(tree, ast.Binary) and tree.operator == "|":
        left, right = kind_of(tree.left, scope), kind_of(tree.right, scope)
        return left if left == right else "any"
    if isinstance(tree, ast.Member):
        above = scope.kind if tree.target is None else kind_of(tree.target, scope)
        if above in ("message", "group"):
            return "segment"
        return "part" if above in ("segment", "part") else "any"
    return "any"


def is_atomic(tree: ast.Node, scope: Scope) -> bool:
    """Whether a result is a plain value, or nodes nobody looks into (components and what is below them)."""
    if isinstance(tree, ast.Literal | ast.Nothing):
        return True
    if isinstance(tree, ast.Variable):
        known = scope.locals.get(tree.name)
        return tree.name == "system" if known is None else known.kind in PLAIN
    if isinstance(tree, ast.Binary):
        if tree.operator == "|":
            return is_atomic(tree.left, scope) and is_atomic(tree.right, scope)
        return tree.operator in ("&", "+", "*")
    if isinstance(tree, ast.Call):
        if tree.name == "iif":
            return all(is_atomic(branch, scope) for branch in tree.arguments[1:])
        if tree.name == "first" and tree.target is not None and not isinstance(tree.target, ast.Variable):
            return is_atomic(tree.target, scope)
        return any(tree.name in known for known in (SCALARS, TEXT_CALLS, CONDITIONAL, ("count", "round")))
    return isinstance(tree, ast.Member) and _is_component(tree, scope)


def _is_component(tree: ast.Member, scope: Scope) -> bool:
    depth = 0
    root: ast.Node | None = tree
    while isinstance(root, ast.Member):
        depth, root = depth + 1, root.target
    kind = kind_of(root, scope) if root is not None else scope.kind
    return depth >= {"message": 3, "group": 3, "segment": 2, "part": 1}.get(kind, 99)
