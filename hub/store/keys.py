"""The index rows of one resource, packed beside its body: an update touches only those that change."""

from __future__ import annotations

import zlib
from typing import cast

import msgspec

from hub import r4
from hub.store.search.unions import unions

Equal = tuple[int, int]
Text = tuple[int, str]
Range = tuple[int, float, float]
Composite = tuple[int, int, float, float]

PRESENT = 0
"""The hash that stands for "has any value"; it stands beside the body only, not in the tables."""
NO_VALUE = 1
"""The hash that stands for "has a value, but nothing to sort or find it by" (a period without its ends)."""


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """Every index row of a resource without its number. `date` orders the equality rows (seconds UTC)."""

    date: int = 0
    equal: frozenset[Equal] = frozenset()
    text: frozenset[Text] = frozenset()
    ranges: frozenset[Range] = frozenset()
    composites: frozenset[Composite] = frozenset()


NONE = Packed()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Packed).decode


def pack(rows: Packed) -> bytes:
    """Every row as bytes, compressed: the same keys and numbers stand in several rows."""
    return zlib.compress(_encode(rows), 1)


def unpack(raw: bytes) -> Packed:
    """The rows that `pack` made bytes of."""
    return _decode(zlib.decompress(raw))


class Lazy:
    """The same rows, each kind decoded when it is first looked at: most checks look at one."""

    __slots__ = ("_composites", "_equal", "_ranges", "_raw", "_text", "date")

    def __init__(self, raw: bytes) -> None:
        self._raw = _parts(zlib.decompress(raw))
        self.date: int = self._raw[0]
        self._equal: frozenset[Equal] | None = None
        self._text: frozenset[Text] | None = None
        self._ranges: frozenset[Range] | None = None
        self._composites: frozenset[Composite] | None = None

    @property
    def equal(self) -> frozenset[Equal]:
        """As in `Packed`."""
        if self._equal is None:
            self._equal = _equals(self._raw[1])
        return self._equal

    @property
    def text(self) -> frozenset[Text]:
        """As in `Packed`."""
        if self._text is None:
            self._text = _texts(self._raw[2])
        return self._text

    @property
    def ranges(self) -> frozenset[Range]:
        """As in `Packed`."""
        if self._ranges is None:
            self._ranges = _ranges(self._raw[3])
        return self._ranges

    @property
    def composites(self) -> frozenset[Composite]:
        """As in `Packed`."""
        if self._composites is None:
            self._composites = _composites(self._raw[4])
        return self._composites


_Raw = msgspec.Raw
_parts = msgspec.msgpack.Decoder(tuple[int, _Raw, _Raw, _Raw, _Raw]).decode
_equals = msgspec.msgpack.Decoder(frozenset[Equal]).decode
_texts = msgspec.msgpack.Decoder(frozenset[Text]).decode
_ranges = msgspec.msgpack.Decoder(frozenset[Range]).decode
_composites = msgspec.msgpack.Decoder(frozenset[Composite]).decode


def looked_at(raw: bytes) -> Packed:
    """As `unpack`, for who looks at few kinds of rows."""
    return cast(Packed, Lazy(raw))


def packed(keys: r4.Keys) -> Packed:
    """The rows that `hub.r4.keys` calls for."""
    equal = set(keys.equal)
    bare = set(keys.present).difference(
        (row[0] for row in equal),
        (row[0] for row in keys.text),
        (row[0] for row in keys.ranges),
        (row[0] for row in keys.composites),
    )
    equal.update((param, NO_VALUE) for param in bare)
    equal.update((param, PRESENT) for param in keys.present)
    return Packed(
        keys.date,
        frozenset(equal),
        frozenset(keys.text),
        frozenset((param, float(lo), float(hi)) for param, lo, hi in keys.ranges),
        frozenset((param, key, float(lo), float(hi)) for param, key, lo, hi in keys.composites),
    )


def united(one: Packed, other: Packed) -> Packed:
    """The rows of both, with the date of the first."""
    return Packed(
        one.date,
        one.equal | other.equal,
        one.text | other.text,
        one.ranges | other.ranges,
        one.composites | other.composites,
    )


def without(rows: Packed, numbers: frozenset[int]) -> Packed:
    """The rows of all but these parameters."""
    return Packed(
        rows.date,
        frozenset(row for row in rows.equal if row[0] not in numbers),
        frozenset(row for row in rows.text if row[0] not in numbers),
        frozenset(row for row in rows.ranges if row[0] not in numbers),
        frozenset(row for row in rows.composites if row[0] not in numbers),
    )


class Rows(msgspec.Struct):
    """Index rows with their resource's number, in the order of the tables' columns: none for what other rows
    tell as well (`PRESENT`, `hub.store.search.unions`)."""

    equal: list[tuple[int, int, int, int]] = msgspec.field(default_factory=list)
    text: list[tuple[int, str, int]] = msgspec.field(default_factory=list)
    ranges: list[tuple[int, float, float, int]] = msgspec.field(default_factory=list)
    composites: list[tuple[int, int, float, float, int]] = msgspec.field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.equal or self.text or self.ranges or self.composites)

    def add(self, pid: int, rows: Packed, other: Packed) -> None:
        """The rows that one key list has and the other has not."""
        date, parts = rows.date, unions()
        equal = rows.equal if date != other.date else rows.equal - other.equal
        self.equal += [(p, key, date, pid) for p, key in equal if key != PRESENT and p not in parts]
        self.text += [(p, value, pid) for p, value in rows.text - other.text if p not in parts]
        self.ranges += [(p, lo, hi, pid) for p, lo, hi in rows.ranges - other.ranges if p not in parts]
        composites = rows.composites - other.composites
        self.composites += [(p, key, lo, hi, pid) for p, key, lo, hi in composites if p not in parts]
