"""What the parts of the compiler hand each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

Kind = Literal["items", "item", "answer"]

Body = Callable[[str, bool], None]
"""Writes what happens with one item: (its variable, are we inside a loop that may be left?)."""


class Result(NamedTuple):
    """Python code for a value: a collection, a single item or None, or True/False/None.

    `literal` is set for constants.
    """

    kind: Kind
    code: str
    literal: Any = None


class Scope(NamedTuple):
    """What `$this`, `$index` (`counter`) and `$total` are; `many` if `$this` is a collection."""

    this: str
    many: bool = False
    counter: str | None = None
    total: str | None = None
