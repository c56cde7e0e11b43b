"""The R4 structure of a resource, and its narrative, as issues with exact paths.

`hub.r4.decode` refuses whatever breaks the structure before anything is stored; here the same findings are
listed without raising, together with what makes a narrative unsafe to show
(http://hl7.org/fhir/R4/narrative.html).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from hub import r4
from hub.errors import InvalidResource, Issue
from hub.fhirpath.functions.narrative import is_allowed

_XHTML = "http://www.w3.org/1999/xhtml"
_DIV = re.compile(rb'"div"\s*:\s*("(?:[^"\\]|\\.)*")')
_ESCAPED_NAME = re.compile(rb'\\[^"\s]*"\s*:')
_START = re.compile(r"\s*<div(?=[\s/>])")
_LINKS = ("href", "src", "cite", "longdesc")
_SCHEMES = ("http:", "https:", "mailto:", "tel:", "urn:", "data:image/")


def validate(body: bytes, type_name: str | None = None) -> list[Issue]:
    """Every structural issue of a resource, then those of its narratives; empty if it is sound."""
    found: list[Issue] = []
    try:
        r4.decode(body, type_name, strict_keys=True)
    except InvalidResource as refused:
        found += refused.issues
        if any(issue.severity == "fatal" for issue in found):
            return found
    return found + narrative_issues(body)


def check_narratives(body: bytes) -> None:
    """What every write passes through: InvalidResource for a narrative that is not safe to show.

    A div without the namespace of XHTML is let through (many clients leave it out); `$validate` names it.
    """
    divs = [str(json.loads(raw)) for raw in _DIV.findall(body)]
    if b"\\u" in body and _ESCAPED_NAME.search(body):
        divs += _divs(r4.tree(body))  # a member's name written with escapes
    for div in divs:
        named = div if _XHTML in div else _START.sub(f'<div xmlns="{_XHTML}"', div, count=1)
        problem = unsafe(named)
        if problem:
            issues = [one for one in narrative_issues(body) if one.diagnostics == problem]
            raise InvalidResource(issues=issues or [Issue(code="invariant", diagnostics=problem)])


def _divs(node: Any) -> list[str]:
    """Every member named `div` that is a string."""
    if isinstance(node, list):
        return [div for item in node for div in _divs(item)]
    if not isinstance(node, dict):
        return []
    own = [node["div"]] if isinstance(node.get("div"), str) else []
    return own + [div for value in node.values() if isinstance(value, dict | list) for div in _divs(value)]


def narrative_issues(body: bytes) -> list[Issue]:
    """The issues of every Narrative in a resource; quick where it has none."""
    if b'"div"' not in body:
        return []
    tree = r4.tree(body)
    return list(narratives(tree, str(tree.get("resourceType", ""))))


def narratives(node: Any, path: str) -> Iterator[Issue]:
    """The issues of every Narrative at or below a node."""
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
        return "txt-1, txt-2: one div of XHTML with allowed elements and attributes, and some content"
    if not any(name in div for name in _LINKS):
        return ""
    # its structure is sound by now: `recover` only lets the named entities of HTML pass
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=True)
    for element in etree.fromstring(div.encode(), parser).iter():
        for name in _LINKS:
            if not _harmless(str(element.get(name) or "")):
                return f"this kind of {name} is not allowed"
    return ""


def _harmless(link: str) -> bool:
    """A relative link, an anchor, or one of the schemes that run nothing."""
    compact = "".join(link.split()).lower()
    head = compact.partition("/")[0].partition("?")[0].partition("#")[0]
    return ":" not in head or compact.startswith(_SCHEMES)
