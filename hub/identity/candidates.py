"""Stored Patients that may be the same person: a few searches by the index, never a scan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hub.identity.person import Person
from hub.store.backend import Reader
from hub.store.search.planner import Hit, parse_query, search
from hub.terminology.identifiers import ID_CARD_SYSTEM

EACH = 100
"""Patients that one search may bring."""
MOST_VALUES = 20

Criteria = Sequence[tuple[str, str]]


async def candidates(reader: Reader, person: Person) -> list[Hit]:
    """Patients that share an identifier, a name or a telephone number with a person, each once.

    The narrow searches come first, so that a common name cannot crowd out an identifier.
    """
    found: dict[str, Hit] = {}
    for criteria in _searches(person):
        page = await search(reader, parse_query("Patient", [*criteria, ("_count", str(EACH))]))
        for hit in page.entries:
            found.setdefault(hit.id, hit)
    return list(found.values())


def _searches(person: Person) -> Iterator[Criteria]:
    tokens = [f"{ID_CARD_SYSTEM}|{card}" for card in sorted(person.cards)]
    tokens += sorted(person.cards)
    tokens += [f"{_text(system)}|{_text(value)}" for system, value in sorted(person.identifiers)]
    if tokens:
        yield [("identifier", ",".join(tokens[:MOST_VALUES]))]
    for criteria in _names(person):
        if len(person.birth) == len("1950-01-01"):
            yield [*criteria, ("birthdate", person.birth)]
    if person.phones:
        phones = [form for phone in sorted(person.phones) for form in (phone, f"+86{phone}", f"86{phone}")]
        yield [("phone", ",".join(phones[:MOST_VALUES]))]
    yield from _names(person)


def _names(person: Person) -> Iterator[Criteria]:
    """Every way in which the same name may be stored: in parts, or as one text."""
    for family, given in person.written[:MOST_VALUES]:
        whole = f"{family}{given}" if family else given
        yield [("name", _text(whole))]
        if family and given:
            yield [("family", _text(family)), ("given", _text(given.split()[0]))]
            continue
        words = whole.split()
        if len(words) > 1:
            yield [("family", _text(words[-1])), ("given", _text(words[0]))]
        else:
            for cut in range(1, min(3, len(whole))):
                yield [("family:exact", _text(whole[:cut])), ("given", _text(whole[cut:]))]


def _text(value: str) -> str:
    """A value with what has a meaning in a search escaped."""
    for special in ("\\", ",", "|", "$"):
        value = value.replace(special, "\\" + special)
    return value
