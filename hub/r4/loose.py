"""Index rows of values found in a plain JSON tree, whose types only their shape tells.

So are posted search parameters indexed: their expressions run over `hub.r4.tree`, and what they find makes
the same rows as the compiled parameters make (http://hl7.org/fhir/R4/search.html).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import tzinfo
from typing import Any

from hub.r4 import definitions, rows, spans
from hub.r4.definitions import SearchParameter
from hub.r4.hashes import hash_reference
from hub.r4.search import Keys

LOOSE_TYPES = frozenset({"token", "string", "date", "number", "quantity", "reference", "uri"})
"""The types of search parameters that can be indexed so."""

_NAME = frozenset({"family", "given", "prefix", "suffix"})
_CONTACTS = frozenset({"phone", "fax", "email", "pager", "url", "sms", "other"})
_PATH = re.compile(r"[A-Z][A-Za-z]+(\.[a-z][A-Za-z]*)+")


class _Loose:
    """An object of a tree with the members of a struct: what is absent is None."""

    __slots__ = ("_tree",)

    def __init__(self, tree: dict[str, Any]) -> None:
        self._tree = tree

    def __getattr__(self, name: str) -> Any:
        value = self._tree.get(name)
        if isinstance(value, dict):
            return _Loose(value)
        if isinstance(value, list):
            return [_Loose(one) if isinstance(one, dict) else one for one in value]
        return value


def loose_keys(parameter: SearchParameter, values: Iterable[Any], *, zone: tzinfo, base_url: str) -> Keys:
    """The rows of one parameter for the values its expression found; values of other types make none."""
    found = _Found(parameter, zone, base_url)
    write = _WRITE[parameter.type]
    for value in values:
        try:
            write(found, value)
        except (ValueError, AttributeError, TypeError):
            continue  # not a value of this type, such as a text that is no date
        found.present = True
    present = [parameter.number] if found.present else []
    return Keys(list(found.equal), list(found.text), list(found.ranges), list(found.composites), present)


class _Found:
    """The rows so far."""

    def __init__(self, parameter: SearchParameter, zone: tzinfo, base: str) -> None:
        self.number, self.sounds, self.zone, self.base = parameter.number, parameter.sounds, zone, base
        self.system = implied_system(parameter.expression)
        self.equal: rows.Rows = set()
        self.text: rows.Rows = set()
        self.ranges: rows.Rows = set()
        self.composites: rows.Rows = set()
        self.present = False


def implied_system(expression: str) -> str | dict[str, str]:
    """What a bare code implies where the expression is the plain path of an element with a required
    binding."""
    path = expression.strip()
    element = definitions.element(path) if _PATH.fullmatch(path) else None
    if element is None or element.types != ("code",) or element.binding != "required":
        return ""
    return definitions.code_systems(element.valueset)


def _token(found: _Found, value: Any) -> None:
    if isinstance(value, str) and not found.system:
        rows.string_token(found.equal, found.number, value)
    elif not isinstance(value, dict):
        plain = value if isinstance(value, str | bool) else str(value)
        rows.plain_token(found.equal, found.number, plain, found.system)
    elif "value" in value:
        contact = value.get("system") in _CONTACTS or "rank" in value
        write = rows.contactpoint_token if contact else rows.identifier_token
        write(found.equal, found.text, found.number, _Loose(value))
    elif "coding" in value or ("text" in value and "code" not in value):
        rows.codeableconcept_token(found.equal, found.text, found.number, _Loose(value))
    else:
        rows.coding_token(found.equal, found.text, found.number, _Loose(value))


def _string(found: _Found, value: Any) -> None:
    if isinstance(value, dict):
        if _NAME & value.keys():
            write = rows.name_sound if found.sounds else rows.name_text
            write(found.text, found.number, _Loose(value))
        else:
            rows.address_text(found.text, found.number, _Loose(value))
        return
    plain = rows.plain_sound if found.sounds else rows.plain_text
    plain(found.text, found.number, str(value))


def _date(found: _Found, value: Any) -> None:
    of: Callable[[Any, tzinfo], tuple[int, int]] = spans.of_date
    if isinstance(value, dict):
        of = spans.of_period if "start" in value or "end" in value else spans.of_timing
        value = _Loose(value)
    found.ranges.add((found.number, *of(value, found.zone)))


def _number(found: _Found, value: Any) -> None:
    if isinstance(value, dict):
        spans.range_number(found.ranges, found.number, _Loose(value))
    else:
        spans.plain_number(found.ranges, found.number, value)


def _quantity(found: _Found, value: Any) -> None:
    write = spans.plain_quantity
    if "currency" in value:
        write = spans.money_quantity
    elif "low" in value or "high" in value:
        write = spans.range_quantity
    elif "origin" in value:
        write = spans.sampled_quantity
    write(found.ranges, found.composites, found.number, _Loose(value))


def _reference(found: _Found, value: Any) -> None:
    if isinstance(value, str):
        rows.canonical_key(found.equal, found.number, value, found.base)
    elif "resourceType" in value:
        if "id" in value:
            found.equal.add((found.number, hash_reference(f"{value['resourceType']}/{value['id']}")))
    else:
        rows.reference_key(found.equal, found.number, _Loose(value), found.base)


def _uri(found: _Found, value: Any) -> None:
    rows.uri_key(found.equal, found.text, found.number, value)


_WRITE: dict[str, Callable[[_Found, Any], None]] = {
    "token": _token,
    "string": _string,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
    "reference": _reference,
    "uri": _uri,
}
