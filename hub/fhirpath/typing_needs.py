"""Which expressions ask for types, and which only seem to."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from hub.fhirpath import ast
from hub.fhirpath.choices import CHOICES
from hub.fhirpath.functions import REGISTRY


def parts(node: ast.Node) -> Iterator[ast.Node]:
    """The node and all below it."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(parts_below(current))


def uses(node: ast.Node, functions: Collection[str]) -> bool:
    """Is one of these functions called anywhere?"""
    return any(isinstance(part, ast.Call) and part.name in functions for part in parts(node))


def uses_special(node: ast.Node, name: str) -> bool:
    """Does `$index` or `$total` occur?"""
    return any(isinstance(part, ast.This) and part.name == name for part in parts(node))


def type_argument(node: ast.Node) -> ast.TypeName | None:
    """The type that an argument such as `Quantity` or `System.String` names."""
    match node:
        case ast.Member(target=None, name=name):
            return ast.TypeName(name)
        case ast.Member(target=ast.Member(target=None, name=namespace), name=name):
            return ast.TypeName(name, namespace)
    return None


class Choice(ast.Member, frozen=True):
    """`value.ofType(Quantity)` as the member `name` = `valueQuantity`, of choice `stem` and type `kind`."""

    stem: str = ""
    kind: str = ""


def choice_key(node: ast.Node) -> Choice | None:
    """`value.ofType(Quantity)` and `(value as Quantity)` as a JSON member, else None."""
    match node:
        case ast.TypeOperation(operator="as", operand=ast.Member() as member, type=wanted):
            pass
        case ast.Call(name="ofType" | "as", target=ast.Member() as member, arguments=(argument,)):
            found = type_argument(argument)
            if found is None:
                return None
            wanted = found
        case _:
            return None
    key = member.name + wanted.name[:1].upper() + wanted.name[1:]
    if wanted.namespace not in ("", "FHIR") or CHOICES.get(member.name, {}).get(key) != wanted.name:
        return None
    return Choice(member.target, key, member.name, wanted.name)


def needs_types(node: ast.Node) -> bool:
    """Must the tree be walked as Elements? Then primitives keep type and extensions, at some cost."""
    stack = [node]
    while stack:
        current = stack.pop()
        if (choice := choice_key(current)) is not None:
            stack.extend((choice.target,) if choice.target is not None else ())
        elif _needs_types_here(current):
            return True
        else:
            stack.extend(parts_below(current))
    return False


def parts_below(node: ast.Node) -> Iterator[ast.Node]:
    """The direct children of a node."""
    match node:
        case ast.Member(target=target) if target is not None:
            yield target
        case ast.Index(target=target, index=index):
            yield from (target, index)
        case ast.Call(target=target, arguments=arguments):
            yield from arguments
            if target is not None:
                yield target
        case ast.TypeOperation(operand=operand) | ast.Unary(operand=operand):
            yield operand
        case ast.Binary(left=left, right=right):
            yield from (left, right)


def _needs_types_here(node: ast.Node) -> bool:
    match node:
        case ast.TypeOperation() | ast.Call(name="is" | "as" | "ofType"):
            return True
        case ast.Call(name="extension", target=target) | ast.Member(name="extension", target=target):
            return not (target is None or _names_a_type(target))
        case ast.Call(name=name):
            return name in REGISTRY and REGISTRY[name].typed
    return False


def _names_a_type(node: ast.Node) -> bool:
    return isinstance(node, ast.Member) and node.target is None and node.name[:1].isupper()
