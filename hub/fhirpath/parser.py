"""Tokens to a tree by precedence climbing (http://hl7.org/fhirpath/N1/#operator-precedence)."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Literal, cast

from hub.fhirpath import ast
from hub.fhirpath.errors import InvalidExpression
from hub.fhirpath.lexer import Token, tokens
from hub.fhirpath.quantity import CALENDAR, Quantity
from hub.fhirpath.temporal import Temporal
from hub.fhirpath.values import MAX_INTEGER, Number

BINDING = {
    "implies": 1,
    "or": 2,
    "xor": 2,
    "and": 3,
    "in": 4,
    "contains": 4,
    **dict.fromkeys(("=", "~", "!=", "!~"), 5),
    **dict.fromkeys((">", "<", ">=", "<="), 6),
    "|": 7,
    "is": 8,
    "as": 8,
    **dict.fromkeys(("+", "-", "&"), 9),
    **dict.fromkeys(("*", "/", "div", "mod"), 10),
}
"""How strongly each binary operator binds; all of them group to the left."""

UNARY_BINDING = 11
_RESERVED = frozenset(("and", "or", "xor", "implies", "div", "mod"))
_DEEPEST = 150
Sign = Literal["-", "+"]
Special = Literal["this", "index", "total"]


def parse(
    expression: str,
    *,
    members_by_number: bool = False,
    functions: Collection[str] | None = None,
) -> ast.Node:
    """The syntax tree of an expression; raises InvalidExpression with the position.

    `functions`, where given, are the names that may be called.
    """
    return _Parser(expression, members_by_number, functions).whole()


class _Parser:
    def __init__(self, text: str, members_by_number: bool, functions: Collection[str] | None) -> None:
        self.text = text
        self.functions = functions
        self.tokens = tokens(text, members_by_number=members_by_number)
        self.place = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    def advance(self) -> Token:
        token = self.tokens[self.place]
        self.place += 1
        return token

    def is_symbol(self, text: str) -> bool:
        return self.token.kind == "symbol" and self.token.text == text

    def expect(self, text: str) -> None:
        if not self.is_symbol(text):
            raise self.unexpected(f"expected `{text}`")
        self.advance()

    def unexpected(self, wanted: str) -> InvalidExpression:
        return InvalidExpression(f"{wanted}, found {self.token.text}", self.text, self.token.at)

    def whole(self) -> ast.Node:
        tree = self.expression(0)
        if self.token.kind != "end":
            raise self.unexpected("expected an operator or the end")
        return tree

    def expression(self, binding: int) -> ast.Node:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise InvalidExpression("nested too deeply", self.text, self.token.at)
        left = self.prefix()
        while (power := self.operator()) > binding:
            left = self.infix(left, self.advance().text, power)
        self.depth -= 1
        return left

    def operator(self) -> int:
        return BINDING.get(self.token.text, 0) if self.token.kind in ("symbol", "name") else 0

    def infix(self, left: ast.Node, operator: str, power: int) -> ast.Node:
        if operator == "is":
            return ast.TypeOperation("is", left, self.type_name())
        if operator == "as":
            return ast.TypeOperation("as", left, self.type_name())
        return ast.Binary(operator, left, self.expression(power))

    def prefix(self) -> ast.Node:
        if self.is_symbol("-") or self.is_symbol("+"):
            sign: Sign = "-" if self.advance().text == "-" else "+"
            return ast.Unary(sign, self.expression(UNARY_BINDING - 1))
        return self.suffixes(self.term())

    def suffixes(self, tree: ast.Node) -> ast.Node:
        while True:
            if self.is_symbol("."):
                self.advance()
                tree = self.invocation(tree)
            elif self.is_symbol("["):
                self.advance()
                tree = ast.Index(tree, self.expression(0))
                self.expect("]")
            else:
                return tree

    def term(self) -> ast.Node:
        token = self.token
        if token.kind == "symbol":
            return self.symbol_term()
        if token.kind in ("number", "string", "moment"):
            self.advance()
            return self.literal(token)
        if token.kind == "name" and token.text in ("true", "false"):
            self.advance()
            return ast.Literal(token.text == "true")
        if token.kind == "name" and token.text in _RESERVED:
            raise self.unexpected("expected a value")
        return self.invocation(None)

    def symbol_term(self) -> ast.Node:
        if self.is_symbol("("):
            self.advance()
            tree = self.expression(0)
            self.expect(")")
            return tree
        if self.is_symbol("{"):
            self.advance()
            self.expect("}")
            return ast.Nothing()
        if self.is_symbol("%"):
            self.advance()
            if self.token.kind not in ("name", "quoted", "string"):
                raise self.unexpected("expected a variable name")
            return ast.Variable(str(self.advance().value))
        raise self.unexpected("expected a value")

    def literal(self, token: Token) -> ast.Node:
        value = token.value
        if token.kind == "string":
            return ast.Literal(str(value))
        if token.kind == "moment":
            return ast.Literal(cast(Temporal, value))
        number = cast(Number, value)
        unit = self.unit()
        if unit is not None:
            return ast.Literal(Quantity(Decimal(number), *unit))
        if isinstance(number, int) and number > MAX_INTEGER + 1:
            number = Decimal(number)
        return ast.Literal(number)

    def unit(self) -> tuple[str, bool] | None:
        if self.token.kind == "string":
            return str(self.advance().value), False
        if self.token.kind == "name" and self.token.text in CALENDAR:
            return self.advance().text, True
        return None

    def invocation(self, target: ast.Node | None) -> ast.Node:
        token = self.token
        if token.kind == "special":
            self.advance()
            if target is not None:
                raise InvalidExpression(f"{token.text} cannot follow a dot", self.text, token.at)
            return ast.This(cast(Special, token.text[1:]))
        if token.kind not in ("name", "quoted"):
            raise self.unexpected("expected a name")
        self.advance()
        if not self.is_symbol("("):
            return ast.Member(target, str(token.value))
        if self.functions is not None and token.value not in self.functions:
            raise InvalidExpression(f"unknown function {token.text}()", self.text, token.at)
        return ast.Call(target, str(token.value), self.arguments())

    def arguments(self) -> tuple[ast.Node, ...]:
        self.expect("(")
        found: list[ast.Node] = []
        if not self.is_symbol(")"):
            found.append(self.expression(0))
            while self.is_symbol(","):
                self.advance()
                found.append(self.expression(0))
        self.expect(")")
        return tuple(found)

    def type_name(self) -> ast.TypeName:
        names = [self.name()]
        while self.is_symbol("."):
            self.advance()
            names.append(self.name())
        return ast.TypeName(names[-1], ".".join(names[:-1]))

    def name(self) -> str:
        if self.token.kind not in ("name", "quoted"):
            raise self.unexpected("expected a type name")
        return str(self.advance().value)
