"""How well two records agree: a score from 0 to 1 and one of the four grades of R4.

Deterministic, without training data. A shared identifier is certain, unless name and birth date both
contradict it (a child on a parent's card). Everything else adds and takes away weight; without an identifier
nothing is certain. http://hl7.org/fhir/R4/valueset-match-grade.html
"""

from __future__ import annotations

from typing import Literal

import msgspec

from hub.identity.person import Person

Grade = Literal["certain", "probable", "possible", "certainly-not"]

NAME, BIRTH, GENDER, PHONE = 0.40, 0.30, 0.05, 0.20
PART_OF_BIRTH = 0.10
OTHER_NAME, OTHER_BIRTH, OTHER_GENDER, OTHER_CARD = -0.40, -0.35, -0.20, -0.60
CERTAIN, HIGHEST, BORROWED = 1.0, 0.95, 0.50
PROBABLE_FROM, POSSIBLE_FROM = 0.70, 0.20


class Agreement(msgspec.Struct, frozen=True):
    """What two records have in common; `score` is 1 only where it is certain."""

    score: float
    grade: Grade


def compare(a: Person, b: Person) -> Agreement:
    """The agreement of two records; the same either way round."""
    if a.cards & b.cards or a.identifiers & b.identifiers:
        if _contradict(a, b):
            return Agreement(BORROWED, "possible")
        return Agreement(CERTAIN, "certain")
    score = round(max(0.0, min(HIGHEST, _weight(a, b))), 2)
    if score >= PROBABLE_FROM:
        return Agreement(score, "probable")
    return Agreement(score, "possible" if score >= POSSIBLE_FROM else "certainly-not")


def _contradict(a: Person, b: Person) -> bool:
    """Whether a shared number stands on records of two people."""
    other_name = bool(a.names and b.names) and not a.names & b.names
    other_card = bool(a.cards and b.cards) and not a.cards & b.cards
    return (other_name and _birth(a.birth, b.birth) < 0) or other_card


def _weight(a: Person, b: Person) -> float:
    weight = _birth(a.birth, b.birth)
    if a.names and b.names:
        weight += NAME if a.names & b.names else OTHER_NAME
    if a.gender and b.gender:
        weight += GENDER if a.gender == b.gender else OTHER_GENDER
    if a.phones & b.phones:
        weight += PHONE
    if a.cards and b.cards:
        weight += OTHER_CARD
    return weight


def _birth(a: str, b: str) -> float:
    """Dates that say the same, that could be the same (`1950` and `1950-01-01`), or that differ."""
    if not a or not b:
        return 0.0
    if a == b:
        return BIRTH if len(a) == len("1950-01-01") else PART_OF_BIRTH
    return PART_OF_BIRTH if a.startswith(b) or b.startswith(a) else OTHER_BIRTH
