"""Functions on whole collections (http://hl7.org/fhirpath/N1/#functions)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hub.fhirpath.arithmetic import single
from hub.fhirpath.compare import equal_items
from hub.fhirpath.errors import EvaluationError
from hub.fhirpath.functions.signature import Entry, Environment
from hub.fhirpath.nodes import Element, Items, plain


def _key(item: Any) -> Any:
    """Something hashable that equal items share, or None where only comparing helps."""
    value = plain(item)
    if value.__class__ is str:
        return None if value[10:11] == "T" else value
    if value.__class__ is bool:
        return ("bool", value)
    return value if isinstance(value, int | Decimal) else None


class Seen:
    """A set of items under FHIRPath equality."""

    def __init__(self, items: Items = ()) -> None:
        self.keys: set[Any] = set()
        self.others: list[Any] = []
        for item in items:
            self.add(item)

    def add(self, item: Any) -> bool:
        """Add; False if it was there already."""
        if item in self:
            return False
        key = _key(item)
        if key is None:
            self.others.append(item)
        else:
            self.keys.add(key)
        return True

    def __contains__(self, item: Any) -> bool:
        key = _key(item)
        if key is not None:
            return key in self.keys or (
                not isinstance(key, str) and any(equal_items(item, other) is True for other in self.others)
            )
        return any(item is other or equal_items(item, other) is True for other in self.others)


def distinct(items: Items) -> list[Any]:
    """Each item once, the first of equals kept."""
    seen = Seen()
    return [item for item in items if seen.add(item)]


def union(left: Items, right: Items) -> list[Any]:
    """`left | right`."""
    return distinct([*left, *right])


def contains(items: Items, sought: Items) -> bool | None:
    """`items contains sought`; empty if nothing is sought."""
    if not sought:
        return None
    if len(sought) > 1:
        raise EvaluationError("`in` and `contains` look for one item, there are several")
    return any(equal_items(item, sought[0]) is True for item in items)


def _intersect(items: Items, _: Environment, other: Items) -> Items:
    seen = Seen(other)
    return distinct([item for item in items if item in seen])


def _exclude(items: Items, _: Environment, other: Items) -> Items:
    seen = Seen(other)
    return [item for item in items if item not in seen]


def _is_subset(items: Items, other: Items) -> Items:
    seen = Seen(other)
    return (all(item in seen for item in items),)


def _count_argument(items: Items) -> int:
    count = single(items)
    if count.__class__ is not int:
        raise EvaluationError("an integer is needed here")
    return int(count)


def _skip(items: Items, _: Environment, count: Items) -> Items:
    return items[max(0, _count_argument(count)) :]


def _take(items: Items, _: Environment, count: Items) -> Items:
    return items[: max(0, _count_argument(count))]


def _single(items: Items, _: Environment) -> Items:
    if len(items) > 1:
        raise EvaluationError("single() met several items")
    return items


def index(items: Items, place: Items) -> Items:
    """`items[place]`."""
    number = single(place)
    if number is None:
        return ()
    if number.__class__ is not int:
        raise EvaluationError("an index is an integer")
    return items[number : number + 1] if number >= 0 else ()


def _booleans(items: Items) -> list[bool]:
    values = [plain(item) for item in items]
    if any(value.__class__ is not bool for value in values):
        raise EvaluationError("only booleans are allowed here")
    return values


def every_child(items: Items) -> list[Any]:
    """The children of all items, one level down."""
    found: list[Any] = []
    for item in items:
        if item.__class__ is Element:
            found.extend(item.every_child())
        elif item.__class__ is dict:
            for name, value in item.items():
                if name != "resourceType" and not name.startswith("_"):
                    found.extend(value if value.__class__ is list else (value,))
        elif hasattr(item, "every_child"):
            found.extend(item.every_child())
    return found


def descendants(items: Items) -> list[Any]:
    """All levels below the items, nearest first."""
    found: list[Any] = []
    level = every_child(items)
    while level:
        found.extend(level)
        level = every_child(level)
    return found


def _total(items: Items, _: Environment) -> Items:
    from hub.fhirpath.arithmetic import calculate

    total: Any = items[0] if items else 0
    for item in items[1:]:
        total = calculate("+", (total,), (item,))
    return () if total is None else (total,)


FUNCTIONS: dict[str, Entry] = {
    "allTrue": Entry(lambda items, _: (all(_booleans(items)),), 0, 0),
    "anyTrue": Entry(lambda items, _: (any(_booleans(items)),), 0, 0),
    "allFalse": Entry(lambda items, _: (not any(_booleans(items)),), 0, 0),
    "anyFalse": Entry(lambda items, _: (not all(_booleans(items)),), 0, 0),
    "subsetOf": Entry(lambda items, _, other: _is_subset(items, other), 1, 1),
    "supersetOf": Entry(lambda items, _, other: _is_subset(other, items), 1, 1),
    "distinct": Entry(lambda items, _: distinct(items), 0, 0),
    "isDistinct": Entry(lambda items, _: (len(distinct(items)) == len(items),), 0, 0),
    "single": Entry(_single, 0, 0),
    "last": Entry(lambda items, _: items[-1:], 0, 0),
    "tail": Entry(lambda items, _: items[1:], 0, 0),
    "skip": Entry(_skip, 1, 1),
    "take": Entry(_take, 1, 1),
    "intersect": Entry(_intersect, 1, 1),
    "exclude": Entry(_exclude, 1, 1),
    "union": Entry(lambda items, _, other: union(items, other), 1, 1),
    "combine": Entry(lambda items, _, other: [*items, *other], 1, 1),
    "children": Entry(lambda items, _: every_child(items), 0, 0, typed=True),
    "descendants": Entry(lambda items, _: descendants(items), 0, 0, typed=True),
    "sum": Entry(_total, 0, 0),
}
