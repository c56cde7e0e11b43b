"""The terminology that HL7 publishes with R4: code systems, value sets and concept maps by canonical URL.

Read from the pack one resource at a time; nothing is kept but the table of where each lies. What carries
somebody else's copyright notice is there without its codes: such a CodeSystem says `not-present`, such a
part of a ValueSet's compose `"withheld": true`. http://hl7.org/fhir/R4/terminologies-systems.html
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

TermKind = Literal["CodeSystem", "ValueSet", "ConceptMap"]

_PACK = Path(__file__).parent / "definitions"
_Table = dict[str, dict[str, tuple[int, int]]]


@cache
def _table() -> _Table:
    raw = (_PACK / "_terms_index.json").read_bytes()
    return msgspec.json.decode(raw, type=_Table)


def published(kind: TermKind, url: str) -> dict[str, Any] | None:
    """The resource as plain JSON, or None. 0.1 to 3 ms: whoever needs it often keeps it."""
    place = _table()[kind].get(url)
    if place is None:
        return None
    start, length = place
    with (_PACK / "_terms.json").open("rb") as pack:
        pack.seek(start)
        found: dict[str, Any] = msgspec.json.decode(pack.read(length))
    return found


def published_urls(kind: TermKind) -> list[str]:
    """The canonical URLs there are."""
    return list(_table()[kind])
