"""The last word on a hit: its own body, where hashes may collide and rows are not exact.

The search parameter's own expression finds the values (http://hl7.org/fhir/R4/search.html#modifiers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any

from hub import r4
from hub.r4.hashes import folded, folded_text
from hub.store import extracting
from hub.store.search.conditions import Span
from hub.store.search.escapes import split, unescape
from hub.store.search.query import Asked
from hub.store.search.tokens import token_test, tokens_in

_PARTS = frozenset(
    [
        "text",
        "family",
        "given",
        "prefix",
        "suffix",
        "line",
        "city",
        "district",
        "state",
        "postalCode",
        "country",
    ]
)
"""The strings of names and addresses that a search covers (http://hl7.org/fhir/R4/search.html#string)."""


def certain(asked: Asked, body: bytes) -> bool:
    """Whether the body really holds one of the values.

    Plain tokens, and what `search.compiling` leaves to the body: strings, `:below`, canonical versions
    and composites with a string. True for everything else.
    """
    kind, modifier = asked.parameter.type, asked.modifier
    if not asked.parameter.expression:  # _text, _content: their rows are made of the whole text
        return True
    if kind == "string" and modifier in _STRINGS and not asked.parameter.sounds:
        holds = _STRINGS[modifier]
        wanted = [unescape(value) for value in asked.values]
        return any(holds(text, one) for text in _texts(values(asked, body)) for one in wanted)
    if kind == "token" and modifier == "":
        tests = [token_test(value) for value in asked.values]
        found = tokens_in(values(asked, body), asked.parameter)
        return any(test(*token) for token in found for test in tests)
    if kind == "composite" and "string" in asked.parameter.components:
        return any(_pair(asked, value, r4.tree(body)) for value in asked.values)
    below = _BELOW.get(kind) if modifier == "below" else None
    if kind == "uri" and modifier == "" and asked.parameter.code == "url":
        below = _is_version
    if below is None:
        return True
    tree = r4.tree(body)
    wanted = [unescape(value) for value in asked.values]
    return any(below(text, one, tree) for text in _leaves(values(asked, body)) for one in wanted)


def values(asked: Asked, body: bytes) -> list[Any]:
    """What the parameter's expression finds in a body."""
    return extracting.values(asked.parameter, body)


def of_system(asked: Asked, body: bytes, system: str, span: Span) -> bool:
    """Whether a quantity in the body has any unit of this system, and a value in the span."""
    found = [one for one in values(asked, body) if isinstance(one, dict) and _unit_system(one) == system]
    rows = r4.loose_keys(asked.parameter, found, zone=UTC, base_url="").ranges
    return any(span.match(low, high) for _, low, high in rows)


def _unit_system(quantity: dict[str, Any]) -> str:
    """Of a Quantity, a Money, or a Range or SampledData by what they are made of."""
    if "currency" in quantity:
        return r4.CURRENCIES
    inner = next((quantity[name] for name in ("low", "high", "origin") if name in quantity), quantity)
    return str(inner.get("system", ""))


_STRINGS: dict[str, Callable[[str, str], bool]] = {
    "": lambda text, wanted: _comparable(text, wanted).startswith(_comparable(wanted, wanted)),
    "exact": lambda text, wanted: text == wanted,
    "contains": lambda text, wanted: _comparable(wanted, wanted) in _comparable(text, wanted),
}


def _comparable(text: str, wanted: str) -> str:
    """A text without punctuation, unless nothing else is wanted."""
    return folded_text(text) if folded_text(wanted) else folded(text)


def _uri_below(text: str, wanted: str, tree: Any) -> bool:
    """By path: `http://a/b` is above `http://a/b/c` and not above `http://a/bc`."""
    return text == wanted or text.startswith(wanted if wanted.endswith("/") else wanted + "/")


def _mime_below(text: str, wanted: str, tree: Any) -> bool:
    return text == wanted or text.partition(";")[0].strip() == wanted


def _canonical_below(text: str, wanted: str, tree: Any) -> bool:
    """`url` is above every version, `url|1` above 1 and 1.2."""
    url, _, version = wanted.partition("|")
    found, _, its = text.partition("|")
    return found == url and (not version or its == version or its.startswith(version + "."))


def _is_version(text: str, wanted: str, tree: Any) -> bool:
    """`url|version` of a resource that has both."""
    url, _, version = wanted.rpartition("|")
    return text == wanted or (bool(url) and text == url and tree.get("version") == version)


_BELOW: dict[str, Callable[[str, str, Any], bool]] = {
    "uri": _uri_below,
    "token": _mime_below,
    "reference": _canonical_below,
}


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for one in node:
            yield from _texts(one)
    elif isinstance(node, dict):
        for name in _PARTS.intersection(node):
            yield from _texts(node[name])


def _leaves(node: list[Any]) -> Iterator[str]:
    return (one for one in node if isinstance(one, str))


def _pair(asked: Asked, value: str, tree: Any) -> bool:
    """A composite with a string: the parts of one group both match, the string by its beginning."""
    wanted = split(value, "$")
    for steps, *plans in asked.parameter.plan or ():
        for group in _walk([tree], steps):
            if all(
                _part(kind, one, [leaf for path, *_ in plan for leaf in _walk([group], path)])
                for kind, one, plan in zip(asked.parameter.components, wanted, plans, strict=True)
            ):
                return True
    return False


def _part(kind: str, wanted: str, found: list[Any]) -> bool:
    if kind == "string":
        return any(_STRINGS[""](text, unescape(wanted)) for text in _texts(found))
    test = token_test(wanted)
    return any(test(*token) for token in tokens_in(found))


def _walk(nodes: list[Any], steps: list[Any]) -> list[Any]:
    """Follow the members that a plan names."""
    for step in steps:
        if step[0] == "f":
            found = [node[step[1]] for node in nodes if isinstance(node, dict) and step[1] in node]
            nodes = [leaf for one in found for leaf in (one if isinstance(one, list) else [one])]
        elif step[0] == "first":
            nodes = nodes[:1]
    return nodes
