"""References inside the raw text of a resource: own absolute ones become relative, placeholders real.

Only the string behind a key that holds a link is touched; everything else stays as it was sent.
Links: `reference`, elements of type uri, url, oid, uuid and the narrative's href and src
(http://hl7.org/fhir/R4/http.html#trules).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import msgspec

_STRING = rb'"((?:[^"\\]|\\.)*)"'
_REFERENCE = re.compile(rb'("reference"\s*:\s*)' + _STRING)
_LINK = re.compile(rb'("(?:reference|url|uri|valueUri|valueUrl|valueOid|valueUuid)"\s*:\s*)' + _STRING)
_NARRATIVE = re.compile(rb'((?:href|src)\s*=\s*(?:\\"|\'))([^"\'\\<>\s]+)')
_VERSION = re.compile(r"/_history/[^/]+$")

CONDITIONAL = re.compile(r"([A-Z][A-Za-z]+)\?(.+)")
"""A reference by search criteria: its type and them."""

_LITERAL = re.compile(
    r"#\S*|(?:[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?(?:#\S+)?)"
    r"|[A-Za-z][A-Za-z0-9+.\-]*:\S+|[A-Z][A-Za-z]+\?\S+"
)

Lookup = Callable[[str], str | None]


class _Contained(msgspec.Struct):
    id: str | None = None


class _Outline(msgspec.Struct):
    contained: list[_Contained] = []


_outline = msgspec.json.Decoder(_Outline, strict=False).decode


def localise(body: bytes, base: str) -> bytes:
    """Own absolute references (`base/Patient/1`) as relative ones (`Patient/1`)."""
    own = base.encode() + b"/"
    if own not in body and own.replace(b"/", b"\\/") not in body:
        return body
    prefix = base + "/"
    return _rewrite(
        _REFERENCE, body, lambda text: text.removeprefix(prefix) if text.startswith(prefix) else None
    )


def replace(body: bytes, lookup: Lookup) -> bytes:
    """Every link for which `lookup` gives another text, replaced; what it answers None to stays."""
    changed = _rewrite(_LINK, body, lookup)
    if b"<" in body or b"\\u003c" in body:
        changed = _NARRATIVE.sub(lambda found: _narrative(found, lookup), changed)
    return changed


def references(body: bytes) -> list[str]:
    """The texts of all `reference` members, in their order."""
    return [_text(found[2]) for found in _REFERENCE.finditer(body)]


def contained(body: bytes) -> set[str]:
    """The ids of the resources inside a resource."""
    return {one.id for one in _outline(body).contained if one.id is not None}


def is_literal(text: str) -> bool:
    """Whether it has a form that can lead somewhere: `#id`, `Type/id`, an absolute URI or criteria
    (http://hl7.org/fhir/R4/references.html#literal)."""
    return _LITERAL.fullmatch(text) is not None


def links(body: bytes) -> list[str]:
    """The texts of all members and narrative attributes that `replace` would look up."""
    found = [_text(one[2]) for one in _LINK.finditer(body)]
    return found + [one[2].decode() for one in _NARRATIVE.finditer(body)]


def resolver(known: dict[str, str], full_url: str) -> Lookup:
    """How an entry's links are found among a Bundle's entries.

    `known` maps fullUrl → `Type/id`; a relative link counts from the root of the entry's own fullUrl
    (http://hl7.org/fhir/R4/bundle.html#references).
    """
    root = _root(full_url)

    def lookup(link: str) -> str | None:
        bare, sharp, fragment = link.partition("#")
        bare = _VERSION.sub("", bare)
        found = known.get(bare)
        if found is None and root and "://" not in bare and not bare.startswith("urn:"):
            found = known.get(f"{root}/{bare}")
        return f"{found}{sharp}{fragment}" if found is not None else None

    return lookup


def _root(full_url: str) -> str:
    """`http://a/fhir/Patient/1` → `http://a/fhir`; "" for a URN."""
    return full_url.rsplit("/", 2)[0] if "://" in full_url and full_url.count("/") >= 4 else ""


def _rewrite(pattern: re.Pattern[bytes], body: bytes, lookup: Lookup) -> bytes:
    def put(found: re.Match[bytes]) -> bytes:
        replaced = lookup(_text(found[2]))
        return found[0] if replaced is None else found[1] + json.dumps(replaced, ensure_ascii=False).encode()

    return pattern.sub(put, body)


def _narrative(found: re.Match[bytes], lookup: Lookup) -> bytes:
    replaced = lookup(found[2].decode())
    return found[0] if replaced is None else found[1] + replaced.encode()


def _text(raw: bytes) -> str:
    return str(json.loads(b'"' + raw + b'"')) if b"\\" in raw else raw.decode()
