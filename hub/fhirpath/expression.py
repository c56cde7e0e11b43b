"""`compile` and `Expression`: text in, callable out, cached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal

from hub.fhirpath import ast
from hub.fhirpath.calls import NAMES, WrongCall
from hub.fhirpath.compiler import Compiler
from hub.fhirpath.errors import InvalidExpression
from hub.fhirpath.functions.signature import Function
from hub.fhirpath.parser import parse
from hub.fhirpath.typing_needs import needs_types
from hub.fhirpath.writer import TooDeep

Environment = Mapping[str, Any]
NO_ENVIRONMENT: Environment = MappingProxyType({})
NO_FUNCTIONS: Mapping[str, Function] = MappingProxyType({})

Mode = Literal["all", "first", "truth", "items"]


class Expression:
    """A compiled expression. Call it for all results, or ask for the first or for its truth.

    `context` is a node or a list of nodes; `env` holds the %variables without `%`, and what resource-bound
    functions use: `resource`, `resolve` (str → node or None), `zone` (tzinfo), `now` (microseconds).
    Results are plain JSON: dates as text, quantities as FHIR Quantity, nodes of other formats as they are.
    Each way of asking is compiled when it is first used. Raises EvaluationError.
    """

    __slots__ = ("_all", "_budget", "_functions", "_items", "first", "text", "tree", "truth", "typed")

    first: Callable[..., Any]
    """`first(context, env={})`: the first result or None."""
    truth: Callable[..., bool]
    """`truth(context, env={})`: the one boolean result; empty counts as false."""

    def __init__(
        self, text: str, tree: ast.Node, functions: Mapping[str, Function], budget: int | None
    ) -> None:
        self.text = text
        self.tree = tree
        self.typed = needs_types(tree)
        self._functions = functions
        self._budget = budget
        self._all = self._later("all", "_all")
        self._items = self._later("items", "_items")
        self.first = self._later("first", "first")
        self.truth = self._later("truth", "truth")

    def __call__(self, context: Any, env: Environment = NO_ENVIRONMENT) -> list[Any]:
        """All results, in order, in a list of the caller's own."""
        return self._all(context, env)  # type: ignore[no-any-return]

    def items(self, context: Any, env: Environment = NO_ENVIRONMENT) -> list[Any]:
        """All results with their types: Element, Temporal, Quantity and scalars, for tools that show them."""
        return self._items(context, env)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def _later(self, mode: Mode, slot: str) -> Callable[..., Any]:
        def ask(context: Any, env: Environment = NO_ENVIRONMENT) -> Any:
            setattr(self, slot, self._compiled(mode))
            return getattr(self, slot)(context, env)

        return ask

    def _compiled(self, mode: Mode) -> Callable[..., Any]:
        compiler = Compiler(self._functions, self._budget, self.typed or mode == "items")
        try:
            return compiler.whole(self.tree, mode).function(NO_ENVIRONMENT)
        except WrongCall as error:
            raise InvalidExpression(str(error), self.text, 0) from None
        except (TooDeep, RecursionError, SyntaxError, MemoryError):
            raise InvalidExpression("nested too deeply", self.text, 0) from None

    def check(self) -> None:
        """Compile now instead of at first use; raises InvalidExpression."""
        self._all = self._compiled("all")

    def source(self, mode: Mode = "all") -> str:
        """The generated Python, for the curious."""
        return Compiler(self._functions, self._budget, self.typed).whole(self.tree, mode).source()


def compile(
    expression: str,
    *,
    functions: Mapping[str, Function] = NO_FUNCTIONS,
    members_by_number: bool = False,
    budget: int | None = None,
) -> Expression:
    """A callable Expression (http://hl7.org/fhirpath/N1/), cached by its text.

    functions          added functions: (input, env, *arguments) → list, each given plain JSON lists
    members_by_number  digits after a dot are a member name: `PID.3.where($this.5='PI').1`
    budget             for expressions from outside: the steps it may take before TooCostly is raised

    Raises InvalidExpression, with the position, for text that is not FHIRPath.
    """
    return _cached(expression, tuple(functions.items()), members_by_number, budget)


@lru_cache(maxsize=8192)
def _cached(
    expression: str,
    functions: tuple[tuple[str, Function], ...],
    members_by_number: bool,
    budget: int | None,
) -> Expression:
    own = dict(functions)
    names = NAMES | own.keys()
    try:
        tree = parse(expression, members_by_number=members_by_number, functions=names)
    except RecursionError:
        raise InvalidExpression("nested too deeply", expression, 0) from None
    compiled = Expression(expression, tree, own, budget)
    compiled.check()
    return compiled
