"""Expressions to Python text.

Paths, comparisons, concatenations and our own functions over HL7 v2 become direct calls, which cost well
under a microsecond; everything else goes through the FHIRPath engine. Both say the same (a test runs every
document both ways), except where a field repeats that should not: the calls take its first value, the engine
refuses the message.
"""

from __future__ import annotations

import re

from hub import fhirpath
from hub.errors import Misconfigured
from hub.fhirpath import ast
from hub.mapping.document import Scalar
from hub.mapping.functions import CONDITIONAL, FUNCTIONS, SCALARS
from hub.mapping.kinds import NUMBERS, PLAIN, TEXT_CALLS, is_atomic, kind_of
from hub.mapping.known import nodes
from hub.mapping.paths import Paths
from hub.mapping.runtime import Slow
from hub.mapping.scope import Fast, Scope


class Expressions(Paths):
    """Values, conditions and lists; what is not simple enough goes to the FHIRPath engine."""

    def folded(self, node: Scalar) -> str | None:
        """The text of an expression made of literals and %base only, else None."""
        return self._fold(self._parse(node))

    def one(self, node: Scalar, scope: Scope) -> Fast:
        """One plain value or None."""
        found = self._one(self._parse(node), scope) if self.fast else None
        if found is not None:
            return found
        return Fast(f"{self._slow(node)}.one({scope.source}, E)", "any")

    def truth(self, node: Scalar, scope: Scope) -> str:
        """A Python condition."""
        found = self._truth(self._parse(node), scope) if self.fast else None
        return found if found is not None else f"{self._slow(node)}.truth({scope.source}, E)"

    def items(self, node: Scalar, scope: Scope) -> tuple[str, str]:
        """A list of nodes and the kind of its members."""
        tree = self._parse(node)
        kind = kind_of(tree, scope)
        found = self._items(tree, scope) if self.fast else None
        return (found or f"{self._slow(node)}.items({scope.source}, E)"), kind

    def single(self, node: Scalar, scope: Scope) -> Fast | None:
        """For `let`: the value where the expression yields one plain value, not nodes with a structure."""
        tree = self._parse(node)
        if (
            not self.fast
            or isinstance(tree, ast.Member)
            or (isinstance(tree, ast.Binary) and tree.operator == "|")
        ):
            return None
        return self._one(tree, scope) if is_atomic(tree, scope) else None

    def at_most_one(self, node: Scalar) -> bool:
        """Whether the expression ends in first()."""
        tree = self._parse(node)
        return isinstance(tree, ast.Call) and tree.name == "first"

    def is_component(self, node: Scalar, scope: Scope) -> bool:
        """Whether it is a path from a part of a field, below which nothing repeats."""
        tree: ast.Node | None = self._parse(node)
        if scope.kind != "part" or not self.fast or not isinstance(tree, ast.Member):
            return False
        while isinstance(tree, ast.Member) and tree.name.isdigit():
            tree = tree.target
        return tree is None or (isinstance(tree, ast.This) and tree.name == "this")

    def _parse(self, node: Scalar) -> ast.Node:
        text = node.expression
        assert text is not None
        try:
            return fhirpath.parse(text, members_by_number=self.hl7v2)
        except Misconfigured as error:
            raise Misconfigured(f"{node.file}:{node.line}: {error}") from None

    def _slow(self, node: Scalar) -> str:
        text = node.expression
        assert text is not None
        try:
            compiled = fhirpath.compile(text, functions=FUNCTIONS, members_by_number=self.hl7v2)
        except Misconfigured as error:
            raise Misconfigured(f"{node.file}:{node.line}: {error}") from None
        self.asked |= {one.name for one in nodes(self._parse(node)) if isinstance(one, ast.Variable)}
        return self.constant(Slow(compiled, text), "x")

    def _fold(self, tree: ast.Node) -> str | None:
        if isinstance(tree, ast.Literal) and isinstance(tree.value, str):
            return tree.value
        if isinstance(tree, ast.Variable) and tree.name == "base":
            return self.base
        if isinstance(tree, ast.Binary) and tree.operator in ("&", "+"):
            left, right = self._fold(tree.left), self._fold(tree.right)
            return None if left is None or right is None else left + right
        return None

    # one value

    def _one(self, tree: ast.Node, scope: Scope) -> Fast | None:
        folded = self._fold(tree)
        if folded is not None:
            return Fast(repr(folded))
        if isinstance(tree, ast.Literal) and isinstance(tree.value, int):
            return Fast(repr(tree.value), "bool" if isinstance(tree.value, bool) else "int")
        if isinstance(tree, ast.Nothing):
            return Fast("None")
        if isinstance(tree, ast.Variable):
            known = scope.locals.get(tree.name)
            if known is None and tree.name == "system":
                return Fast("R.context.system")
            if known is None or known.kind == "any":
                return None
            return Fast(known.value, known.kind if known.kind in PLAIN else "str", known.sure)
        if isinstance(tree, ast.Binary):
            return self._combined(tree, scope)
        if isinstance(tree, ast.Call):
            return self._called(tree, scope)
        return self._path(tree, scope, "hl")

    def _combined(self, tree: ast.Binary, scope: Scope) -> Fast | None:
        if tree.operator not in ("&", "+", "|", "*"):
            return None
        left, right = self._one(tree.left, scope), self._one(tree.right, scope)
        if left is None or right is None:
            return None
        if tree.operator == "|":
            name = self._temporary()
            kind = left.kind if left.kind == right.kind else "any"
            return Fast(f"({name} if ({name} := {left.code}) is not None else {right.code})", kind, False)
        if left.kind == right.kind == "int" and tree.operator == "+":
            return Fast(f"({left.code} + {right.code})", "int")
        if tree.operator == "*":
            amounts = {left.kind, right.kind} <= NUMBERS and "num" in (left.kind, right.kind)
            return Fast(f"times({left.code}, {right.code})", "num") if amounts else None
        if tree.operator == "&":
            parts = [
                f"str({part.code})" if part.kind == "int" else f"({part.code} or '')"
                for part in (left, right)
            ]
            return Fast(f"({parts[0]} + {parts[1]})") if {left.kind, right.kind} <= {"str", "int"} else None
        if left.kind == right.kind == "str":
            a, b = self._temporary(), self._temporary()
            test = f"({a} := {left.code}) is not None and ({b} := {right.code}) is not None"
            return Fast(f"({a} + {b} if {test} else None)")
        return None

    def _called(self, tree: ast.Call, scope: Scope) -> Fast | None:
        if tree.name == "iif" and tree.target is None and len(tree.arguments) in (2, 3):
            condition = self._truth(tree.arguments[0], scope)
            branches = [self._one(branch, scope) for branch in tree.arguments[1:]]
            if condition is None or any(branch is None for branch in branches):
                return None
            codes = [branch.code for branch in branches if branch is not None] + ["None"]
            kinds = {branch.kind for branch in branches if branch is not None and branch.code != "None"}
            return Fast(
                f"({codes[0]} if {condition} else {codes[1]})", kinds.pop() if len(kinds) == 1 else "any"
            )
        if tree.target is None:
            return None
        if tree.name == "first" and not tree.arguments:
            found = self._one(tree.target, scope)
            return found._replace(exact=True) if found else None
        if tree.name == "count" and not tree.arguments:
            counted = self._items(tree.target, scope)
            return Fast(f"len({counted})", "int") if counted else None
        if tree.name == "round":
            return self._rounded(tree, scope)
        if tree.name in SCALARS:
            return self._function(tree, scope)
        if tree.name in TEXT_CALLS:
            return self._text_call(tree, scope)
        if tree.name in CONDITIONAL:
            return self._conditional(tree, scope)
        return None

    def _conditional(self, tree: ast.Call, scope: Scope) -> Fast | None:
        """`(A = B).refuse('reason')`: something happens, nothing is yielded."""
        assert tree.target is not None
        condition = self._truth(tree.target, scope)
        arguments = [argument.value for argument in tree.arguments if isinstance(argument, ast.Literal)]
        if condition is None or len(arguments) != len(tree.arguments):
            return None
        return Fast(f"(R.{tree.name}({', '.join(map(repr, arguments))}) if {condition} else None)")

    def _rounded(self, tree: ast.Call, scope: Scope) -> Fast | None:
        assert tree.target is not None
        found = self._one(tree.target, scope)
        digits = [one.value for one in tree.arguments if isinstance(one, ast.Literal)]
        if found is None or found.kind != "num" or [type(one) for one in digits] != [int] or digits == [0]:
            return None
        return Fast(f"rounded({found.code}, {digits[0]})", "num")

    def _text_call(self, tree: ast.Call, scope: Scope) -> Fast | None:
        """FHIRPath's own functions over one text, with constant arguments."""
        assert tree.target is not None
        found = self._one(tree.target, scope)
        arguments = [argument.value for argument in tree.arguments if isinstance(argument, ast.Literal)]
        written, kinds = TEXT_CALLS[tree.name]
        if found is None or found.kind != "str" or len(arguments) != len(tree.arguments):
            return None
        if [type(argument) for argument in arguments] not in kinds:
            return None
        name = self._temporary()
        call = written.format(name, ", ".join(map(repr, arguments)))
        return Fast(f"({call} if ({name} := {found.code}) is not None else None)", "str", found.exact)

    def _function(self, tree: ast.Call, scope: Scope) -> Fast | None:
        assert tree.target is not None
        found = self._one(tree.target, scope)
        arguments = [argument.value for argument in tree.arguments if isinstance(argument, ast.Literal)]
        if found is None or len(arguments) != len(tree.arguments):
            return None
        name, function = self._temporary(), self.constant(SCALARS[tree.name], "f")
        values = "".join(f", {value!r}" for value in arguments)
        kind = "num" if tree.name == "number" else "str"
        if found.code.startswith("hl_where("):
            every = found.code.replace("hl_where(", "hl_every(", 1)
            return Fast(f"first_of({function}, R, {every}{values})", kind)
        return Fast(
            f"({function}({name}, R{values}) if ({name} := {found.code}) is not None else None)", kind
        )

    # conditions

    def _truth(self, tree: ast.Node, scope: Scope) -> str | None:
        if isinstance(tree, ast.Binary):
            if tree.operator in ("and", "or"):
                left, right = self._truth(tree.left, scope), self._truth(tree.right, scope)
                return f"({left} {tree.operator} {right})" if left and right else None
            if tree.operator in ("=", "!="):
                return self._equal(tree, scope)
            return None
        if isinstance(tree, ast.Call) and tree.name == "matches" and tree.target is not None:
            return self._matches(tree, scope)
        if isinstance(tree, ast.Call) and tree.target is not None and not tree.arguments:
            if tree.name == "not":
                inner = tree.target
                exists = isinstance(inner, ast.Call) and inner.name in ("exists", "empty")
                found = self._truth(inner, scope) if exists else None
                return f"(not {found})" if found else None
            if tree.name in ("exists", "empty"):
                target = self._one(tree.target, scope) or self._segment(tree.target, scope)
                word = "is not" if tree.name == "exists" else "is"
                return f"({target.code} {word} None)" if target and not _concatenates(tree.target) else None
        return None

    def _matches(self, tree: ast.Call, scope: Scope) -> str | None:
        assert tree.target is not None
        target, pattern = self._one(tree.target, scope), tree.arguments[0]
        if target is None or target.kind != "str" or not isinstance(pattern, ast.Literal):
            return None
        try:
            search = self.constant(re.compile(str(pattern.value), re.DOTALL).search, "f")
        except re.error:
            return None
        return f"({search}({target.code} or '') is not None)" if pattern.value else None

    def _segment(self, tree: ast.Node, scope: Scope) -> Fast | None:
        """`IN1.exists()`."""
        found = self._items(tree, scope)
        return Fast(f"({found} or None)") if found else None

    def _equal(self, tree: ast.Binary, scope: Scope) -> str | None:
        sides = []
        for side in (tree.left, tree.right):
            found = self._path(side, scope, "hl_only")
            found = found if found and found.exact else self._one(side, scope)
            if found is None or not found.exact or found.kind == "any":
                return None
            sides.append(found)
        if sides[0].kind != sides[1].kind and not {sides[0].kind, sides[1].kind} <= NUMBERS:
            return None
        left, right = (side.code for side in sides)
        if isinstance(tree.right, ast.Literal) and tree.operator == "=":
            return f"({left} == {right})"
        sign = "==" if tree.operator == "=" else "!="
        a, b = self._temporary(), self._temporary()
        if isinstance(tree.right, ast.Literal):
            return f"(({a} := {left}) is not None and {a} {sign} {right})"
        return f"(({a} := {left}) is not None and ({b} := {right}) is not None and {a} {sign} {b})"


def _concatenates(tree: ast.Node) -> bool:
    return isinstance(tree, ast.Binary) and tree.operator == "&"
