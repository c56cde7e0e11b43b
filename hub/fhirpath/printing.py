"""Tree to text: the inverse of `parse`, with as few parentheses as the grammar needs."""

from __future__ import annotations

import re
from decimal import Decimal

from hub.fhirpath import ast
from hub.fhirpath.parser import BINDING, UNARY_BINDING
from hub.fhirpath.quantity import CALENDAR, Quantity
from hub.fhirpath.temporal import Temporal
from hub.fhirpath.values import number_text

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = frozenset((*BINDING, *CALENDAR, "true", "false"))
_HIGHEST = UNARY_BINDING + 1


def unparse(node: ast.Node) -> str:
    """The text of an expression; `parse(unparse(tree)) == tree`."""
    match node:
        case ast.Literal(value=value):
            return _literal(value)
        case ast.Nothing():
            return "{}"
        case ast.This(name=name):
            return f"${name}"
        case ast.Variable(name=name):
            return f"%{_name(name)}"
        case ast.Member(target=target, name=name):
            return _after(target) + _name(name)
        case ast.Call(target=target, name=name, arguments=arguments):
            return f"{_after(target)}{_name(name)}({', '.join(map(unparse, arguments))})"
        case ast.Index(target=target, index=index):
            return f"{_within(target, _HIGHEST)}[{unparse(index)}]"
    return _operation(node)


def _operation(node: ast.Node) -> str:
    match node:
        case ast.TypeOperation(operator=operator, operand=operand, type=wanted):
            spaces = [*filter(None, wanted.namespace.split(".")), wanted.name]
            return f"{_within(operand, BINDING[operator])} {operator} {'.'.join(map(_name, spaces))}"
        case ast.Unary(operator=operator, operand=operand):
            return operator + _within(operand, UNARY_BINDING)
        case ast.Binary(operator=operator, left=left, right=right):
            binding = BINDING[operator]
            return f"{_within(left, binding)} {operator} {_within(right, binding + 1)}"
    raise TypeError(type(node).__name__)


def _binding(node: ast.Node) -> int:
    if isinstance(node, ast.Binary | ast.TypeOperation):
        return BINDING[node.operator]
    return UNARY_BINDING if isinstance(node, ast.Unary) else _HIGHEST


def _within(node: ast.Node, binding: int) -> str:
    text = unparse(node)
    return text if _binding(node) >= binding else f"({text})"


def _after(target: ast.Node | None) -> str:
    return "" if target is None else _within(target, _HIGHEST) + "."


def _name(name: str) -> str:
    plain = _PLAIN_NAME.fullmatch(name) and name not in _RESERVED
    return name if plain else f"`{_escaped(name, '`')}`"


def _literal(value: ast.LiteralValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return number_text(value)
    if isinstance(value, Temporal):
        return value.literal
    if isinstance(value, Quantity):
        unit = value.unit if value.calendar else f"'{_escaped(value.unit, chr(39))}'"
        return f"{number_text(value.value)} {unit}"
    return f"'{_escaped(value, chr(39))}'"


def _escaped(text: str, quote: str) -> str:
    text = text.replace("\\", "\\\\").replace(quote, "\\" + quote)
    return text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t").replace("\f", "\\f")
