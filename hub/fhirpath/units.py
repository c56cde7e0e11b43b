"""Comparing quantities: equal units, metric prefixes and the definite durations.

A small part of UCUM (https://ucum.org/ucum): base and derived metric units with prefixes, times, `/` and
exponents. Special units (degree Celsius, pH) and arbitrary units compare only with themselves.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from hub.fhirpath.quantity import CALENDAR, Quantity, ucum_code
from hub.fhirpath.values import EXACT

Dimensions = tuple[tuple[str, int], ...]

_PREFIXES = {
    "Y": 24,
    "Z": 21,
    "E": 18,
    "P": 15,
    "T": 12,
    "G": 9,
    "M": 6,
    "k": 3,
    "h": 2,
    "da": 1,
    "d": -1,
    "c": -2,
    "m": -3,
    "u": -6,
    "n": -9,
    "p": -12,
    "f": -15,
    "a": -18,
    "z": -21,
    "y": -24,
}
_METRIC = {
    "m": (Decimal(1), {"m": 1}),
    "g": (Decimal(1), {"g": 1}),
    "s": (Decimal(1), {"s": 1}),
    "L": (Decimal("0.001"), {"m": 3}),
    "l": (Decimal("0.001"), {"m": 3}),
    "mol": (Decimal("6.0221367e23"), {}),
    "K": (Decimal(1), {"K": 1}),
    "A": (Decimal(1), {"A": 1}),
    "C": (Decimal(1), {"A": 1, "s": 1}),
    "cd": (Decimal(1), {"cd": 1}),
    "rad": (Decimal(1), {"rad": 1}),
    "Hz": (Decimal(1), {"s": -1}),
    "N": (Decimal(1000), {"g": 1, "m": 1, "s": -2}),
    "Pa": (Decimal(1000), {"g": 1, "m": -1, "s": -2}),
    "J": (Decimal(1000), {"g": 1, "m": 2, "s": -2}),
    "W": (Decimal(1000), {"g": 1, "m": 2, "s": -3}),
    "V": (Decimal(1000), {"g": 1, "m": 2, "s": -3, "A": -1}),
    "cal": (Decimal(4184), {"g": 1, "m": 2, "s": -2}),
    "bar": (Decimal(100000000), {"g": 1, "m": -1, "s": -2}),
    "m[Hg]": (Decimal(133322000), {"g": 1, "m": -1, "s": -2}),
    "eq": (Decimal("6.0221367e23"), {}),
    "U": (Decimal("6.0221367e23") / 60 / 1000000, {"s": -1}),
    "[iU]": (Decimal(1), {"[iU]": 1}),
}
_OTHER = {
    "1": (Decimal(1), {}),
    "%": (Decimal("0.01"), {}),
    "min": (Decimal(60), {"s": 1}),
    "h": (Decimal(3600), {"s": 1}),
    "d": (Decimal(86400), {"s": 1}),
    "wk": (Decimal(604800), {"s": 1}),
    "a": (Decimal(31557600), {"s": 1}),
    "mo": (Decimal(2629800), {"s": 1}),
    "[in_i]": (Decimal("0.0254"), {"m": 1}),
    "[ft_i]": (Decimal("0.3048"), {"m": 1}),
    "[lb_av]": (Decimal("453.59237"), {"g": 1}),
    "[oz_av]": (Decimal("28.349523125"), {"g": 1}),
    "[pi]": (Decimal("3.1415926535897932384626433832795"), {}),
    "deg": (Decimal("3.1415926535897932384626433832795") / 180, {"rad": 1}),
    "10*": (Decimal(10), {}),
    "10^": (Decimal(10), {}),
}
_COMPONENT = re.compile(
    r"(?P<unit>10[*^]|(?:[A-Za-z%]|\[[^\]]*\])+|1)(?P<power>[+-]?\d+)?(?:\{[^}]*\})?|\{[^}]*\}"
)


@lru_cache(maxsize=2048)
def canonical(code: str) -> tuple[Decimal, Dimensions] | None:
    """Factor and dimensions of a UCUM code in base units; None if it is not one that we know."""
    factor = Decimal(1)
    dimensions: dict[str, int] = {}
    sign = 1
    for place, part in enumerate(re.split(r"([./])", code)):
        if part in (".", "/"):
            sign = 1 if part == "." else -1
            continue
        if not part and place == 0:
            continue
        component = _component(part)
        if component is None:
            return None
        own, own_dimensions, power = component
        factor = EXACT.multiply(factor, own ** (power * sign))
        for base, exponent in own_dimensions.items():
            dimensions[base] = dimensions.get(base, 0) + exponent * power * sign
    return factor, tuple(sorted((base, power) for base, power in dimensions.items() if power))


def _component(part: str) -> tuple[Decimal, dict[str, int], int] | None:
    match = _COMPONENT.fullmatch(part)
    if match is None:
        return None
    if match["unit"] is None:
        return Decimal(1), {}, 1
    power = int(match["power"] or 1)
    known = _atom(match["unit"])
    return None if known is None or abs(power) > 30 else (*known, power)


def _atom(unit: str) -> tuple[Decimal, dict[str, int]] | None:
    if unit in _OTHER:
        return _OTHER[unit]
    if unit in _METRIC:
        return _METRIC[unit]
    for length in (2, 1):
        prefix, metric = unit[:length], unit[length:]
        if prefix in _PREFIXES and metric in _METRIC:
            factor, dimensions = _METRIC[metric]
            return factor.scaleb(_PREFIXES[prefix]), dimensions
    return None


def comparable_values(
    left: Quantity, right: Quantity, *, definite: bool = True
) -> tuple[Decimal, Decimal] | None:
    """The two values in one unit, None if the units do not convert.

    `definite` keeps calendar years and months apart from UCUM's `a` and `mo` (their length varies).
    """
    if left.unit == right.unit and left.calendar == right.calendar:
        return left.value, right.value
    if definite and calendar_clash(left, right):
        return None
    mine, theirs = canonical(ucum_code(left)), canonical(ucum_code(right))
    if mine is None or theirs is None:
        same = ucum_code(left) == ucum_code(right)
        return (left.value, right.value) if same else None
    if mine[1] != theirs[1]:
        return None
    if left.calendar and right.calendar and (months := _months(left, right)):
        return months
    return EXACT.multiply(left.value, mine[0]), EXACT.multiply(right.value, theirs[0])


def _months(left: Quantity, right: Quantity) -> tuple[Decimal, Decimal] | None:
    factors = {"year": Decimal(12), "month": Decimal(1)}
    mine, theirs = factors.get(CALENDAR[left.unit]), factors.get(CALENDAR[right.unit])
    return None if mine is None or theirs is None else (left.value * mine, right.value * theirs)


def calendar_clash(left: Quantity, right: Quantity) -> bool:
    """One is a calendar year or month, the other is not: equality has no answer."""
    return _indefinite(left) != _indefinite(right) and (left.calendar or right.calendar)


def _indefinite(quantity: Quantity) -> bool:
    return quantity.calendar and CALENDAR[quantity.unit] in ("year", "month")


def product(left: Quantity, right: Quantity, *, divide: bool = False) -> Quantity | None:
    """`left * right` or `left / right` with its unit in base units where the units differ."""
    mine, theirs = canonical(ucum_code(left)), canonical(ucum_code(right))
    if mine is None or theirs is None:
        return None
    sign = -1 if divide else 1
    dimensions = dict(mine[1])
    for base, power in theirs[1]:
        dimensions[base] = dimensions.get(base, 0) + power * sign
    if divide and right.value == 0:
        return None
    first, second = EXACT.multiply(left.value, mine[0]), EXACT.multiply(right.value, theirs[0])
    value = EXACT.divide(first, second) if divide else EXACT.multiply(first, second)
    code = ".".join(
        f"{base}{power if power != 1 else ''}" for base, power in sorted(dimensions.items()) if power
    )
    return Quantity(value, code or "1")
