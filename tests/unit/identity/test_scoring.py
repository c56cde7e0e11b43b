"""Which two records are one patient; the persons are invented, their numbers have valid check digits."""

from __future__ import annotations

from typing import Any

import pytest

from hub.identity import Agreement, compare, person_of
from hub.terminology.identifiers import ID_CARD_SYSTEM

CARD, OTHER_CARD = "11010519491231002X", "440524188001010014"
HOSPITAL = "https://hospital.example.org/patients"
BORN = {"birthDate": "1949-12-31"}
NAME = {"name": [{"family": "林", "given": ["晓月"]}]}
OTHER_NAME = {"name": [{"text": "欧阳建国"}]}
PHONE = {"telecom": [{"system": "phone", "value": "138-0000-1234"}]}
FEMALE = {"gender": "female"}


def identified(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"identifier": [{"system": system, "value": value} for system, value in pairs]}


def grade(a: dict[str, Any], b: dict[str, Any]) -> str:
    one, other = person_of(a), person_of(b)
    assert compare(one, other) == compare(other, one)
    return compare(one, other).grade


def test_a_valid_card_is_certain() -> None:
    a, b = identified((ID_CARD_SYSTEM, CARD.lower())), identified((ID_CARD_SYSTEM, CARD))
    assert compare(person_of(a), person_of(b)) == Agreement(1.0, "certain")
    assert grade(identified(("", CARD)), b) == "certain"


def test_a_number_of_the_same_system_is_certain() -> None:
    a, b = identified((HOSPITAL, "00017")), identified((HOSPITAL, "00017"), ("urn:x", "9"))
    assert grade(a, b) == "certain"
    assert grade(a, identified(("urn:other", "00017"))) == "certainly-not"


@pytest.mark.parametrize("value", ["000000", "无", "UNKNOWN", "/", ""])
def test_a_placeholder_never_matches(value: str) -> None:
    a = identified((HOSPITAL, value), (ID_CARD_SYSTEM, value))
    assert grade(a, a) == "certainly-not"


def test_a_card_with_a_wrong_check_digit_never_matches() -> None:
    wrong = identified((ID_CARD_SYSTEM, "110105194912310021"))
    assert grade(wrong, wrong) == "certainly-not"


def test_a_borrowed_card_is_only_possible() -> None:
    parent = identified((ID_CARD_SYSTEM, CARD)) | BORN | NAME
    child = identified((ID_CARD_SYSTEM, CARD)) | {"birthDate": "2020-05-01"} | OTHER_NAME
    assert grade(parent, child) == "possible"
    assert grade(parent, identified((ID_CARD_SYSTEM, CARD)) | OTHER_NAME) == "certain"


@pytest.mark.parametrize(
    ("shared", "expected"),
    [
        (NAME | BORN | FEMALE | PHONE, "probable"),
        (NAME | BORN | FEMALE, "probable"),
        (NAME | BORN, "probable"),
        (NAME | PHONE | FEMALE, "possible"),
        (BORN | FEMALE | PHONE, "possible"),
        (NAME, "possible"),
        (PHONE, "possible"),
        (FEMALE, "certainly-not"),
        ({}, "certainly-not"),
    ],
)
def test_without_an_identifier_nothing_is_certain(shared: dict[str, Any], expected: str) -> None:
    assert grade(shared, shared) == expected


def test_a_shared_telephone_does_not_make_a_family_one_person() -> None:
    mother = NAME | BORN | FEMALE | PHONE
    son = OTHER_NAME | {"birthDate": "1975-02-03", "gender": "male"} | PHONE
    daughter = {"name": [{"text": "林小雨"}], "birthDate": "1980-01-01", "gender": "female"} | PHONE
    assert grade(mother, son) == grade(mother, daughter) == "certainly-not"


def test_two_cards_are_two_people() -> None:
    a = identified((ID_CARD_SYSTEM, CARD)) | NAME | BORN | FEMALE
    b = identified((ID_CARD_SYSTEM, OTHER_CARD)) | NAME | BORN | FEMALE
    assert grade(a, b) == "certainly-not"
    shared = ({"system": HOSPITAL, "value": "17"},)
    assert grade(
        {"identifier": [*a["identifier"], *shared]}, {"identifier": [*b["identifier"], *shared]}
    ) == ("possible")


@pytest.mark.parametrize(
    "written",
    [
        {"text": "林晓月"},
        {"text": "林 晓月"},
        {"family": "林", "given": ["晓", "月"]},
        {"family": " 林", "given": ["晓月"], "text": "林女士"},
    ],
)
def test_a_name_may_be_written_in_several_ways(written: dict[str, Any]) -> None:
    assert grade(NAME | BORN, {"name": [written]} | BORN) == "probable"


def test_a_western_name_may_be_turned_round() -> None:
    parts = {"name": [{"family": "Chalmers", "given": ["Peter"]}]} | BORN
    assert grade(parts, {"name": [{"text": "Peter Chalmers"}]} | BORN) == "probable"
    assert grade(parts, {"name": [{"text": "CHALMERS, Peter"}]} | BORN) == "probable"


def test_a_year_of_birth_neither_proves_nor_contradicts() -> None:
    full, year = NAME | BORN, NAME | {"birthDate": "1949"}
    assert compare(person_of(full), person_of(year)) == Agreement(0.5, "possible")


def test_a_nameless_patient_has_no_name() -> None:
    nobody = {"name": [{"text": "无名氏"}]}
    assert grade(nobody, nobody) == "certainly-not"


def test_numbers_written_differently_are_one_telephone() -> None:
    person = person_of({"telecom": [{"system": "phone", "value": "+86 138 0000 1234"}]})
    assert person.phones == person_of(PHONE).phones == {"13800001234"}
    assert not person_of({"telecom": [{"system": "phone", "value": "000-0000"}]}).phones
    assert not person_of({"telecom": [{"system": "email", "value": "a13800001234@example.org"}]}).phones
