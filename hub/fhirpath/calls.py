"""Functions that are compiled in place, because their arguments are evaluated per item or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hub.fhirpath import ast
from hub.fhirpath.forms import Body, Result, Scope
from hub.fhirpath.functions import REGISTRY
from hub.fhirpath.runtime import outsider
from hub.fhirpath.types import SYSTEM_TYPES, types
from hub.fhirpath.typing_needs import type_argument, uses_special

if TYPE_CHECKING:
    from hub.fhirpath.compiler import Compiler

_THIS = ast.This("this")


class WrongCall(Exception):
    """A function with the wrong number or kind of arguments."""


def compile_call(compiler: Compiler, node: ast.Call, scope: Scope) -> Result:
    """A function of evaluated arguments: from the registry, or one of the caller's own."""
    custom = compiler.functions.get(node.name)
    arguments = [compiler.items(argument, scope) for argument in node.arguments]
    target = compiler.items(node.target or _THIS, scope)
    entry: Callable[..., Any]
    if custom is not None:
        entry = outsider(custom)
    else:
        known = REGISTRY[node.name]
        check_count(node, known.least, known.most)
        entry = known.call
        if node.name == "resolve" and compiler.typed:
            entry = compiler_resolve()
    code = f"{compiler.out.constant(entry)}({', '.join((target, 'env', *arguments))})"
    found = compiler.out.assign(code)
    if compiler.budget is not None:
        compiler.out.line(f"spend(1 + len({found}))")
    return Result("items", found)


def compiler_resolve() -> Callable[..., Any]:
    """resolve() for typed trees."""
    from hub.fhirpath.functions.fhir import resolve_typed

    return resolve_typed


def check_count(node: ast.Call, least: int, most: int) -> None:
    """Raise WrongCall unless the number of arguments fits."""
    count = len(node.arguments)
    if not least <= count <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise WrongCall(f"{node.name}() takes {wanted} arguments, not {count}")


def stream_call(
    compiler: Compiler, node: ast.Call, scope: Scope, body: Body, leaving: bool, in_loop: bool
) -> None:
    """`where` and `select` as part of a loop over their input."""
    check_count(node, 1, 1)
    argument = node.arguments[0]
    counter = counting(compiler, argument)

    def inner(item: str, inside: bool) -> None:
        count(compiler, counter)
        own = Scope(item, counter=counter, total=scope.total)
        if node.name == "where":
            with compiler.out.block(f"if {compiler.truth(argument, own)}:"):
                body(item, inside)
        else:
            compiler.each(argument, own, body, leaving=leaving, in_loop=inside)

    compiler.each(node.target or _THIS, scope, inner, leaving=leaving, in_loop=in_loop)


def counting(compiler: Compiler, argument: ast.Node) -> str | None:
    """Start a counter if the argument asks for `$index`."""
    if not uses_special(argument, "index"):
        return None
    counter = compiler.out.fresh()
    compiler.out.line(f"{counter} = -1")
    return counter


def count(compiler: Compiler, counter: str | None) -> None:
    """Advance it, once per item."""
    if counter:
        compiler.out.line(f"{counter} += 1")


def _flag(compiler: Compiler, node: ast.Call, scope: Scope, first: bool) -> Result:
    """`exists` and `empty`: look no further than the first item."""
    check_count(node, 0, 1 if node.name == "exists" else 0)
    source = node.target or _THIS
    if node.arguments:
        source = ast.Call(node.target, "where", node.arguments)
    elif isinstance(source, ast.Member) and source.target in (None, _THIS) and not scope.many:
        code = compiler.step(scope.this, source)
        return Result("answer", compiler.out.assign(f"bool({code})" if first else f"not {code}"))
    found = compiler.out.fresh()
    compiler.out.line(f"{found} = {not first}")

    def settle(_: str, in_loop: bool) -> None:
        compiler.out.line(f"{found} = {first}")
        if in_loop:
            compiler.out.line("break")

    compiler.each(source, scope, settle, leaving=True)
    return Result("answer", found)


def _exists(compiler: Compiler, node: ast.Call, scope: Scope) -> Result:
    return _flag(compiler, node, scope, True)


def _empty(compiler: Compiler, node: ast.Call, scope: Scope) -> Result:
    return _flag(compiler, node, scope, False)


def _not(compiler: Compiler, node: ast.Call, scope: Scope) -> Result:
    check_count(node, 0, 0)
    value = compiler.out.assign(compiler.answer(node.target or _THIS, scope))
    return Result("answer", compiler.out.assign(f"None if {value} is None else not {value}"))


def _count(compiler: Compiler, node: ast.Call, scope: Scope) -> Result:
    check_count(node, 0, 0)
    return Result("item", compiler.out.assign(f"len({compiler.items(node.target or _THIS, scope)})"))


def _first(compiler: Compiler, node: ast.Call, scope: Scope) -> Result:
    check_count(node, 0, 0)
    return compiler.first(node.target or _THIS, scope)


def _all(compiler: Compiler, node: ast.Call, scope: Scope) -> Result:
    check_count(node, 1, 1)
    found = compiler.out.fresh()
    compiler.out.line(f"{found} = True")
    counter = counting(compiler, node.arguments[0])

    def settle(item: str, in_loop: bool) -> None:
        count(compiler, counter)
        truth = compiler.truth(node.arguments[0], Scope(item, counter=counter, total=scope.total))
        with compiler.out.block(f"if not {truth}:"):
            compiler.out.line(f"{found} = False")

    compiler.each(node.target or _THIS, scope, settle, leaving=False)
    return Result("answer", found)


def _iif(compiler: Compiler, node: ast.Call, scope: Scope) -> Result:
    check_count(node, 2, 3)
    own = scope
    if node.target is not None:
        target = compiler.out.assign(compiler.items(node.target, scope))
        with compiler.out.block(f"if len({target}) > 1:"):
            compiler.out.line("several('iif')")
        own = Scope(target, many=True, counter=scope.counter, total=scope.total)
    condition, then, *otherwise = node.arguments
    result = compiler.emit(condition, own)
    answer = result.code if result.kind == "answer" else f"criterion({compiler.as_items(result)})"
    found = compiler.out.fresh()
    with compiler.out.block(f"if {answer} is True:"):
        compiler.out.line(f"{found} = {compiler.items(then, own)}")
    with compiler.out.block("else:"):
        compiler.out.line(f"{found} = {compiler.items(otherwise[0], own) if otherwise else '()'}")
    return Result("items", found)


def _repeat(compiler: Compiler, node: ast.Call, scope: Scope) -> Result:
    check_count(node, 1, 1)
    found, level, item = compiler.out.fresh(), compiler.out.fresh(), compiler.out.fresh()
    compiler.out.line(f"{found} = Repeated()")
    compiler.out.line(f"{level} = {compiler.items(node.target or _THIS, scope)}")
    with compiler.out.block(f"while {level}:", loop=True):
        with compiler.out.block(f"for {item} in {level}:", loop=True):
            if compiler.budget is not None:
                compiler.out.line("spend(1)")
            compiler.out.line(
                f"{found}.take({compiler.items(node.arguments[0], Scope(item, total=scope.total))})"
            )
        compiler.out.line(f"{level} = {found}.next_level()")
    return Result("items", f"{found}.items")


def _aggregate(compiler: Compiler, node: ast.Call, scope: Scope) -> Result:
    check_count(node, 1, 2)
    total = compiler.out.fresh()
    begin = compiler.items(node.arguments[1], scope) if len(node.arguments) > 1 else "()"
    compiler.out.line(f"{total} = {begin}")
    counter = counting(compiler, node.arguments[0])

    def settle(item: str, _: bool) -> None:
        count(compiler, counter)
        compiler.out.line(
            f"{total} = {compiler.items(node.arguments[0], Scope(item, counter=counter, total=total))}"
        )

    compiler.each(node.target or _THIS, scope, settle, leaving=False)
    return Result("items", total)


def _trace(compiler: Compiler, node: ast.Call, scope: Scope) -> Result:
    check_count(node, 1, 2)
    target = compiler.out.assign(compiler.items(node.target or _THIS, scope))
    shown = target
    if len(node.arguments) > 1:
        shown = compiler.out.fresh()
        compiler.out.line(f"{shown} = []")
        with compiler.out.block(f"for {shown}_ in {target}:", loop=True):
            compiler.out.line(f"{shown} += {compiler.items(node.arguments[1], Scope(f'{shown}_'))}")
    name = compiler.items(node.arguments[0], scope)
    return Result("items", compiler.out.assign(f"trace({target}, {name}, {shown}, env)"))


def _sort(compiler: Compiler, node: ast.Call, scope: Scope) -> Result:
    keys = node.arguments or (_THIS,)
    plain = [key.operand if isinstance(key, ast.Unary) and key.operator == "-" else key for key in keys]
    descending = tuple(isinstance(key, ast.Unary) and key.operator == "-" for key in keys)
    target = compiler.out.assign(compiler.items(node.target or _THIS, scope))
    rows, item = compiler.out.fresh(), compiler.out.fresh()
    compiler.out.line(f"{rows} = []")
    with compiler.out.block(f"for {item} in {target}:", loop=True):
        columns = [compiler.items(key, Scope(item)) for key in plain]
        compiler.out.line(f"{rows}.append(({', '.join(columns)},))")
    code = f"sorted_items({target}, {rows}, {compiler.out.constant(descending)})"
    return Result("items", compiler.out.assign(code))


def _typed_call(compiler: Compiler, node: ast.Call, scope: Scope) -> Result:
    check_count(node, 1, 1)
    if (choice := compiler.choice(node)) is not None:
        return compiler.gathered(choice, scope)
    wanted = type_argument(node.arguments[0])
    if wanted is None:
        raise WrongCall(f"{node.name}() takes the name of a type")
    check_type(wanted)
    name, items = compiler.out.constant(wanted), compiler.items(node.target or _THIS, scope)
    if node.name == "is":
        return Result("answer", compiler.out.assign(f"is_type({items}, {name})"))
    return Result("items", compiler.out.assign(f"of_type({items}, {name})"))


def check_type(wanted: ast.TypeName) -> None:
    """Raise WrongCall unless there is such a type."""
    system = wanted.namespace in ("", "System") and wanted.name in SYSTEM_TYPES
    if not system and not (wanted.namespace == "System" or types().known(wanted.name)):
        raise WrongCall(f"unknown type {wanted.name}")


COMPILED: Mapping[str, Callable[[Compiler, ast.Call, Scope], Result]] = {
    "exists": _exists,
    "empty": _empty,
    "not": _not,
    "count": _count,
    "first": _first,
    "all": _all,
    "iif": _iif,
    "repeat": _repeat,
    "aggregate": _aggregate,
    "trace": _trace,
    "sort": _sort,
    "is": _typed_call,
    "as": _typed_call,
    "ofType": _typed_call,
}
STREAMED = frozenset(("where", "select"))
NAMES = frozenset((*COMPILED, *STREAMED, *REGISTRY))
"""Every function of the language that is known here."""
