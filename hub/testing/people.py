"""Invented sample persons. Nobody is meant; the identity numbers only pass the check-digit rule.

Some names have a second GBK byte that equals an HL7 v2 delimiter (珅 and 東 end in `|`, 琟 in `^`, 沑 in
a backslash), because that is where careless readers break.
GB 11643-1999 takes its check digit from ISO 7064 MOD 11-2.
"""

from __future__ import annotations

import msgspec

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_DIGITS = "10X98765432"


def check_digit(first17: str) -> str:
    """The eighteenth character of a GB 11643 identity number, from its first seventeen digits."""
    total = sum(int(digit) * weight for digit, weight in zip(first17, _WEIGHTS, strict=True))
    return _DIGITS[total % 11]


def identity_number(region: str, birth: str, sequence: int) -> str:
    """A number that passes the check: six digits of region, `YYYYMMDD`, 0 to 999 (odd: male)."""
    first17 = f"{region}{birth}{sequence:03d}"
    return first17 + check_digit(first17)


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """One invented person.

    number   the hospital's own number      id_card  居民身份证, eighteen characters
    birth    `YYYYMMDD`                     gender   `M` or `F`
    """

    number: str
    name: str
    id_card: str
    birth: str
    gender: str
    phone: str = "13800000000"
    street: str = "东营市东营区史口镇"
    city: str = "东营市"
    province: str = "山东省"
    postcode: str = "257082"


def person(number: str, name: str, birth: str, sequence: int, region: str = "370502") -> Person:
    """An invented person; the parity of `sequence` gives the gender, as in real numbers."""
    return Person(
        number=number,
        name=name,
        id_card=identity_number(region, birth, sequence),
        birth=birth,
        gender="M" if sequence % 2 else "F",
    )


PEOPLE: tuple[Person, ...] = (
    person("PID0001", "测试甲", "19500101", 1),
    person("PID0002", "测试珅", "19480312", 2),
    person("PID0003", "试琟样", "19610923", 17),
    person("PID0004", "样沑例", "19550704", 68),
    person("PID0005", "例東试", "19720229", 121),
    person("PID0006", "演运测", "19431130", 204),
)
"""The first two are the persons of the reference samples."""


def invented(count: int, *, prefix: str = "PID", first: int = 100_000) -> list[Person]:
    """As many distinct persons as wanted, the same ones every time: for load and crash tests."""
    surnames, given = "测试样例演示甲乙丙丁", "珅琟沑東運子丑寅卯辰"
    people = []
    for index in range(count):
        day = f"{1935 + index % 50}{1 + index // 50 % 12:02d}{1 + index // 600 % 28:02d}"
        name = surnames[index % 10] + surnames[index // 10 % 10] + given[index // 100 % 10]
        people.append(person(f"{prefix}{first + index}", name, day, index // 16_800 % 1000))
    return people
