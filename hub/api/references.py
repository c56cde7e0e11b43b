"""References inside the raw text of a resource: own absolute ones become relative, placeholders real.

Only the string behind a key that holds a link is touched; everything else stays as it was sent.
Links: `reference`, elements of type uri, url, oid, uuid (not canonical, and not what names a code system)
and the narrative's href and src (http://hl7.org/fhir/R4/http.html#trules).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import msgspec

from hub import r4

_STRING = rb'"((?:[^"\\]|\\.)*)"'
_REFERENCE = re.compile(rb'("reference"\s*:\s*)' + _STRING)
_NAMES = (
    b"reference|url|uri|valueUri|valueUrl|valueOid|valueUuid|address|authority|authorizationUrl|definitionUri"
    b"|derivedFromUri|endpoint|instantiatesUri|issuer|location|onlineInformation|policy|rendering|source|target"
)
_LINK = re.compile(rb'("(?:' + _NAMES + rb')"\s*:\s*)' + _STRING)
_LIST = re.compile(rb'("(?:instantiatesUri|policy)"\s*:\s*\[)((?:\s*"(?:[^"\\]|\\.)*+"\s*,?)*+)')
_ITEM = re.compile(rb"()" + _STRING)
_KEY = re.compile(rb'"((?:[^"\\]|\\.)*+)"\s*+:')
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


def plain(body: bytes) -> bytes:
    """The same with every key spelt without escapes, so that links are found by their key."""
    if b"\\" not in body or not any(b"\\" in found[1] for found in _KEY.finditer(body)):
        return body
    return r4.untree(r4.tree(body))


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
    changed = _LIST.sub(lambda found: found[1] + _rewrite(_ITEM, found[2], lookup), changed)
    if b"<" in body or b"\\u003c" in body:
        changed = _NARRATIVE.sub(lambda found: _narrative(found, lookup), changed)
    return changed


def replace_values(patch: bytes, lookup: Lookup) -> bytes:
    """The same for the values of a JSON Patch: a text is a link if the path ends with the name of one."""
    if patch.lstrip()[:1] != b"[":
        return patch
    operations = r4.tree(b'{"patch":' + patch + b"}")["patch"]
    for one in operations:
        name, value = str(one.get("path", "")).rpartition("/")[2], one.get("value")
        if isinstance(value, str) and name.encode() in _NAMES.split(b"|"):
            one["value"] = lookup(value) or value
    return r4.untree(operations)


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
    found += [_text(one[2]) for many in _LIST.finditer(body) for one in _ITEM.finditer(many[2])]
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
