"""What mappings add to FHIRPath."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from hub import fhirpath
from hub.errors import InvalidMessage
from hub.mapping import BASE, Context
from hub.mapping.functions import FUNCTIONS
from hub.mapping.runtime import RUN, Run


@pytest.fixture
def ask(context: Callable[..., Context]) -> Callable[[str, Any], Any]:
    run = Run("set/doc", BASE, {}, context())

    def evaluate(expression: str, value: Any) -> Any:
        run.issues.clear()
        return fhirpath.compile(f"x.{expression}", functions=FUNCTIONS).first(
            {"x": value}, {**run.env, RUN: run}
        )

    return evaluate


@pytest.mark.parametrize(
    ("expression", "value", "found"),
    [
        ("dateTime()", "20260201090000", "2026-02-01T09:00:00+08:00"),
        ("dateTime()", "202602010900", "2026-02-01T09:00:00+08:00"),
        ("dateTime()", "20260201090000.125-0330", "2026-02-01T09:00:00.125-03:30"),
        ("dateTime()", "19880701120000", "1988-07-01T12:00:00+09:00"),
        ("dateTime()", "20260201", "2026-02-01"),
        ("dateTime()", "202602", "2026-02"),
        ("dateTime()", "2026", "2026"),
        ("dateTime('day')", "20260201090000", "2026-02-01"),
        ("dateTime()", "20260230", None),
        ("dateTime()", "2026020109", None),
        ("dateTime()", "２０２６", None),
        ("dateTime()", "tomorrow", None),
        ("date()", "20260201090000", "2026-02-01"),
        ("date()", "2026-02-01 09:00:00", "2026-02-01"),
        ("chinaDateTime()", "2026-02-01 09:00:00", "2026-02-01T09:00:00+08:00"),
        ("chinaDateTime()", "2026-02-0109:00:00", "2026-02-01T09:00:00+08:00"),
        ("chinaDateTime()", "20260201090000", "2026-02-01T09:00:00+08:00"),
        ("chinaDateTime()", "20260201090000456", "2026-02-01T09:00:00.456+08:00"),
        ("chinaDateTime()", "2026-02-01", "2026-02-01"),
        ("chinaDateTime()", "2026-13-01", None),
        ("number()", "105.00", Decimal("105.00")),
        ("number()", "+007", Decimal("7")),
        ("number()", ".5", Decimal("0.5")),
        ("number()", "-1.50", Decimal("-1.50")),
        ("local('yyyyMMddHHmmssSSS')", "2026-02-01T01:00:00.123Z", "20260201090000123"),
        ("local('yyyy-MM-dd HH:mm:ss')", "2026-02-01", "2026-02-01 00:00:00"),
        ("pad(4, '0')", 7, "0007"),
        ("pad(4, '0')", "12345", "12345"),
        ("hash(8)", "a", "ca978112"),
        ("usable()", "000", None),
        ("usable('id-card')", "370502195001010012", None),
        ("usable('id-card')", "370502195001010013", "370502195001010013"),
        ("idCardBirthDate()", "370502195001010013", "1950-01-01"),
        ("idCardGender()", "370502195001010012", None),
    ],
)
def test_values(ask: Callable[[str, Any], Any], expression: str, value: Any, found: Any) -> None:
    assert ask(expression, value) == found


@pytest.mark.parametrize("text", ["", "abc", "1.2.3", "1,5", "１２", "--1", "."])
def test_what_is_no_number_refuses_the_message(ask: Callable[[str, Any], Any], text: str) -> None:
    with pytest.raises(InvalidMessage, match="expected a number"):
        ask("number()", text)


def test_numbers_keep_their_digits(ask: Callable[[str, Any], Any]) -> None:
    assert str(ask("number()", "105.00")) == "105.00"
