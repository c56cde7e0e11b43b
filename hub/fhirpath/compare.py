"""Equality, equivalence and order (http://hl7.org/fhirpath/N1/#equality and #comparison).

Every answer is True, False or None (the empty collection).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from hub.fhirpath import temporal, units
from hub.fhirpath.errors import EvaluationError
from hub.fhirpath.nodes import Element, Items, plain, quantity_of
from hub.fhirpath.quantity import Quantity
from hub.fhirpath.temporal import Temporal, parse_clock, parse_moment
from hub.fhirpath.values import EXACT, digits_after_point, trimmed

Answer = bool | None
_NUMBERS = (int, Decimal)


def equal(left: Items, right: Items) -> Answer:
    """`left = right`: same items in the same order; empty if either side is."""
    if len(left) == 1 and len(right) == 1:
        return equal_items(left[0], right[0])
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    return _all_of(equal_items(mine, theirs) for mine, theirs in zip(left, right, strict=True))


def equal_text(items: Items, text: str) -> Answer:
    """`items = 'text'`, the commonest comparison."""
    if len(items) == 1:
        item = items[0]
        if item.__class__ is str:
            return item == text
        if item.__class__ is not dict and (own := getattr(item, "text", None)) is not None:
            return bool(own == text)
        return equal_items(item, text)
    return False if items else None


def _all_of(answers: Iterable[Answer]) -> Answer:
    unknown = False
    for answer in answers:
        if answer is False:
            return False
        unknown = unknown or answer is None
    return None if unknown else True


def equal_items(left: Any, right: Any) -> Answer:
    """Two single items."""
    left, right = plain(left), plain(right)
    if left.__class__ is str and right.__class__ is str:
        return left == right or _equal_as_moments(left, right)
    if left is None or right is None:
        return None
    if left.__class__ is bool or right.__class__ is bool:
        return left is right
    if isinstance(left, _NUMBERS) and isinstance(right, _NUMBERS):
        return left == right
    if left.__class__ is Temporal or right.__class__ is Temporal:
        return _equal_temporals(left, right)
    if left.__class__ is Quantity or right.__class__ is Quantity:
        return _equal_quantities(quantity_of(left), quantity_of(right))
    if left.__class__ is Element and right.__class__ is Element:
        return bool(left.value == right.value and left.value is not None)
    left = left.value if left.__class__ is Element else left
    right = right.value if right.__class__ is Element else right
    return bool(left == right)


def _equal_as_moments(left: str, right: str) -> Answer:
    """Two unequal strings may be one instant in two zones."""
    if left[10:11] != "T" or right[10:11] != "T":
        return False
    first, second = parse_moment(left), parse_moment(right)
    return False if first is None or second is None else temporal.compare(first, second) == 0


def _equal_temporals(left: Any, right: Any) -> Answer:
    first, second = as_temporal(left, right), as_temporal(right, left)
    if first is None or second is None or not temporal.comparable(first, second):
        return False
    order = temporal.compare(first, second)
    return None if order is None else order == 0


def as_temporal(item: Any, beside: Any) -> Temporal | None:
    """A Temporal, or a string of that shape beside a Temporal (JSON has no dates); else None."""
    if item.__class__ is Temporal:
        return item
    if item.__class__ is not str or beside.__class__ is not Temporal:
        return None
    return parse_clock(item) if beside.kind == "Time" else parse_moment(item)


def _equal_quantities(left: Quantity | None, right: Quantity | None) -> Answer:
    if left is None or right is None:
        return False
    values = units.comparable_values(left, right)
    if values is None:
        return None if units.calendar_clash(left, right) else False
    return values[0] == values[1]


def not_equal(left: Items, right: Items) -> Answer:
    """`left != right`."""
    answer = equal(left, right)
    return None if answer is None else not answer


def equivalent(left: Items, right: Items) -> bool:
    """`left ~ right`: same items in any order, ignoring case, white space and surplus precision."""
    if len(left) != len(right):
        return False
    rest = list(right)
    for item in left:
        for place, other in enumerate(rest):
            if equivalent_items(item, other):
                del rest[place]
                break
        else:
            return False
    return True


def equivalent_items(left: Any, right: Any) -> bool:
    """Two single items."""
    left, right = plain(left), plain(right)
    if left.__class__ is str and right.__class__ is str:
        return _folded(left) == _folded(right)
    if left.__class__ is bool or right.__class__ is bool:
        return left is right
    if isinstance(left, _NUMBERS) and isinstance(right, _NUMBERS):
        return _rounded_equal(Decimal(left), Decimal(right))
    if left.__class__ is Temporal or right.__class__ is Temporal:
        first, second = as_temporal(left, right), as_temporal(right, left)
        if first is None or second is None or not temporal.comparable(first, second):
            return False
        return temporal.compare(first, second) == 0
    if left.__class__ is Quantity or right.__class__ is Quantity:
        return _equivalent_quantities(quantity_of(left), quantity_of(right))
    return _equivalent_json(getattr(left, "value", left), getattr(right, "value", right))


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _rounded_equal(left: Decimal, right: Decimal) -> bool:
    left, right = trimmed(left), trimmed(right)
    grain = Decimal(1).scaleb(-min(digits_after_point(left), digits_after_point(right)))
    return left.quantize(grain, ROUND_HALF_UP, EXACT) == right.quantize(grain, ROUND_HALF_UP, EXACT)


def _equivalent_quantities(left: Quantity | None, right: Quantity | None) -> bool:
    if left is None or right is None:
        return False
    values = units.comparable_values(left, right, definite=False)
    return values is not None and _rounded_equal(*values)


def _equivalent_json(left: Any, right: Any) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        names = (left.keys() | right.keys()) - {"id"}
        return all(
            name in left and name in right and _equivalent_json(left[name], right[name]) for name in names
        )
    if isinstance(left, list) and isinstance(right, list):
        return equivalent(left, right)
    if isinstance(left, dict | list) or isinstance(right, dict | list):
        return False
    return left is right or equivalent_items(left, right)


def order(left: Items, right: Items) -> int | None:
    """-1, 0 or 1 for two single items, None if a side is empty or the precision leaves it open."""
    if not left or not right:
        return None
    if len(left) > 1 or len(right) > 1:
        raise EvaluationError("a comparison needs single items, one side has several")
    return order_items(left[0], right[0])


def order_items(left: Any, right: Any) -> int | None:
    """Two single items; EvaluationError if they are of kinds that do not compare."""
    if left.__class__ is int and right.__class__ is int:
        return int(left > right) - int(left < right)
    left, right = plain(left), plain(right)
    if left.__class__ is str and right.__class__ is str:
        return _order_texts(left, right)
    if left is None or right is None:
        return None
    if _is_number(left) and _is_number(right):
        return int(left > right) - int(left < right)
    if left.__class__ is Temporal or right.__class__ is Temporal:
        first, second = as_temporal(left, right), as_temporal(right, left)
        if first is not None and second is not None and temporal.comparable(first, second):
            return temporal.compare(first, second)
    first_quantity, second_quantity = _quantity_or_number(left), _quantity_or_number(right)
    if first_quantity is not None and second_quantity is not None:
        values = units.comparable_values(first_quantity, second_quantity)
        return None if values is None else (values[0] > values[1]) - (values[0] < values[1])
    raise EvaluationError("a comparison needs two numbers, texts, dates, times or quantities")


def _is_number(item: Any) -> bool:
    return isinstance(item, _NUMBERS) and item.__class__ is not bool


def _quantity_or_number(item: Any) -> Quantity | None:
    return Quantity(Decimal(item)) if _is_number(item) else quantity_of(item)


def _order_texts(left: str, right: str) -> int | None:
    if left[:4].isdigit() and right[:4].isdigit() and _is_moment(left) and _is_moment(right):
        first, second = parse_moment(left), parse_moment(right)
        if first is not None and second is not None:
            return temporal.compare(first, second)
    return (left > right) - (left < right)


def _is_moment(text: str) -> bool:
    return text[4:5] == "-" and len(text) >= 7
