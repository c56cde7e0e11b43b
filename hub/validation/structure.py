"""The R4 structure of a resource, and its narrative, as issues with exact paths.

`hub.r4.decode` refuses whatever breaks the structure before anything is stored; here the same findings are
listed without raising, together with what makes a narrative unsafe to show
(http://hl7.org/fhir/R4/narrative.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lxml import etree

from hub import r4
from hub.errors import InvalidResource, Issue
from hub.fhirpath.functions.narrative import is_allowed

_SCHEMES = ("http:", "https:", "mailto:", "tel:", "urn:", "data:image/")


def validate(body: bytes, type_name: str | None = None) -> list[Issue]:
    """Every structural issue of a resource, then those of its narratives; empty if it is sound."""
    try:
        r4.decode(body, type_name, strict_keys=True)
    except InvalidResource as refused:
        return list(refused.issues)
    tree = r4.tree(body)
    return list(narratives(tree, tree["resourceType"]))


def narratives(node: Any, path: str) -> Iterator[Issue]:
    """The issues of every Narrative at or below a node of a sound resource."""
    if isinstance(node, list):
        for position, item in enumerate(node):
            yield from narratives(item, f"{path}[{position}]")
    elif isinstance(node, dict):
        if isinstance(node.get("div"), str) and "status" in node:
            problem = unsafe(node["div"])
            if problem:
                yield Issue(code="invariant", expression=f"{path}.div", diagnostics=problem)
            return
        for name, value in node.items():
            if isinstance(value, dict | list):
                yield from narratives(value, f"{path}.{name}")


def unsafe(div: str) -> str:
    """Why a narrative may not be shown, or empty: rules txt-1 and txt-2, and links that would run code."""
    if not is_allowed(div):
        return "txt-1, txt-2: one div with allowed XHTML elements and attributes, and some content"
    # its structure is sound by now: `recover` only lets the named entities of HTML pass
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=True)
    for element in etree.fromstring(div.encode(), parser).iter():
        for name in ("href", "src", "cite", "longdesc"):
            if not _harmless(str(element.get(name) or "")):
                return f"this kind of {name} is not allowed"
    return ""


def _harmless(link: str) -> bool:
    """A relative link, an anchor, or one of the schemes that run nothing."""
    compact = "".join(link.split()).lower()
    head = compact.partition("/")[0].partition("?")[0].partition("#")[0]
    return ":" not in head or compact.startswith(_SCHEMES)
