"""GB 11643, GB 32100, and what identifies nobody."""

from __future__ import annotations

import pytest

from hub.terminology.identifiers import (
    id_card_birth_date,
    id_card_gender,
    id_card_is_valid,
    is_placeholder,
    uscc_is_valid,
)


@pytest.mark.parametrize(
    "number", ["370502195001010013", "370502194803120025", "37050219601105003X", "37050219601105003x"]
)
def test_valid_numbers(number: str) -> None:
    assert id_card_is_valid(number)


@pytest.mark.parametrize(
    "number",
    [
        "370502195001010012",
        "370502195013010019",
        "37050219500101001",
        "37050219500101001Y",
        "",
        "三" * 18,
        "３70502195001010013",
    ],
)
def test_invalid_numbers(number: str) -> None:
    assert not id_card_is_valid(number)


def test_what_the_number_says() -> None:
    assert id_card_birth_date("370502195001010013") == "1950-01-01"
    assert id_card_gender("370502195001010013") == "male"
    assert id_card_gender("370502194803120025") == "female"
    assert id_card_birth_date("370502195002300013") is None


@pytest.mark.parametrize(
    "value", ["", " ", "0", "000000", "0000000000000000", "无", "UNKNOWN", "unknown", "不详", "N/A", "---"]
)
def test_placeholders(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize("value", ["1", "10", "PID0001", "370502195001010013", "TEST", "11", "MR1"])
def test_no_placeholders(value: str) -> None:
    assert not is_placeholder(value)


def test_social_credit_codes() -> None:
    assert uscc_is_valid("91350100M000100Y43")  # the example of GB 32100-2015
    assert not uscc_is_valid("91350100M000100Y44")
    assert not uscc_is_valid("91350100M000100I43")
