"""Tree to Python source.

Paths become nested loops without lists in between; a condition becomes an `if`; `first()` and `exists()`
leave the loops early. A sub-expression's code is one of three kinds (`Result`): a collection, a single item
that may be None, or an answer (True, False, None).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from hub.fhirpath import ast
from hub.fhirpath.calls import COMPILED, STREAMED, check_type, compile_call, stream_call
from hub.fhirpath.forms import Body, Result, Scope
from hub.fhirpath.typing_needs import Choice, choice_key, uses
from hub.fhirpath.writer import Writer

_MOST_LOOPS = 9
"""Python allows twenty loops within each other; beyond this many a nested function starts anew."""

_LONGEST_PATH = 8
"""Steps of a path that become loops within each other; a longer path gathers a list in between."""


class Compiler:
    """Compiles one tree in one mode."""

    def __init__(self, functions: Mapping[str, Any], budget: int | None, typed: bool) -> None:
        self.out = Writer()
        self.functions = functions
        self.budget = budget
        self.typed = typed

    # ---- whole functions -------------------------------------------------------------------------

    def prologue(self, tree: ast.Node) -> Scope:
        """The start of every function: the context as a collection, clock and root where needed."""
        line = self.out.line
        line("ctx = context if context.__class__ is list else (context,)")
        if self.budget is not None:
            line(f"spend = meter({self.budget})")
        if uses(tree, ("now", "today", "timeOfDay")):
            line("env = timed(env)")
        if uses(tree, ("resolve",)):
            line("env = rooted(env, ctx)")
        if self.typed:
            line("ctx = wrapped(ctx)")
        return Scope("ctx", many=True)

    def whole(self, tree: ast.Node, mode: Literal["all", "first", "truth", "items"]) -> Writer:
        """The function for one way of asking."""
        scope = self.prologue(tree)
        if mode == "truth":
            self.out.line(f"return {self.truth(tree, scope)}")
        elif mode == "first":
            self.each(tree, scope, lambda item, _: self.out.line(f"return outside({item})"), leaving=False)
            self.out.line("return None")
        else:
            items = self.items(tree, scope)
            self.out.line(f"return {'results' if mode == 'all' else 'list'}({items})")
        return self.out

    # ---- forms of a value -------------------------------------------------------------------------

    def items(self, node: ast.Node, scope: Scope) -> str:
        """Code of the collection."""
        return self.as_items(self.emit(node, scope))

    def as_items(self, result: Result) -> str:
        if result.kind == "items":
            return result.code
        if result.literal is not None:
            return self.out.constant((result.literal,))
        return f"items_or_none({result.code})"

    def answer(self, node: ast.Node, scope: Scope) -> str:
        """Code of True, False or None."""
        result = self.emit(node, scope)
        return result.code if result.kind == "answer" else f"boolean({self.as_items(result)})"

    def truth(self, node: ast.Node, scope: Scope) -> str:
        """Code of a plain bool where empty counts as false."""
        if isinstance(node, ast.Binary) and node.operator in ("and", "or"):
            return self._short_truth(node, scope)
        result = self.emit(node, scope)
        if result.kind == "answer":
            return f"({result.code} is True)"
        return f"(boolean({self.as_items(result)}) is True)"

    def _short_truth(self, node: ast.Binary, scope: Scope) -> str:
        left = self.truth(node.left, scope)
        name = self.out.fresh()
        self.out.line(f"{name} = {left}")
        with self.out.block(f"if {name}:" if node.operator == "and" else f"if not {name}:"):
            self.out.line(f"{name} = {self.truth(node.right, scope)}")
        return name

    # ---- expressions -------------------------------------------------------------------------------

    def emit(self, node: ast.Node, scope: Scope) -> Result:
        """Write what is needed and say what the value is."""
        if self.out.loops >= _MOST_LOOPS:
            return self._apart(node, scope)
        return _EMITTERS[type(node)](self, node, scope)

    def _apart(self, node: ast.Node, scope: Scope) -> Result:
        name = self.out.fresh()
        loops, self.out.loops = self.out.loops, 0
        with self.out.block(f"def {name}():"):
            self.out.line(f"return {self.items(node, scope)}")
        self.out.loops = loops
        return Result("items", self.out.assign(f"{name}()"))

    def literal(self, node: ast.Node, _: Scope) -> Result:
        assert isinstance(node, ast.Literal)
        return Result("item", self.out.constant(node.value), node.value)

    def nothing(self, _: ast.Node, __: Scope) -> Result:
        return Result("items", "()")

    def special(self, node: ast.Node, scope: Scope) -> Result:
        assert isinstance(node, ast.This)
        if node.name == "this":
            return Result("items" if scope.many else "item", scope.this)
        if node.name == "index":
            return Result("item", scope.counter) if scope.counter else Result("items", "()")
        return Result("items", scope.total or "()")

    def variable(self, node: ast.Node, _: Scope) -> Result:
        assert isinstance(node, ast.Variable)
        function = "typed_variable" if self.typed else "variable"
        return Result("items", self.out.assign(f"{function}(env, {self.out.constant(node.name)}, ctx)"))

    def member(self, node: ast.Node, scope: Scope) -> Result:
        assert isinstance(node, ast.Member)
        if node.target in (None, ast.This("this")) and not scope.many:
            return Result("items", self.step(scope.this, node))
        found = self.out.fresh()
        self.out.line(f"{found} = []")

        def gather(item: str, _: bool) -> None:
            self.out.line(f"{found} += {self.step(item, node)}")

        self.each(node.target or ast.This("this"), scope, gather, leaving=False)
        return Result("items", found)

    def step(self, item: str, node: ast.Member) -> str:
        """Code of one item's children."""
        if isinstance(node, Choice):
            names = (self.out.constant(text) for text in (node.name, node.stem, node.kind))
            return f"choice_kids({item}, {', '.join(names)})"
        begins = node.target is None and node.name[:1].isupper()
        return f"{'start' if begins else 'kids'}({item}, {self.out.constant(node.name)})"

    def index(self, node: ast.Node, scope: Scope) -> Result:
        assert isinstance(node, ast.Index)
        if node.index == ast.Literal(0):
            return self.first(node.target, scope)
        items = self.out.assign(self.items(node.target, scope))
        return Result("items", f"index({items}, {self.items(node.index, scope)})")

    def first(self, node: ast.Node, scope: Scope) -> Result:
        """The first item or None."""
        found = self.out.fresh()
        self.out.line(f"{found} = None")

        def keep(item: str, in_loop: bool) -> None:
            self.out.line(f"{found} = {item}")
            if in_loop:
                self.out.line("break")

        self.each(node, scope, keep, leaving=True)
        return Result("item", found)

    def call(self, node: ast.Node, scope: Scope) -> Result:
        assert isinstance(node, ast.Call)
        if node.name in COMPILED:
            return COMPILED[node.name](self, node, scope)
        if streams(self, node):
            return self.gathered(node, scope)
        return compile_call(self, node, scope)

    def gathered(self, node: ast.Node, scope: Scope) -> Result:
        """A streaming expression as a list."""
        found = self.out.fresh()
        self.out.line(f"{found} = []")
        self.each(node, scope, lambda item, _: self.out.line(f"{found}.append({item})"), leaving=False)
        return Result("items", found)

    def type_operation(self, node: ast.Node, scope: Scope) -> Result:
        assert isinstance(node, ast.TypeOperation)
        if streams(self, node):
            return self.gathered(node, scope)
        check_type(node.type)
        wanted = self.out.constant(node.type)
        items = self.items(node.operand, scope)
        if node.operator == "is":
            return Result("answer", self.out.assign(f"is_type({items}, {wanted})"))
        return Result("items", self.out.assign(f"of_type({items}, {wanted})"))

    def unary(self, node: ast.Node, scope: Scope) -> Result:
        assert isinstance(node, ast.Unary)
        function = "negated" if node.operator == "-" else "positive"
        return Result("item", self.out.assign(f"{function}({self.items(node.operand, scope)})"))

    def binary(self, node: ast.Node, scope: Scope) -> Result:
        assert isinstance(node, ast.Binary)
        return _BINARY[node.operator](self, node, scope)

    # ---- loops ---------------------------------------------------------------------------------------

    def each(self, node: ast.Node, scope: Scope, body: Body, *, leaving: bool, in_loop: bool = False) -> None:
        """Write loops over the items of `node` around `body`.

        `leaving`: the body ends with `break`, and all loops written here are to be left then.
        """
        if self.out.loops >= _MOST_LOOPS:
            self.loop(self.out.assign(self._apart(node, scope).code), body, leaving, in_loop)
        elif isinstance(node, ast.Member) and node.target is not None and path_length(node) > _LONGEST_PATH:
            steps = self.out.assign(self.items(node.target, scope))
            self.loop(
                steps,
                lambda item, inside: self.loop(self.step(item, node), body, leaving, inside),
                leaving,
                in_loop,
            )
        elif isinstance(node, ast.Member):

            def inner(item: str, inside: bool) -> None:
                self.loop(self.step(item, node), body, leaving, inside)

            self.each(node.target or ast.This("this"), scope, inner, leaving=leaving, in_loop=in_loop)
        elif node == ast.This("this") and not scope.many:
            body(scope.this, in_loop)
        elif (choice := self.choice(node)) is not None:
            self.each(choice, scope, body, leaving=leaving, in_loop=in_loop)
        elif isinstance(node, ast.Call) and streams(self, node):
            stream_call(self, node, scope, body, leaving, in_loop)
        else:
            self.each_of(self.emit(node, scope), body, leaving, in_loop)

    def each_of(self, result: Result, body: Body, leaving: bool, in_loop: bool) -> None:
        """A loop over a value that is there already."""
        if result.kind == "items":
            self.loop(result.code, body, leaving, in_loop)
        elif result.literal is not None:
            self.loop(self.out.constant((result.literal,)), body, leaving, in_loop)
        else:
            value = self.out.assign(result.code)
            with self.out.block(f"if {value} is not None:"):
                body(value, in_loop)

    def loop(self, iterable: str, body: Body, leaving: bool, in_loop: bool) -> None:
        """One `for`; left together with the loop around it."""
        item = self.out.fresh()
        with self.out.block(f"for {item} in {iterable}:", loop=True):
            if self.budget is not None:
                self.out.line("spend(1)")
            body(item, True)
        if leaving and in_loop:
            self.out.line("else: continue")
            self.out.line("break")

    def choice(self, node: ast.Node) -> ast.Member | None:
        """`value.ofType(Quantity)` over plain JSON is simply the member `valueQuantity`."""
        return None if self.typed else choice_key(node)


def path_length(node: ast.Node | None) -> int:
    """How many loops within each other a path would become."""
    length = 0
    while isinstance(node, ast.Member) or (isinstance(node, ast.Call) and node.name in STREAMED):
        node = node.target
        length += 1
    return length


def streams(compiler: Compiler, node: ast.Node) -> bool:
    """Is this a path whose items can be looped over without a list in between?"""
    if isinstance(node, ast.Member):
        return True
    if compiler.choice(node) is not None:
        return True
    return isinstance(node, ast.Call) and node.name in STREAMED


def _equality(compiler: Compiler, node: ast.Binary, scope: Scope) -> Result:
    left, right = compiler.emit(node.left, scope), compiler.emit(node.right, scope)
    if right.literal.__class__ is not str and left.literal.__class__ is str:
        left, right = right, left
    if right.literal.__class__ is str:
        code = compiler.out.assign(f"equal_text({compiler.as_items(left)}, {right.code})")
        negated = f"None if {code} is None else not {code}"
        return Result("answer", code if node.operator == "=" else compiler.out.assign(negated))
    function = "equal" if node.operator == "=" else "not_equal"
    code = f"{function}({compiler.as_items(left)}, {compiler.as_items(right)})"
    return Result("answer", compiler.out.assign(code))


def _equivalence(compiler: Compiler, node: ast.Binary, scope: Scope) -> Result:
    code = f"equivalent({compiler.items(node.left, scope)}, {compiler.items(node.right, scope)})"
    return Result("answer", compiler.out.assign(code if node.operator == "~" else f"not {code}"))


def _order(compiler: Compiler, node: ast.Binary, scope: Scope) -> Result:
    code = f"order({compiler.items(node.left, scope)}, {compiler.items(node.right, scope)})"
    found = compiler.out.assign(code)
    return Result("answer", compiler.out.assign(f"None if {found} is None else {found} {node.operator} 0"))


def _logic(compiler: Compiler, node: ast.Binary, scope: Scope) -> Result:
    left = compiler.out.assign(compiler.answer(node.left, scope))
    found = compiler.out.fresh()
    settled, skip, rest = _LOGIC[node.operator]
    compiler.out.line(f"{found} = {settled}")
    with compiler.out.block(f"if {left} is not {skip}:"):
        right = compiler.out.assign(compiler.answer(node.right, scope))
        compiler.out.line(f"{found} = {rest.format(left=left, right=right)}")
    return Result("answer", found)


_LOGIC = {
    "and": ("False", "False", "False if {right} is False else True if {left} and {right} else None"),
    "or": ("True", "True", "True if {right} else None if {left} is None or {right} is None else False"),
    "implies": ("True", "False", "True if {right} else None if {left} is None or {right} is None else False"),
    "xor": ("None", "None", "None if {right} is None else {left} is not {right}"),
}


def _arithmetic(compiler: Compiler, node: ast.Binary, scope: Scope) -> Result:
    left, right = compiler.items(node.left, scope), compiler.items(node.right, scope)
    operator = compiler.out.constant(node.operator)
    return Result("item", compiler.out.assign(f"calculate({operator}, {left}, {right})"))


def _union(compiler: Compiler, node: ast.Binary, scope: Scope) -> Result:
    parts = [compiler.out.assign(compiler.items(part, scope)) for part in operands(node)]
    return Result("items", compiler.out.assign(f"distinct([{', '.join('*' + part for part in parts)}])"))


def operands(node: ast.Node) -> list[ast.Node]:
    """The parts of a union, from left to right."""
    parts: list[ast.Node] = []
    while isinstance(node, ast.Binary) and node.operator == "|":
        parts.append(node.right)
        node = node.left
    return [node, *reversed(parts)]


def _membership(compiler: Compiler, node: ast.Binary, scope: Scope) -> Result:
    item, items = (node.left, node.right) if node.operator == "in" else (node.right, node.left)
    parts = operands(items)
    texts = [part.value for part in parts if isinstance(part, ast.Literal) and part.value.__class__ is str]
    if len(texts) == len(parts):
        known = compiler.out.constant(frozenset(texts))
        return Result("answer", compiler.out.assign(f"within({compiler.items(item, scope)}, {known})"))
    sought, found = compiler.items(item, scope), compiler.items(items, scope)
    return Result("answer", compiler.out.assign(f"contains({found}, {sought})"))


_BINARY: dict[str, Callable[[Compiler, ast.Binary, Scope], Result]] = {
    **dict.fromkeys(("=", "!="), _equality),
    **dict.fromkeys(("~", "!~"), _equivalence),
    **dict.fromkeys(("<", ">", "<=", ">="), _order),
    **dict.fromkeys(("and", "or", "xor", "implies"), _logic),
    **dict.fromkeys(("+", "-", "*", "/", "div", "mod", "&"), _arithmetic),
    **dict.fromkeys(("in", "contains"), _membership),
    "|": _union,
}

_EMITTERS: dict[type, Callable[[Compiler, ast.Node, Scope], Result]] = {
    ast.Literal: Compiler.literal,
    ast.Nothing: Compiler.nothing,
    ast.This: Compiler.special,
    ast.Variable: Compiler.variable,
    ast.Member: Compiler.member,
    ast.Index: Compiler.index,
    ast.Call: Compiler.call,
    ast.TypeOperation: Compiler.type_operation,
    ast.Unary: Compiler.unary,
    ast.Binary: Compiler.binary,
}
