"""The primitive types: what their text must look like (http://hl7.org/fhir/R4/datatypes.html#primitive)."""

from __future__ import annotations

import re

_YEAR = r"(?:[0-9](?:[0-9](?:[0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)"
_LEAP = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DAY = r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
_DATE = rf"(?:{_YEAR}-{_DAY}|{_LEAP}-02-29)"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_MONTH = rf"{_YEAR}(?:-(?:0[1-9]|1[0-2]))?"

PATTERNS: dict[str, str] = {
    "date": rf"^(?:{_DATE}|{_MONTH})\Z",
    "dateTime": rf"^(?:{_DATE}(?:T{_TIME}{_ZONE})?|{_MONTH})\Z",
    "instant": rf"^{_DATE}T{_TIME}{_ZONE}\Z",
    "time": rf"^{_TIME}\Z",
    "code": r"(?a)^\S+(?:\s\S+)*\Z",
    "id": r"^[A-Za-z0-9.-]{1,64}\Z",
    "uri": r"(?a)^\S+\Z",
    "url": r"(?a)^\S+\Z",
    "canonical": r"(?a)^\S+\Z",
    "oid": r"^urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+\Z",
    "uuid": r"^urn:uuid:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\Z",
    "base64Binary": r"^\s*(?:[0-9a-zA-Z+/]\s*[0-9a-zA-Z+/]\s*[0-9a-zA-Z+/=]\s*[0-9a-zA-Z+/=]\s*)+\Z",
}
"""Primitive type → regular expression of its JSON string; only days of the calendar match."""

EXAMPLES: dict[str, str] = {
    "date": "2026, 2026-02 or 2026-02-01",
    "dateTime": "2026, 2026-02, 2026-02-01 or 2026-02-01T09:30:00+08:00",
    "instant": "2026-02-01T09:30:00.000+08:00",
    "time": "09:30:00",
    "code": "no spaces at either end, none doubled",
    "id": "1 to 64 of A-Z a-z 0-9 - .",
    "oid": "urn:oid:1.2.3",
    "uuid": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
    "base64Binary": "groups of four base64 characters",
    "uri": "a URI without spaces",
    "url": "a URL without spaces",
    "canonical": "a URL without spaces",
}
"""What a good one looks like, for diagnostics."""

INTEGERS: dict[str, tuple[int, int]] = {
    "integer": (-(2**31), 2**31 - 1),
    "unsignedInt": (0, 2**31 - 1),
    "positiveInt": (1, 2**31 - 1),
}
"""Whole-number types → smallest and largest value."""

STRINGS = frozenset({"string", "markdown", "xhtml", *PATTERNS})
"""Types written as JSON strings."""

LONGEST = 1024 * 1024
"""Characters that a FHIR string may have (http://hl7.org/fhir/R4/datatypes.html#string)."""

BOUNDED = frozenset({"string", "markdown", "code"})
"""Types whose length that limits; base64Binary and xhtml are none of them."""

UNSAFE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""Control characters that no FHIR string may contain."""
