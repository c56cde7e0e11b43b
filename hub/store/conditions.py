"""What a search asks of one resource, decided on its packed index rows.

Every condition can `match` rows; the ones that can also drive a search say so in `hub.store.drivers`.
Prefixes are those of http://hl7.org/fhir/R4/search.html#prefix.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from hub.store.keys import Packed

Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]
TextMode = Literal["starts", "exact", "contains"]


class Span(msgspec.Struct, frozen=True):
    """A value of a search as a range from its first to its last meaning, with its prefix."""

    prefix: Prefix
    low: float
    high: float

    def match(self, low: float, high: float) -> bool:
        """Whether a stored range satisfies it."""
        match self.prefix:
            case "eq":
                return low >= self.low and high <= self.high
            case "ne":
                return not (low >= self.low and high <= self.high)
            case "gt":
                return high > self.high
            case "lt":
                return low < self.low
            case "ge":
                return high > self.high or low >= self.low
            case "le":
                return low < self.low or high <= self.high
            case "sa":
                return low > self.high
            case "eb":
                return high < self.low
            case "ap":
                return low <= self.high and high >= self.low


class Wanted(msgspec.Struct, frozen=True):
    """A text, folded as the index keeps it."""

    mode: TextMode
    folded: str

    def match(self, value: str) -> bool:
        """Whether a stored text satisfies it."""
        if self.mode == "starts":
            return value.startswith(self.folded)
        if self.mode == "exact":
            return value == self.folded
        return self.folded in value


class Equal(msgspec.Struct, frozen=True):
    """One of these keys; `negated`: none of them."""

    param: int
    keys: tuple[int, ...]
    negated: bool = False

    def match(self, rows: Packed, updated: int) -> bool:
        return any((self.param, key) in rows.equal for key in self.keys) is not self.negated


class Text(msgspec.Struct, frozen=True):
    """One of these texts."""

    param: int
    wanted: tuple[Wanted, ...]

    def match(self, rows: Packed, updated: int) -> bool:
        return self.first(rows) is not None

    def first(self, rows: Packed) -> str | None:
        """The first text that matches, in the order of the index."""
        found = [v for p, v in rows.text if p == self.param and any(w.match(v) for w in self.wanted)]
        return min(found, default=None)


class Range(msgspec.Struct, frozen=True):
    """One of these ranges."""

    param: int
    spans: tuple[Span, ...]

    def match(self, rows: Packed, updated: int) -> bool:
        return self.first(rows) is not None

    def first(self, rows: Packed) -> tuple[float, float] | None:
        """The first range that matches, in the order of the index."""
        found = [
            (low, high)
            for p, low, high in rows.ranges
            if p == self.param and any(span.match(low, high) for span in self.spans)
        ]
        return min(found, default=None)


class Keyed(msgspec.Struct, frozen=True):
    """One of these keys with its range: quantities with a unit, composite parameters."""

    param: int
    spans: tuple[tuple[int, Span], ...]

    def match(self, rows: Packed, updated: int) -> bool:
        return self.first(rows) is not None

    def first(self, rows: Packed) -> tuple[int, float, float] | None:
        """The first row that matches, in the order of the index."""
        found = [
            (key, low, high)
            for p, key, low, high in rows.composites
            if p == self.param and any(key == wanted and span.match(low, high) for wanted, span in self.spans)
        ]
        return min(found, default=None)


class Updated(msgspec.Struct, frozen=True):
    """`_lastUpdated`, in microseconds."""

    spans: tuple[Span, ...]

    def match(self, rows: Packed, updated: int) -> bool:
        return any(span.match(updated, updated) for span in self.spans)


class Ids(msgspec.Struct, frozen=True):
    """`_id`: one of these."""

    ids: tuple[str, ...]

    def match(self, rows: Packed, updated: int) -> bool:
        return True


Condition = Equal | Text | Range | Keyed | Updated | Ids

EVERYTHING = Span("eq", float("-inf"), float("inf"))
