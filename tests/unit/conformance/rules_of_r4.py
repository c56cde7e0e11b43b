"""R4's own invariants over a resource (http://hl7.org/fhir/R4/conformance-rules.html#constraints)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hub import fhirpath, r4

EMPTY_IS_FINE = {"ref-1", "bdl-8"}
"""What gives nothing for a Reference without reference and an entry without fullUrl, both of them fine."""
ADVICE = {"dom-6"}
"""A narrative is recommended, not demanded."""


def violated(resource: dict[str, Any]) -> list[str]:
    """Path and key of each invariant that does not hold."""
    kind = resource["resourceType"]
    return list(_walk(resource, kind, resource, resource, kind))


def _walk(
    node: dict[str, Any], kind: str, resource: dict[str, Any], root: dict[str, Any], path: str
) -> Iterator[str]:
    env = {"resource": resource, "rootResource": root}
    for one in r4.constraints(kind):
        found = fhirpath.compile(one.expression)(node, env)
        if found != [True] and one.key not in ADVICE and not (found == [] and one.key in EMPTY_IS_FINE):
            yield f"{path}: {one.key}"
    for name, element in r4.members(kind).items():
        for key, value in node.items():
            types = {name + one[0].upper() + one[1:]: one for one in element.types} if element.choice else {}
            wanted = types.get(key) if element.choice else element.types[0] if key == name else None
            for number, item in enumerate(value if isinstance(value, list) else [value]):
                if wanted is None or not isinstance(item, dict):
                    continue
                inner = item.get("resourceType")
                yield from _walk(
                    item, inner or wanted, item if inner else resource, root, f"{path}.{key}[{number}]"
                )
