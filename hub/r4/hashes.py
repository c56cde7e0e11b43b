"""The 64-bit keys of the search index: the writer and the reader of the index use the same functions.

Signed integers, from BLAKE2b. Different kinds of values never share a key by accident of spelling. Two values
may share one by chance, so whoever must be certain looks at the body again.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from hashlib import blake2b

TEXT_LIMIT = 400
"""Characters of a folded text that the index keeps."""


def _hash(text: str) -> int:
    return int.from_bytes(
        blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big", signed=True
    )


@lru_cache(8192)
def hash_token(system: str | None, code: str | None) -> int:
    """The key of a token. Every coded value has the rows it can be asked by:

    (system, code)  that system          (None, code)    any system
    ("", code)      explicitly no system (system, None)  any code of the system
    """
    return _hash(f"t{'*' if system is None else '=' + system}\x1f{'*' if code is None else '=' + code}")


_SENSITIVE = ("http://hl7.org/fhir/", "http://terminology.hl7.org/CodeSystem/")
_OTHERS = frozenset({
    "http://unitsofmeasure.org",
    "http://cds-hooks.hl7.org/CodeSystem/indicator",
    "http://dicom.nema.org/resources/ontology/DCM",
    "http://healthit.gov/nhin/purposeofuse",
    "http://terminology.hl7.org/fhir/CodeSystem/medicationdispense-category",
    "http://terminology.hl7.org/fhir/CodeSystem/medicationdispense-status-reason",
    "urn:iso-astm:E1762-95:2013",
    "urn:oid:1.2.36.1.2001.1001.101.104.16592",
    "urn:oid:2.16.840.1.113883.3.1937.98.5.8",
})  # fmt: skip


@lru_cache(1024)
def case_counts(system: str) -> bool:
    """Whether codes of a system differ by their case: of what R4 publishes as `caseSensitive`, and of UCUM.

    Of the others (all of HL7 v2, and whatever is not known) a code is found in any case, as
    http://hl7.org/fhir/R4/search.html#token asks for when in doubt.
    """
    return system in _OTHERS or (system.startswith(_SENSITIVE) and "/v2-" not in system)


def any_case(code: str) -> str:
    """A code as it is compared where case does not count."""
    return code.casefold()


def is_cased(code: str) -> bool:
    """Whether a code could be written in another case."""
    return code != code.casefold() or code != code.upper()


def hash_coded(system: str, code: str) -> int:
    """The key of a code of a system ("": explicitly none), whose case counts or not."""
    return hash_token(system, code if case_counts(system) else any_case(code))


@lru_cache(4096)
def hash_any_case(code: str) -> int:
    """The key of a code of any system, of those where case does not count."""
    if is_cased(code):
        return _hash(f"t*\x1f~{any_case(code)}")
    return hash_token(None, code)


@lru_cache(8192)
def coded_keys(system: str, code: str) -> tuple[int, int]:
    """The keys of a code: of any system, and of its own ("": it has none)."""
    anywhere = hash_token(None, code) if case_counts(system) else hash_any_case(code)
    return anywhere, hash_coded(system, code)


@lru_cache(4096)
def hash_reference(reference: str) -> int:
    """The key of a reference without version: `Patient/123`, a URL of another server, or `urn:uuid:...`."""
    return _hash("r" + reference)


def hash_identifier(system: str | None, value: str | None) -> int:
    """The key of a reference by identifier (`:identifier`); system None: any, "": explicitly none; value
    None: any of the system."""
    if value is None:
        return _hash(f"j{system}")
    return _hash(f"i{'*' if system is None else '=' + system}\x1f{value}")


def hash_of_type(system: str, code: str, value: str) -> int:
    """The key of an identifier of a given type (`:of-type`, system|code|value)."""
    return _hash(f"o{system}\x1f{code}\x1f{value}")


@lru_cache(2048)
def hash_uri(uri: str) -> int:
    """The key of a uri, url, canonical or oid, compared exactly."""
    return _hash("u" + uri)


def hash_text(folded: str) -> int:
    """The key of a folded string, for composites with one."""
    return _hash("s" + folded)


def hash_pair(first: int, second: int) -> int:
    """The key of two keys that must hold together (composites)."""
    mixed = (first * 0x9E3779B97F4A7C15 + second) * 0xC2B2AE3D27D4EB4F
    mixed = (mixed ^ mixed >> 29) & 0xFFFFFFFFFFFFFFFF
    return mixed - 0x10000000000000000 if mixed >> 63 else mixed


@lru_cache(1024)
def fold(text: str) -> str:
    """How strings are compared: NFKD, casefold, no marks, single spaces; at most TEXT_LIMIT characters.

    >>> fold("Müller  Straße")
    'muller strasse'
    """
    return folded(text)[:TEXT_LIMIT]


def folded(text: str) -> str:
    """The same for a text of any length."""
    if text.isascii():
        found = text.lower()
    else:
        decomposed = unicodedata.normalize("NFKD", text.casefold())
        found = "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()
    return " ".join(found.split())


_PUNCTUATION = {n: None for n in range(128) if unicodedata.category(chr(n))[0] == "P"}


@lru_cache(1024)
def fold_text(text: str) -> str:
    """How strings are searched: folded, and punctuation left out; at most TEXT_LIMIT characters.

    http://hl7.org/fhir/R4/search.html#string

    >>> fold_text("O'Brien,  買買提·吐爾遜")
    'obrien 買買提吐爾遜'
    """
    return folded_text(text)[:TEXT_LIMIT]


def folded_text(text: str) -> str:
    """The same for a text of any length."""
    if text.isascii():
        return " ".join(text.translate(_PUNCTUATION).lower().split())
    return folded("".join(c for c in text if unicodedata.category(c)[0] != "P"))


WORD = "\U0010fffd"
"""What a word of a family name begins with in the index, so that it stands after every name."""
