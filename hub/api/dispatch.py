"""Which row of a table of paths a URL belongs to, segment by segment.

Patterns are those of `hub.api.table.PATHS`: literals, `{name}` for any segment, `${name}` for one that begins
with a dollar sign. A literal goes before a dollar sign, and that before any segment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class _Node(Generic[T]):
    """Where a path may go on."""

    def __init__(self) -> None:
        self.literals: dict[str, _Node[T]] = {}
        self.dollar: tuple[str, _Node[T]] | None = None
        self.any: tuple[str, _Node[T]] | None = None
        self.found: T | None = None


class Dispatch(Generic[T]):
    """The table, made ready to be asked."""

    def __init__(self, table: Mapping[str, T]) -> None:
        self._root: _Node[T] = _Node()
        for pattern, found in table.items():
            node = self._root
            for part in pattern.strip("/").split("/"):
                node = _next(node, part)
            node.found = found

    def find(self, segments: list[str]) -> tuple[T, dict[str, str]] | None:
        """What stands at these segments, with what the names in the pattern mean; None for nothing."""
        node, names = self._root, {}
        for segment in segments:
            literal = node.literals.get(segment)
            if literal is not None:
                node = literal
            elif node.dollar is not None and segment.startswith("$"):
                names[node.dollar[0]] = segment[1:]
                node = node.dollar[1]
            elif node.any is not None and segment:
                names[node.any[0]] = segment
                node = node.any[1]
            else:
                return None
        return None if node.found is None else (node.found, names)


def _next(node: _Node[T], part: str) -> _Node[T]:
    if part.startswith("${"):
        node.dollar = node.dollar or (part[2:-1], _Node())
        return _same(node.dollar, part[2:-1])
    if part.startswith("{"):
        node.any = node.any or (part[1:-1], _Node())
        return _same(node.any, part[1:-1])
    return node.literals.setdefault(part, _Node())


def _same(found: tuple[str, _Node[T]], name: str) -> _Node[T]:
    if found[0] != name:
        raise ValueError(f"the same segment is called {found[0]} in one path and {name} in another")
    return found[1]
