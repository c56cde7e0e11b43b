"""What an export was asked for and how far it has come, as its row keeps them."""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

Level = Literal["system", "Patient", "Group"]
Kind = Literal["output", "deleted"]
Criteria = list[tuple[str, str]]
"""The parameters of one search."""


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One kick-off request, checked.

    group     the id of the Group whose members are exported
    types     in the order of the files
    since     microseconds; 0: from the beginning
    filters   by type: searches, any of which selects a resource
    elements  names of root elements, perhaps after their type; empty: everything
    patients  ids; empty: every patient of the level
    """

    level: Level = "system"
    group: str = ""
    types: tuple[str, ...] = ()
    since: int = 0
    filters: dict[str, list[Criteria]] = {}
    elements: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()


class File(msgspec.Struct, omit_defaults=True):
    """One file: `count` lines in its first `size` bytes. `fence` is the claim that writes it."""

    kind: Kind
    type: str
    name: str
    fence: int
    count: int = 0
    size: int = 0


class Progress(msgspec.Struct):
    """Everything up to the id `after` of the type at `place` among those asked for is in the files."""

    place: int = 0
    after: str = ""
    files: list[File] = []

    @property
    def resources(self) -> int:
        """How many were written."""
        return sum(one.count for one in self.files)


_encode = msgspec.json.Encoder().encode
T = TypeVar("T", Asked, Progress)


def encoded(value: Asked | Progress) -> bytes:
    """As bytes for the row."""
    return _encode(value)


def decoded(raw: bytes, kind: type[T]) -> T:
    """What `encoded` made bytes of; the defaults for none."""
    return msgspec.json.decode(raw, type=kind) if raw else kind()
