"""Python source under construction: lines, fresh names, and constants that never enter the text.

Whatever an expression contains (names, strings, numbers) becomes a constant `k1`, `k2` ... in the namespace
of the generated function, so no text from outside is ever part of the source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import CodeType
from typing import Any, cast

from hub.fhirpath.runtime import NAMESPACE

_DEEPEST = 80


class TooDeep(Exception):
    """Python itself would refuse this nesting."""


class Writer:
    """Collects the body of one function `run(context, env)`."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.level = 1
        self.loops = 0
        self.count = 0
        self.constants: dict[str, Any] = {}
        self._known: dict[tuple[type, Any], str] = {}

    def line(self, text: str) -> None:
        """One statement at the current level."""
        self.lines.append("    " * self.level + text)

    @contextmanager
    def block(self, head: str, *, loop: bool = False) -> Iterator[None]:
        """A compound statement."""
        if self.level >= _DEEPEST:
            raise TooDeep
        self.line(head)
        self.level += 1
        self.loops += loop
        before = len(self.lines)
        yield
        if len(self.lines) == before:
            self.line("pass")
        self.level -= 1
        self.loops -= loop

    def fresh(self) -> str:
        """A new variable name."""
        self.count += 1
        return f"v{self.count}"

    def assign(self, code: str) -> str:
        """Keep a value in a variable, unless it is one already."""
        if code.isidentifier():
            return code
        name = self.fresh()
        self.line(f"{name} = {code}")
        return name

    def constant(self, value: Any) -> str:
        """The name of a constant; equal texts share one."""
        if value.__class__ is not str:
            name = f"k{len(self.constants)}"
            self.constants[name] = value
            return name
        key = (str, value)
        if key not in self._known:
            name = f"k{len(self.constants)}"
            self.constants[name] = value
            self._known[key] = name
        return self._known[key]

    def source(self) -> str:
        """The whole function."""
        return "\n".join(("def run(context, env=NO_ENVIRONMENT):", *self.lines, ""))

    def function(self, no_environment: Any) -> Callable[..., Any]:
        """Compile it. Expressions of the same shape share their code object."""
        namespace = {**NAMESPACE, **self.constants, "NO_ENVIRONMENT": no_environment}
        exec(_code(self.source()), namespace)
        return cast(Callable[..., Any], namespace["run"])


@lru_cache(maxsize=4096)
def _code(source: str) -> CodeType:
    return compile(source, "<fhirpath>", "exec")
