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

XHTML = "{http://www.w3.org/1999/xhtml}"
_TAG_NAMES = (
    "a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 "
    "h5 h6 hr i img li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul "
    "var "
)
_ATTRIBUTE_NAMES = (
    "abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char "
    "charoff charset cite class colspan compact coords dir frame headers height href hreflang hspace id "
    "lang longdesc name nowrap rel rev rowspan rules scope shape span src start style summary tabindex "
    "title type valign value vspace width "
)
_TAGS = frozenset(_TAG_NAMES.split())
_ATTRIBUTES = frozenset(_ATTRIBUTE_NAMES.split())
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
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
    """Why a narrative may not be shown, or empty (rules txt-1 and txt-2)."""
    # a parser of its own: lxml must never follow an entity, a DTD or the network
    if "<!DOCTYPE" in div:
        return "txt-1: a document type is not allowed"
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        root = etree.fromstring(div.encode(), parser)
    except etree.XMLSyntaxError as error:
        return f"txt-1: not well-formed XHTML ({error.lineno}:{error.offset})"
    if root.tag != XHTML + "div":
        return "txt-1: one div in the namespace http://www.w3.org/1999/xhtml"
    for element in root.iter():
        problem = _forbidden(element)
        if problem:
            return f"txt-1: {problem}"
    if not "".join(map(str, root.itertext())).strip() and root.find(f".//{XHTML}img") is None:
        return "txt-2: the narrative must have some content"
    return ""


def _forbidden(element: Any) -> str:
    tag = element.tag
    if not isinstance(tag, str):
        return "entities and processing instructions are not allowed"
    if not tag.startswith(XHTML) or tag.removeprefix(XHTML) not in _TAGS:
        return f"the element {etree.QName(element).localname[:40]} is not allowed"
    for name, value in element.attrib.items():
        if name not in _ATTRIBUTES and name != _XML_LANG:
            return f"the attribute {etree.QName(name).localname[:40]} is not allowed"
        if name in ("href", "src") and not _harmless(value):
            return f"this kind of {name} is not allowed"
    return ""


def _harmless(link: str) -> bool:
    """A relative link, an anchor, or one of the schemes that run nothing."""
    compact = "".join(link.split()).lower()
    head = compact.partition("/")[0].partition("?")[0].partition("#")[0]
    return ":" not in head or compact.startswith(_SCHEMES)
