"""Paths into an HL7 v2 message to Python text: `PID.3.1` becomes one call on a segment fetched once."""

from __future__ import annotations

import re
from typing import Any

from hub.fhirpath import ast
from hub.mapping.scope import Fast, Scope

_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}")


class Paths:
    """Collects the constants (`names`) and the segments (`handles`) that generated code refers to.

    `asked` are the variables that the FHIRPath engine looks up; the others need not be told to it.
    """

    def __init__(self, *, hl7v2: bool, base: str, fast: bool = True) -> None:
        self.hl7v2 = hl7v2
        self.base = base
        self.fast = fast
        self.names: dict[str, Any] = {}
        self.handles: dict[str, dict[str, str]] = {}
        self.asked: set[str] = set()
        self._temporaries = 0

    def constant(self, value: Any, prefix: str = "c") -> str:
        """A name for a value."""
        name = f"{prefix}{len(self.names)}"
        self.names[name] = value
        return name

    def open_group(self, source: str) -> None:
        """From here on `source` names a message or group; its segments are fetched once."""
        self.handles[source] = {}

    def segments_of(self, source: str, indent: str) -> list[str]:
        """The lines that fetch what expressions over `source` have used."""
        return [f"{indent}{name} = segment({source}, {key!r})" for key, name in self.handles[source].items()]

    def _handle(self, source: str, segment_id: str) -> str | None:
        source = "S" if source == "M" else source
        known = self.handles.get(source)
        return None if known is None else known.setdefault(segment_id, f"{source}_{segment_id}")

    # one place

    def _path(self, tree: ast.Node, scope: Scope, reader: str) -> Fast | None:
        """A path into an HL7 v2 message; None if it is anything else."""
        if not self.hl7v2:
            return None
        names: list[str] = []
        condition: ast.Node | None = None
        at = 0
        while isinstance(tree, ast.Member | ast.Call):
            if isinstance(tree, ast.Call):
                lead = self._lead(tree, scope)
                if lead is not None and names:
                    return self._placed(names, condition, len(names) - at, lead, "group", reader)
                if (
                    tree.name != "where"
                    or condition is not None
                    or len(tree.arguments) != 1
                    or tree.target is None
                ):
                    return None
                condition, at = tree.arguments[0], len(names)
                tree = tree.target
                continue
            names.insert(0, tree.name)
            if tree.target is None:
                return self._placed(names, condition, len(names) - at, scope.source, scope.kind, reader)
            tree = tree.target
        if isinstance(tree, ast.This) and tree.name == "this" and names:
            return self._placed(names, condition, len(names) - at, scope.source, scope.kind, reader)
        if isinstance(tree, ast.Variable):
            if tree.name == "message":
                return self._placed(names, condition, len(names) - at, "M", scope.root_kind, reader)
            known = scope.locals.get(tree.name)
            if known and known.node and (known.sure or known.kind == "part"):
                return self._placed(names, condition, len(names) - at, known.node, known.kind, reader)
        return None

    def _placed(
        self, names: list[str], condition: ast.Node | None, at: int, source: str, kind: str, reader: str
    ) -> Fast | None:
        if kind in ("message", "group"):
            if not _SEGMENT.fullmatch(names[0]) or not all(name.isdigit() for name in names[1:]):
                return None
            numbers = ", ".join(names[1:])
            if not 2 <= len(names) <= 4:
                return None
            if condition is None:
                handle, exact = self._handle(source, names[0]), reader == "hl_only"
                if handle is not None:
                    return Fast(f"{handle}.{'only' if exact else 'first'}({numbers})", "str", exact)
                return Fast(f"{reader}({source}, {names[0]!r}, {numbers})", "str", exact)
            return self._filtered(names, condition, at, source, reader)
        if condition is not None or not all(name.isdigit() for name in names):
            return None
        if kind == "segment" and 1 <= len(names) <= 3:
            return Fast(f"{source}.{'first' if reader == 'hl' else 'only'}({', '.join(names)})")
        if kind == "part":
            return self._within(names, source)
        return None

    def _within(self, names: list[str], source: str) -> Fast | None:
        if 1 <= len(names) <= 2 and all(name.isdigit() for name in names):
            call = f"{source}.at({', '.join(names)})" if source.isidentifier() else None
            return Fast(call or f"inner({source}, {', '.join(names)})", "str", True)
        return None

    def _filtered(
        self, names: list[str], condition: ast.Node, at: int, source: str, reader: str
    ) -> Fast | None:
        """`PID.3.where($this.5 = 'PI' or $this.5 = 'MR').1`."""
        wanted = _alternatives(condition)
        if wanted is None or at != 2 or len(names) not in (2, 3, 4) or reader != "hl":
            return None
        component, values = wanted
        target = ", ".join(names[2:]) or "1"
        found = self.constant(frozenset(values))
        return Fast(
            f"hl_where({source}, {names[0]!r}, {names[1]}, {component}, {found}, {target})", "str", False
        )

    # lists of nodes

    def _items(self, tree: ast.Node, scope: Scope) -> str | None:
        if not self.hl7v2:
            return None
        if isinstance(tree, ast.Call) and tree.name == "group" and len(tree.arguments) == 1:
            source = scope.source if tree.target is None else "M" if _is_message(tree.target) else None
            start = tree.arguments[0]
            if source and isinstance(start, ast.Literal) and self._is_group(tree.target, scope):
                return f"{source}.group({start.value!r})"
        if (
            isinstance(tree, ast.Call)
            and tree.name == "first"
            and tree.target is not None
            and not tree.arguments
        ):
            found = self._alternative_items(tree.target, scope)
            return f"({found})[:1]" if found else None
        if isinstance(tree, ast.Member):
            names: list[str] = []
            root: ast.Node | None = tree
            while isinstance(root, ast.Member):
                names.insert(0, root.name)
                root = root.target
            here = root is None or (isinstance(root, ast.This) and root.name == "this")
            if here and scope.kind in ("segment", "part") and all(name.isdigit() for name in names):
                return f"below({scope.source}, {', '.join(repr(name) for name in names)})"
            source = self._lead(root, scope)
            if source is None and self._is_group(root, scope):
                source = scope.source if root is None else "M" if _is_message(root) else None
            if source is None or not _SEGMENT.fullmatch(names[0]):
                return None
            if len(names) == 1:
                return f"{source}.of({names[0]!r})"
            if all(name.isdigit() for name in names[1:]):
                handle = self._handle(source, names[0])
                if handle is not None and len(names) == 2:
                    return f"{handle}.nodes({names[1]})"
                return f"hl_nodes({source}, {names[0]!r}, {', '.join(names[1:])})"
        return None

    def _lead(self, tree: ast.Node | None, scope: Scope) -> str | None:
        """`%message.before('ORC')`: what stands before the first segment of that id."""
        if not isinstance(tree, ast.Call) or tree.name != "before" or len(tree.arguments) != 1:
            return None
        source = scope.source if tree.target is None else "M" if _is_message(tree.target) else None
        start = tree.arguments[0]
        if source is None or not isinstance(start, ast.Literal) or not self._is_group(tree.target, scope):
            return None
        return f"{source}.before({start.value!r})"

    def _alternative_items(self, tree: ast.Node, scope: Scope) -> str | None:
        """`A | B` where only the first one counts."""
        if isinstance(tree, ast.Binary) and tree.operator == "|":
            left, right = (
                self._alternative_items(tree.left, scope),
                self._alternative_items(tree.right, scope),
            )
            return f"{left} or {right}" if left and right else None
        return self._items(tree, scope)

    def _is_group(self, root: ast.Node | None, scope: Scope) -> bool:
        return (scope.kind if root is None else scope.root_kind) in ("message", "group")

    def _temporary(self) -> str:
        self._temporaries += 1
        return f"t{self._temporaries}"


def _is_message(tree: ast.Node | None) -> bool:
    return isinstance(tree, ast.Variable) and tree.name == "message"


def _alternatives(tree: ast.Node) -> tuple[str, list[str | None]] | None:
    """`$this.5 = 'PI' or $this.5 = 'MR'` → ("5", ["PI", "MR"])."""
    if isinstance(tree, ast.Binary) and tree.operator == "or":
        left, right = _alternatives(tree.left), _alternatives(tree.right)
        if left and right and left[0] == right[0]:
            return left[0], left[1] + right[1]
        return None
    if (
        isinstance(tree, ast.Call)
        and tree.name == "empty"
        and isinstance(tree.target, ast.Member)
        and isinstance(tree.target.target, ast.This)
        and tree.target.name.isdigit()
    ):
        return tree.target.name, [None]
    if (
        isinstance(tree, ast.Binary)
        and tree.operator == "="
        and isinstance(tree.left, ast.Member)
        and isinstance(tree.left.target, ast.This)
        and tree.left.name.isdigit()
        and isinstance(tree.right, ast.Literal)
        and isinstance(tree.right.value, str)
    ):
        return tree.left.name, [tree.right.value]
    return None
