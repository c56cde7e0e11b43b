"""What one token, string, reference or uri adds to the index: called by the generated extraction functions.

`equal` and `text` are the resource's sets of rows; `n` is the parameter's number. The texts of a token (its
display, the text of its concept or of an identifier's type) are rows of `text` under the token's own number:
`:text` looks there. http://hl7.org/fhir/R4/search.html#token
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.r4.hashes import (
    WORD,
    any_case,
    coded_keys,
    fold,
    fold_text,
    hash_any_case,
    hash_identifier,
    hash_of_type,
    hash_reference,
    hash_token,
    hash_uri,
)
from hub.r4.sound import sound
from hub.r4.structs import target_type

Rows = set[Any]
CONTAINED = 0
"""The parameter number under which a resource has the types of what it contains: hash_token(None, type)."""


# -- tokens


def _token(equal: Rows, n: int, system: str | None, code: str | None) -> None:
    if code is not None:
        equal.add((n, hash_token(None, code)))
        equal.add((n, hash_token(system or "", code)))
    if system:
        equal.add((n, hash_token(system, None)))


def _coded(equal: Rows, n: int, system: str | None, code: str | None) -> None:
    if code is not None:
        anywhere, own = coded_keys(system or "", code)
        equal.add((n, anywhere))
        equal.add((n, own))
    if system:
        equal.add((n, hash_token(system, None)))


def plain_token(equal: Rows, n: int, value: Any, system: str | Mapping[str, str]) -> None:
    """A bare value: `system` is what its value set implies, by code where the set draws on several."""
    code = value if type(value) is str else "true" if value else "false"
    implied = system if type(system) is str else system.get(code, "")  # type: ignore[union-attr]
    (_coded if implied else _token)(equal, n, implied, code)


def string_token(equal: Rows, n: int, value: str) -> None:
    """A string that is searched as a token: in any case."""
    equal.add((n, hash_any_case(value)))
    equal.add((n, hash_token("", any_case(value))))


def coding_token(equal: Rows, text: Rows, n: int, value: Any) -> None:
    _coded(equal, n, value.system, value.code)
    if value.display is not None:
        text.add((n, fold_text(value.display)))


def codeableconcept_token(equal: Rows, text: Rows, n: int, value: Any) -> None:
    if value.coding is not None:
        for coding in value.coding:
            _coded(equal, n, coding.system, coding.code)
            if coding.display is not None:
                text.add((n, fold_text(coding.display)))
    if value.text is not None:
        text.add((n, fold_text(value.text)))


def identifier_token(equal: Rows, text: Rows, n: int, value: Any) -> None:
    number = value.value
    _token(equal, n, value.system, number)
    kind = value.type
    if kind is None:
        return
    if kind.text is not None:
        text.add((n, fold_text(kind.text)))
    for coding in kind.coding or ():
        if coding.display is not None:
            text.add((n, fold_text(coding.display)))
        if number is not None:
            equal.add((n, hash_of_type(coding.system or "", coding.code or "", number)))


def contactpoint_token(equal: Rows, text: Rows, n: int, value: Any) -> None:
    """By value in any case; by use and by system, too, as clients ask although R4 has no such form."""
    systems = {one for one in (value.use, value.system) if one is not None}
    if value.value is not None:
        equal.add((n, hash_any_case(value.value)))
    for system in systems or {""}:
        if value.value is not None:
            equal.add((n, hash_token(system, any_case(value.value))))
        if system:
            equal.add((n, hash_token(system, None)))


# -- strings


def plain_text(text: Rows, n: int, value: str) -> None:
    text.add((n, fold_text(value)))


def family_text(text: Rows, n: int, value: str) -> None:
    """A family name, and each further word of it (http://hl7.org/fhir/R4/search.html#string)."""
    folded = fold_text(value)
    text.add((n, folded))
    if " " in folded:
        text.update((n, WORD + word) for word in folded.split(" ")[1:])


def _name_parts(value: Any) -> list[str]:
    lists = (value.given, value.prefix, value.suffix)
    parts = [value.text, value.family, *(part for some in lists if some is not None for part in some)]
    return [part for part in parts if part is not None]


def name_text(text: Rows, n: int, value: Any) -> None:
    for part in _name_parts(value):
        text.add((n, fold_text(part)))
    if value.family is not None and " " in value.family:
        family_text(text, n, value.family)


def plain_sound(text: Rows, n: int, value: str) -> None:
    """The sounds of a name and of each of its words."""
    words = sound(value)
    text.add((n, words))
    for word in words.split(" "):
        text.add((n, word))


def name_sound(text: Rows, n: int, value: Any) -> None:
    for part in _name_parts(value):
        plain_sound(text, n, part)


def address_text(text: Rows, n: int, value: Any) -> None:
    for part in (value.text, value.city, value.district, value.state, value.postalCode, value.country):
        if part is not None:
            text.add((n, fold_text(part)))
    if value.line is not None:
        for part in value.line:
            if part is not None:
                text.add((n, fold_text(part)))


# -- references and uris


def local(reference: str, base: str) -> str:
    """A reference as the index keeps it: relative below our own base, without its version."""
    if base and reference.startswith(base) and reference[len(base) : len(base) + 1] == "/":
        reference = reference[len(base) + 1 :]
    version = reference.find("/_history/")
    return reference if version < 0 else reference[:version]


def points_at(value: Any, kind: str) -> bool:
    """Whether a Reference names a resource of that type: by its path, else by its `type`."""
    reference = value.reference
    if reference is not None:
        if reference.startswith(kind + "/"):
            return True
        named = target_type(reference)
        if named:
            return named == kind
    return bool(value.type == kind)


def reference_key(equal: Rows, n: int, value: Any, base: str) -> None:
    reference = value.reference
    if reference is not None:  # `#x` is only kept as "something contained": its id says nothing elsewhere
        equal.add((n, hash_reference(local(reference, base) if reference[0] != "#" else "#")))
    identifier = value.identifier
    if identifier is not None and identifier.system:
        equal.add((n, hash_identifier(identifier.system, None)))
    if identifier is not None and identifier.value is not None:
        equal.add((n, hash_identifier(identifier.system or "", identifier.value)))
        equal.add((n, hash_identifier(None, identifier.value)))


def canonical_key(equal: Rows, n: int, value: str, base: str) -> None:
    equal.add((n, hash_reference(value)))
    url, bar, _ = value.partition("|")
    if bar:
        equal.add((n, hash_reference(url)))
    if base and value.startswith(base):
        equal.add((n, hash_reference(local(url, base))))


def resource_key(equal: Rows, n: int, value: Any, base: str) -> None:
    if value.id is not None:
        equal.add((n, hash_reference(f"{type(value).__fhir__}/{value.id}")))


def uri_key(equal: Rows, text: Rows, n: int, value: str) -> None:
    equal.add((n, hash_uri(value)))
    url, bar, _ = value.partition("|")
    if bar:
        equal.add((n, hash_uri(url)))
    text.add((n, fold(value)))


def contains(equal: Rows, value: list[Any]) -> None:
    """The types of the contained resources."""
    for one in value:
        equal.add((CONTAINED, hash_token(None, type(one).__fhir__)))


def has_extension(value: Any, url: str) -> bool:
    return value.extension is not None and any(e.url == url for e in value.extension)


FUNCTIONS: dict[str, Any] = {
    f.__name__: f
    for f in (
        plain_token, string_token, coding_token, codeableconcept_token, identifier_token, contactpoint_token,
        plain_text, family_text, name_text, address_text, plain_sound, name_sound,
        reference_key, canonical_key, resource_key, uri_key, points_at, has_extension, contains,
    )
}  # fmt: skip
"""What the generated functions may call, by name."""
