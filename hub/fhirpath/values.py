"""Numbers: exact decimals in a context of their own, and the ranges the specification sets.

http://hl7.org/fhirpath/N1/#math and http://hl7.org/fhirpath/N1/#literals
"""

from __future__ import annotations

import decimal
from decimal import Decimal

Number = int | Decimal

MAX_INTEGER = 2**31 - 1
MIN_INTEGER = -(2**31)

EXACT = decimal.Context(prec=120, rounding=decimal.ROUND_HALF_UP, Emin=-400, Emax=400)
"""Sums and products come out to the last digit."""

DIVISION = decimal.Context(prec=28, rounding=decimal.ROUND_HALF_UP, Emin=-400, Emax=400)
"""Quotients and roots: the 28 digits that the specification asks for."""


def digits_after_point(number: Number) -> int:
    """How many decimals were written: 2 for `105.00`, 0 for `3` and `1e2`."""
    if isinstance(number, int):
        return 0
    exponent = number.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def trimmed(number: Decimal) -> Decimal:
    """Without trailing zeros after the point (`0.50` → `0.5`, `100` stays)."""
    if number == number.to_integral_value():
        return number.quantize(Decimal(1)) if abs(number) < Decimal(10) ** 100 else number
    return number.normalize(EXACT)


def number_text(number: Number) -> str:
    """A number as FHIRPath writes it: never with an exponent."""
    return str(number) if isinstance(number, int) else f"{number:f}"
