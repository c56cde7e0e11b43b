"""The last word on a hit: its own body, where hashes may collide and folded text is not exact.

The search parameter's own expression finds the values (http://hl7.org/fhir/R4/search.html#exact).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hub import r4
from hub.store.compiling import parts_of_token, unescape
from hub.store.query import Asked


def certain(asked: Asked, body: bytes) -> bool:
    """Whether the body really holds one of the values. Only tokens and exact strings are looked at."""
    if asked.modifier == "exact":
        wanted = {unescape(value) for value in asked.values}
        return any(text in wanted for text in _texts(_values(asked, body)))
    if asked.parameter.type == "token" and asked.modifier == "":
        tests = [_token_test(value) for value in asked.values]
        found = list(_tokens(_values(asked, body)))
        return any(test(system, code) for test in tests for system, code in found)
    return True


def _values(asked: Asked, body: bytes) -> list[Any]:
    from hub import fhirpath  # loaded when a recheck is first needed

    expression = fhirpath.compile(asked.parameter.expression)
    return expression(r4.tree(body))


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for one in node:
            yield from _texts(one)
    elif isinstance(node, dict):
        for one in node.values():
            yield from _texts(one)


def _token_test(value: str) -> Callable[[str, str], bool]:
    system, code = parts_of_token(value)
    return lambda s, c: (system is None or s == system) and (code is None or c == code)


def _tokens(node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, bool):
        yield "", "true" if node else "false"
    elif isinstance(node, str):
        yield "", node
    elif isinstance(node, list):
        for one in node:
            yield from _tokens(one)
    elif isinstance(node, dict):
        if "coding" in node:
            yield from _tokens(node["coding"])
        yield node.get("system", ""), node.get("code") or node.get("value") or ""
