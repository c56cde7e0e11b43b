"""What a Patient resource says of the person, in a form that can be compared.

Placeholders, identity card numbers with a wrong check digit, and telephone numbers that cannot be one are
left out: they are neither evidence nor a key (http://hl7.org/fhir/R4/patient.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from hub import r4
from hub.terminology.identifiers import ID_CARD_SYSTEM, id_card_is_valid, is_placeholder

_GAPS = re.compile(r"[\s·•.,'’\-]+")
_NOT_DIGITS = re.compile(r"[^0-9]+")
_NO_NAMES = frozenset({"无名氏", "无名", "佚名", "匿名", "test", "unknown", "anonymous"})
_SHORTEST_PHONE = 7

System = str
Value = str


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """The features of one record.

    cards        valid numbers of the resident identity card, capital X
    identifiers  every other (system, value) that identifies; both filled
    names        whole names, folded, without gaps, family name first
    written      (family, given) as they were written; either may be empty
    birth        `1950-01-01`, or less of it
    gender       male, female, or empty: `other` and `unknown` tell nothing
    phones       digits without the country's prefix
    """

    cards: frozenset[str] = frozenset()
    identifiers: frozenset[tuple[System, Value]] = frozenset()
    names: frozenset[str] = frozenset()
    written: tuple[tuple[str, str], ...] = ()
    birth: str = ""
    gender: str = ""
    phones: frozenset[str] = frozenset()


def person_of(patient: dict[str, Any]) -> Person:
    """The features of a Patient as plain JSON."""
    known = list(_identifiers(patient))
    cards = frozenset(value for system, value in known if system == ID_CARD_SYSTEM)
    names = [one for one in patient.get("name", []) if isinstance(one, dict)]
    written = tuple(dict.fromkeys(pair for one in names for pair in _written(one)))
    whole = frozenset(folded for pair in written for folded in _whole(*pair) if _is_name(folded))
    gender = patient.get("gender", "")
    return Person(
        cards=cards,
        identifiers=frozenset(pair for pair in known if pair[0] not in ("", ID_CARD_SYSTEM)),
        names=whole,
        written=tuple(pair for pair in written if any(_is_name(one) for one in _whole(*pair))),
        birth=patient.get("birthDate", ""),
        gender=gender if gender in ("male", "female") else "",
        phones=frozenset(_phones(patient)),
    )


def _identifiers(patient: dict[str, Any]) -> Iterator[tuple[System, Value]]:
    for one in patient.get("identifier", []):
        system, value = str(one.get("system") or ""), str(one.get("value") or "").strip()
        if not value or is_placeholder(value):
            continue
        if system == ID_CARD_SYSTEM or (not system and id_card_is_valid(value)):
            if id_card_is_valid(value):
                yield ID_CARD_SYSTEM, value.upper()
        else:
            yield system, value


def _written(name: dict[str, Any]) -> Iterator[tuple[str, str]]:
    family, given = str(name.get("family") or ""), [one for one in name.get("given", []) if one]
    if family or given:
        yield family, " ".join(given)
    text = str(name.get("text") or "")
    if text and not family:
        yield "", text


def _whole(family: str, given: str) -> Iterator[str]:
    """One form for every way of writing a name: `林 晓月`, `林晓月`, `Lin, Xiaoyue`, `Xiaoyue Lin`."""
    if family or " " not in given.strip():
        yield _folded(family + given)
    else:
        words = given.split()
        yield _folded("".join(words))
        yield _folded(words[-1] + "".join(words[:-1]))


def _folded(text: str) -> str:
    return r4.fold(_GAPS.sub("", text))


def _is_name(folded: str) -> bool:
    return len(folded) > 1 and folded not in _NO_NAMES and not is_placeholder(folded)


def _phones(patient: dict[str, Any]) -> Iterator[str]:
    for one in patient.get("telecom", []):
        if one.get("system") in ("phone", "sms", None):
            digits = _NOT_DIGITS.sub("", str(one.get("value") or ""))
            for prefix in ("0086", "86"):
                if digits.startswith(prefix) and len(digits) == len(prefix) + 11:
                    digits = digits[len(prefix) :]
            if len(digits) >= _SHORTEST_PHONE and len(set(digits)) > 2:
                yield digits
