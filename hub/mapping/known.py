"""What a document reads or ignores at the top of a message: segments, or members of a JSON object.

Known before any message comes, so that finding what a message holds besides costs one look per segment type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from hub import fhirpath
from hub.errors import Issue
from hub.fhirpath import ast
from hub.mapping.document import Document, Fields, Items, Node, Scalar

_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}")
_WORD = {"hl7v2": "segment", "json": "member"}


def known_parts(document: Document) -> frozenset[str]:
    """The segment ids (HL7 v2) or member names (JSON, of any level) that expressions or `ignore` name."""
    found = {"MSH"} if document.format == "hl7v2" else set()
    ignored = document.root.entries.get("ignore")
    for item in ignored.items if isinstance(ignored, Items) else ():
        if isinstance(item, Fields):
            found.add(item.text("path").partition(".")[0])
    for text in expressions(document.root):
        for node in nodes(fhirpath.parse(text, members_by_number=document.format == "hl7v2")):
            if isinstance(node, ast.Member):
                found.add(node.name)
            elif isinstance(node, ast.Call) and node.name in ("group", "before"):
                found |= {str(one.value) for one in node.arguments if isinstance(one, ast.Literal)}
    if document.format == "hl7v2":
        found = {name for name in found if _SEGMENT.fullmatch(name)}
    return frozenset(found)


def unknown_parts(document: Document, parts: Iterable[str]) -> list[Issue]:
    """One finding for each of `parts`, which the document neither reads nor ignores."""
    word = _WORD[document.format]
    return [
        Issue(
            severity="information",
            code="informational",
            diagnostics=f"{word} {part} is not mapped by {document.name}",
            expression=part,
        )
        for part in parts
    ]


def expressions(node: Node) -> Iterator[str]:
    """Every expression below a node of a document."""
    if isinstance(node, Scalar):
        if node.expression is not None:
            yield node.expression
    elif isinstance(node, Items):
        for item in node.items:
            yield from expressions(item)
    elif isinstance(node, Fields):
        for value in node.entries.values():
            yield from expressions(value)


def nodes(node: ast.Node) -> Iterator[ast.Node]:
    """A node of a FHIRPath expression and all below it."""
    yield node
    for name in node.__struct_fields__:
        value = getattr(node, name)
        for one in value if isinstance(value, tuple | list) else (value,):
            if isinstance(one, ast.Node):
                yield from nodes(one)


__all__ = ["expressions", "known_parts", "nodes", "unknown_parts"]
