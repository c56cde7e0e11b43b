"""What a differential says of a resource: cardinalities, fixed values, types of choices, slices, constraints.

Just enough of http://hl7.org/fhir/R4/profiling.html to hold the package's profiles against their examples.
"""

from __future__ import annotations

from typing import Any

from hub import fhirpath

Tree = dict[str, Any]


def broken(profile: Tree, resource: Tree, *, warnings: bool = True) -> set[str]:
    """The keys of the constraints that do not hold, and the ids of the elements whose other rules do not."""
    found: set[str] = set()
    elements = {one["id"]: one for one in profile["differential"]["element"]}
    for id, element in elements.items():
        for parent in _parents(id, elements, resource):
            children = [resource] if "." not in id else _children(parent, id.rpartition(".")[2], id, elements)
            found |= _rules(element, parent, children, resource, warnings=warnings)
    return found


def _parents(id: str, elements: dict[str, Tree], resource: Tree) -> list[Any]:
    steps = id.split(".")[:-1]
    nodes: list[Any] = [resource]
    for number, step in enumerate(steps[1:], 2):
        path = ".".join(steps[:number])
        nodes = [child for node in nodes for child in _children(node, step, path, elements)]
    return nodes


def _children(node: Any, step: str, id: str, elements: dict[str, Tree]) -> list[Any]:
    name, _, slice = step.partition(":")
    if not isinstance(node, dict):
        return []
    names = [key for key in node if key == name or (name.endswith("[x]") and key.startswith(name[:-3]))]
    values = [item for key in names for item in (node[key] if isinstance(node[key], list) else [node[key]])]
    return [one for one in values if not slice or _in_slice(one, id, elements)]


def _in_slice(value: Tree, id: str, elements: dict[str, Tree]) -> bool:
    """By the discriminators of the sliced element: each a plain member with a fixed value."""
    base = id.rpartition(":")[0]
    for one in elements[base]["slicing"]["discriminator"]:
        assert one["type"] == "value", one
        fixed = _fixed(elements[f"{id}.{one['path']}"])
        assert fixed is not None, f"{id}: a slice needs a fixed {one['path']}"
        if value.get(one["path"]) != fixed[0]:
            return False
    return True


def _fixed(element: Tree) -> list[Any] | None:
    found = [value for name, value in element.items() if name.startswith(("fixed", "pattern"))]
    return found or None


def _rules(element: Tree, parent: Tree, children: list[Any], resource: Tree, *, warnings: bool) -> set[str]:
    found: set[str] = set()
    many = len(children)
    if many < element.get("min", 0) or (element.get("max", "*") != "*" and many > int(element["max"])):
        found.add(element["id"])
    fixed = _fixed(element)
    if fixed and any(child != fixed[0] for child in children):
        found.add(element["id"])
    if element["id"].endswith("[x]") and "type" in element:
        name = element["path"].rpartition(".")[2][:-3]
        allowed = {name + one["code"][0].upper() + one["code"][1:] for one in element["type"]}
        if any(key.startswith(name) and key not in allowed for key in parent):
            found.add(element["id"])
    for one in element.get("constraint", []):
        if one["severity"] == "error" or warnings:
            asked = fhirpath.compile(one["expression"])
            if not all(asked.truth(child, {"resource": resource}) for child in children):
                found.add(one["key"])
    return found
