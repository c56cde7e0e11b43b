"""The lines of a generated function: names, constants, loops and conditions."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from hub.mapping.document import Document, Fields, Scalar, describe, nearest
from hub.mapping.expressions import Expressions
from hub.mapping.scope import Local, Scope

_WARNS = re.compile(r"\b(dateTime|date|chinaDateTime|number|local|refuse|warn)\(")


class Made(NamedTuple):
    """Python text for a value: `may_lack` if it can be None, `data` if it comes from an expression."""

    code: str
    may_lack: bool = False
    data: bool = False


class Writer:
    """Collects lines; `expressions` collects the constants they use."""

    def __init__(self, document: Document, base: str, fast: bool) -> None:
        self.document = document
        self.expressions = Expressions(hl7v2=document.format == "hl7v2", base=base, fast=fast)
        self.lines: list[str] = []
        self.depth = 0
        self.counter = 0
        self.ids: dict[str, tuple[str, str]] = {}
        self.looped: set[str] = set()
        self.outer: list[tuple[str, int]] = []

    def emit(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def name(self, prefix: str = "v") -> str:
        self.counter += 1
        return f"{prefix}_{self.counter}"

    def constant(self, value: Any) -> str:
        return self.expressions.constant(value)

    def where(self, node: Scalar, scope: Scope) -> None:
        """Say where we are, before something that may warn."""
        text = node.expression or ""
        if _WARNS.search(text):
            self.emit(f"R.where = {self.constant(scope.position(text))}")

    def open_group(self, source: str, kind: str) -> int:
        """Leave a line free where the segments of a message or group are fetched once."""
        if kind in ("message", "group"):
            self.expressions.open_group(source)
        self.emit("")
        return len(self.lines) - 1

    def close_group(self, source: str, place: int) -> None:
        if source in self.expressions.handles:
            indent = self.lines[place]
            self.lines[place] = "\n".join(self.expressions.segments_of(source, indent))

    def open_loop(self, node: Fields, scope: Scope) -> Scope:
        source = node.entries["$for"]
        if not isinstance(source, Scalar) or source.expression is None:
            source.fail("an expression", describe(source))
        items, kind = self.expressions.items(source, scope)
        index, item = self.name("n"), self.name("i")
        self.emit(f"outer_{item} = E.get('index')")
        self.emit(f"for {index}, {item} in enumerate({items}):")
        self.depth += 1
        self.emit(f"E['index'] = {index}")
        inner = scope.inside(item, kind)
        inner.texts["$this"] = scope.whole(source.expression)
        inner.locals["index"] = Local(index, "int")
        name = node.text("$as") if "resourceType" not in node.entries else ""
        if name:
            self.emit(f"E[{name!r}] = [{item}]")
            inner.locals[name] = Local(f"text_of({item})", kind, item)
        self.outer.append((item, self.open_group(item, kind)))
        return inner

    def close_loop(self, node: Fields) -> None:
        self.depth -= 1
        item, place = self.outer.pop()
        self.close_group(item, place)
        self.emit(f"E['index'] = outer_{item}")

    def open_when(self, node: Fields, scope: Scope) -> int:
        condition = node.entries.get("$when")
        if condition is None:
            return 0
        if not isinstance(condition, Scalar) or condition.expression is None:
            condition.fail("an expression", describe(condition))
        self.emit(f"if {self.expressions.truth(condition, scope)}:")
        self.depth += 1
        self.emit("pass")
        return 1

    def allowed(self, node: Fields, keys: frozenset[str], what: str) -> None:
        for key, value in node.entries.items():
            if key not in keys:
                value.fail(f"{what}{nearest(key, keys)}", f"{key!r}")
