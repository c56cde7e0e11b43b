"""Whether an answer is FHIR in the strict sense: its structure, and every rule that its elements have."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx

from hub import fhirpath, r4
from hub.fhirpath import Expression


@cache
def compiled(expression: str) -> Expression:
    return fhirpath.compile(expression)


def broken(body: bytes) -> list[str]:
    """`path: key` of each invariant of R4 that a resource breaks, also those of what lies inside it."""
    tree = r4.tree(body)
    r4.decode(body, tree["resourceType"])
    return list(_resource(tree, tree["resourceType"]))


def _resource(tree: dict[str, Any], place: str, root: dict[str, Any] | None = None) -> Iterator[str]:
    known = {"resource": tree, "rootResource": tree if root is None else root}
    yield from _element(tree, tree["resourceType"], place, known)


def _element(node: dict[str, Any], path: str, place: str, known: dict[str, Any]) -> Iterator[str]:
    for rule in r4.constraints(path):
        # nothing as the result says nothing (bdl-8 of an entry without a fullUrl)
        if rule.severity == "error" and compiled(rule.expression)(node, known) == [False]:
            yield f"{place}: {rule.key}"
    for name, element in r4.members(path).items():
        for kind in element.types:
            member = name + kind[:1].upper() + kind[1:] if element.choice else name
            values = node.get(member)
            for position, value in enumerate(values if isinstance(values, list) else [values]):
                if not isinstance(value, dict):
                    continue
                at = f"{place}.{member}[{position}]"
                if "resourceType" in value:
                    yield from _resource(value, at, known["rootResource"] if name == "contained" else None)
                else:
                    yield from _element(value, kind, at, known)


async def sound(client: httpx.AsyncClient, method: str, url: str, **more: Any) -> httpx.Response:
    """The answer to a request, once it is seen to break no rule."""
    answer = await client.request(method, url, **more)
    if answer.content:
        assert broken(answer.content) == [], answer.text
    return answer
