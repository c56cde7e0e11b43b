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


@lru_cache(4096)
def hash_reference(reference: str) -> int:
    """The key of a reference without version: `Patient/123`, a URL of another server, or `urn:uuid:...`."""
    return _hash("r" + reference)


def hash_identifier(system: str | None, value: str) -> int:
    """The key of a reference by identifier (`:identifier`); system None: any, "": explicitly none."""
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
