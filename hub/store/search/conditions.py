"""What a search asks of one resource, decided on its packed index rows.

Every condition can `match` rows; the ones that can also drive a search say so in `search.drivers`. Some
need more than rows: `holds` looks at the resource itself, `Batched` at others in the store.
Prefixes are those of http://hl7.org/fhir/R4/search.html#prefix.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from math import asin, cos, radians, sin, sqrt
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from hub.store.keys import PRESENT, Packed

if TYPE_CHECKING:
    from hub.store.backend import Reader

Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]
TextMode = Literal["starts", "exact", "contains"]


class Candidate(Protocol):
    """A resource that may match; `keys` are its packed rows."""

    @property
    def id(self) -> str: ...
    @property
    def keys(self) -> bytes: ...
    @property
    def updated(self) -> int: ...
    @property
    def body(self) -> bytes: ...


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
                return high >= self.low
            case "le":
                return low <= self.high
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


class Present(msgspec.Struct, frozen=True):
    """Any value (`:missing=false`); `negated`: none."""

    param: int
    negated: bool = False

    def match(self, rows: Packed, updated: int) -> bool:
        return ((self.param, PRESENT) in rows.equal) is not self.negated


class Among(msgspec.Struct, frozen=True):
    """The same with more keys than a statement takes; it cannot drive."""

    param: int
    keys: frozenset[int]
    negated: bool = False

    def match(self, rows: Packed, updated: int) -> bool:
        return any(p == self.param and key in self.keys for p, key in rows.equal) is not self.negated


class Either(msgspec.Struct, frozen=True):
    """One of these keys, each of a parameter of its own (a compartment)."""

    pairs: tuple[tuple[int, int], ...]

    def match(self, rows: Packed, updated: int) -> bool:
        return any(pair in rows.equal for pair in self.pairs)


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


class Limits(msgspec.Struct, frozen=True):
    """One of these keys with where something starts and where it ends: composites of three parts."""

    param: int
    spans: tuple[tuple[int, Span, Span], ...]

    def match(self, rows: Packed, updated: int) -> bool:
        return any(
            p == self.param and key == wanted and start.match(low, low) and end.match(high, high)
            for p, key, low, high in rows.composites
            for wanted, start, end in self.spans
        )


class Near(msgspec.Struct, frozen=True):
    """Not farther than `km` from one of these places (latitude, longitude, km), along a great circle."""

    param: int
    places: tuple[tuple[float, float, float], ...]

    def match(self, rows: Packed, updated: int) -> bool:
        return any(
            p == self.param and distance(low, high, latitude, longitude) <= km
            for p, low, high in rows.ranges
            for latitude, longitude, km in self.places
        )


def distance(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Kilometres between two places in degrees, on a sphere of the mean radius of the earth.

    >>> round(distance(30.25, 120.17, 31.23, 121.47))  # Hangzhou to Shanghai
    165
    """
    one, two = radians(latitude), radians(other_latitude)
    half = sin((two - one) / 2) ** 2
    half += cos(one) * cos(two) * sin(radians(other_longitude - longitude) / 2) ** 2
    return 2 * 6371.0088 * asin(sqrt(min(half, 1.0)))


class OneOf(msgspec.Struct, frozen=True):
    """One of several conditions on rows; it cannot drive."""

    parts: tuple[Equal | Text | Range | Keyed, ...]

    def match(self, rows: Packed, updated: int) -> bool:
        return any(one.match(rows, updated) for one in self.parts)


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

    def holds(self, candidate: Candidate, rows: Packed) -> bool:
        """Whether it is one of them, where something else drives."""
        return candidate.id in self.ids


class Checked(msgspec.Struct, frozen=True, eq=False):
    """Decided on the resource itself: its id, its body."""

    test: Callable[[Candidate, Packed], bool]

    def match(self, rows: Packed, updated: int) -> bool:
        return True

    def holds(self, candidate: Candidate, rows: Packed) -> bool:
        """Whether the resource passes."""
        return self.test(candidate, rows)


class Batched(msgspec.Struct, frozen=True, eq=False):
    """Decided on other resources, for many candidates at once: chains in both directions."""

    test: Callable[[Reader, Sequence[Candidate]], Awaitable[list[bool]]]

    def match(self, rows: Packed, updated: int) -> bool:
        return True


Condition = (
    Equal
    | Present
    | Among
    | Either
    | Text
    | Range
    | Keyed
    | Limits
    | Near
    | OneOf
    | Updated
    | Ids
    | Checked
    | Batched
)

EVERYTHING = Span("eq", float("-inf"), float("inf"))
