"""The XHTML of a narrative between JSON, where it is a string, and XML, where it is part of the document.

http://hl7.org/fhir/R4/narrative.html: the text is taken over as it was written, and changed only where the
other format could not carry it.
"""

from __future__ import annotations

import re
from html import escape, unescape
from xml.parsers import expat

from hub.r4.xml_shape import XHTML

_ENTITY = re.compile(r"&(?!amp;|lt;|gt;|quot;|apos;)[A-Za-z][A-Za-z0-9]*;")
_START = re.compile(r"<(?:[A-Za-z_][\w.-]*:)?div(?=[\s/>])")
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class _Unsound(Exception):
    """It is not one element named div."""


def embedded(div: str) -> str:
    """A narrative as it stands in JSON, fit to stand in an XML document.

    Named entities of HTML become characters and a missing namespace is added. What is not one well-formed
    `<div>` (nothing checks that of stored text) is shown as text, every character of it.
    """
    text = _ENTITY.sub(lambda match: escape(unescape(match[0])), _UNFIT.sub("\ufffd", div)).strip()
    try:
        namespace = root_namespace(text)
        if namespace == XHTML:
            return text
        if not namespace:
            return _START.sub(lambda match: f'{match[0]} xmlns="{XHTML}"', text, count=1)
    except (expat.ExpatError, _Unsound):
        pass
    return f'<div xmlns="{XHTML}">{escape(text, quote=False)}</div>'


def detached(div: str, prefixes: dict[str, str]) -> str:
    """A `<div>` cut out of a document, fit to stand alone: prefixes declared around it are declared on it."""
    try:
        root_namespace(div)
        return div
    except expat.ExpatError:
        start = _START.match(div)
        if start is None:
            return div
        head = div[: div.index(">")]
        missing = "".join(
            f' xmlns:{prefix}="{escape(uri)}"'
            for prefix, uri in prefixes.items()
            if f"xmlns:{prefix}=" not in head
        )
        return start[0] + missing + div[start.end() :]


def root_namespace(text: str) -> str:
    """The namespace of the one element `div` that the text is; ExpatError or _Unsound when it is not."""
    roots: list[str] = []
    depth = 0

    def start(name: str, _: object) -> None:
        nonlocal depth
        if depth == 1:
            roots.append(name)
        depth += 1

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    def text_of(data: str) -> None:
        if depth == 1 and not data.isspace():
            raise _Unsound

    parser = expat.ParserCreate("utf-8", " ")
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text_of
    parser.Parse(f"<x>{text}</x>".encode(), True)  # inside, neither a declaration nor a DTD can stand
    namespace, _, name = roots[0].rpartition(" ") if len(roots) == 1 else ("", "", "")
    if name != "div":
        raise _Unsound
    return namespace
