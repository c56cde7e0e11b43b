"""Fault rules are consumed in order; invented persons pass the check-digit rule."""

from __future__ import annotations

from typing import Any, cast

import pytest

from hub.testing import PEOPLE, Faults
from hub.testing.people import check_digit, identity_number, invented


async def test_rules_strike_in_order_by_kind_condition_and_count() -> None:
    faults = Faults()
    faults.add("late", "A", times=2)
    faults.add("refuse", where=lambda subject: subject == "x")
    faults.add("twice")
    struck = [
        await faults.next(kind, subject) for kind, subject in [("A", ""), ("B", "x"), ("A", ""), ("A", "y")]
    ]
    assert [fault and fault.what for fault in struck] == ["late", "refuse", "late", "twice"]
    assert await faults.next("A") is None
    assert faults.struck == [("A", "late"), ("B", "refuse"), ("A", "late"), ("A", "twice")]


async def test_an_unknown_word_is_refused_and_clear_forgets() -> None:
    faults = Faults()
    with pytest.raises(ValueError, match="lose-reply"):
        faults.add(cast(Any, "explode"))
    faults.add("down")
    faults.clear()
    assert await faults.next("A") is None


def test_check_digits() -> None:
    # The standard's own example (GB 11643-1999), then the two numbers of the reference samples.
    assert check_digit("11010519491231002") == "X"
    assert identity_number("370502", "19500101", 1) == "370502195001010013"
    assert identity_number("370502", "19480312", 2) == "370502194803120025"


def test_people_are_distinct_and_consistent() -> None:
    people = list(PEOPLE) + invented(500)
    assert len({person.id_card for person in people}) == len(people)
    for person in people:
        assert person.id_card[6:14] == person.birth
        assert check_digit(person.id_card[:17]) == person.id_card[17]
        assert person.gender == ("M" if int(person.id_card[16]) % 2 else "F")
    assert any(b"|" in person.name.encode("gb18030") for person in PEOPLE)
