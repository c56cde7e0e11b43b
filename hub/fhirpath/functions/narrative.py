"""htmlChecks(): is a narrative's XHTML within what FHIR allows?

http://hl7.org/fhir/R4/narrative.html#xhtml and http://hl7.org/fhir/R4/fhirpath.html#functions
"""

from __future__ import annotations

import re
from html.entities import html5

from hub.fhirpath.functions.signature import Entry, Environment
from hub.fhirpath.nodes import Items, plain

_XHTML = "{http://www.w3.org/1999/xhtml}"
_XML = "{http://www.w3.org/XML/1998/namespace}"
_ELEMENT_NAMES = """
a abbr acronym area b big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3
h4 h5 h6 hr i img li map ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr
tt ul var
"""
_ATTRIBUTE_NAMES = """
accesskey abbr align alt axis border cellpadding cellspacing char charoff charset cite class colspan
coords dir frame headers height href hreflang id idref ismap lang longdesc name nohref rel rev
rowspan rules scope shape span src start style summary tabindex title type usemap valign width
"""
_ELEMENTS = frozenset(_XHTML + name for name in _ELEMENT_NAMES.split())
_ATTRIBUTES = frozenset((*_ATTRIBUTE_NAMES.split(), _XML + "lang", _XML + "space"))
_ENTITY = re.compile(r"&(\w+;)")
_PLAIN_ENTITIES = frozenset(("amp;", "lt;", "gt;", "quot;", "apos;"))


def is_allowed(text: str) -> bool:
    """One `<div>` of allowed elements and attributes, with something to read or see in it."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        return False
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(_ENTITY.sub(_character, text).encode(), parser)
    except (etree.XMLSyntaxError, ValueError):
        return False
    if root.tag != _XHTML + "div":
        return False
    seen = False
    for node in root.iter():
        if not isinstance(node.tag, str):
            continue
        if node.tag not in _ELEMENTS or not _ATTRIBUTES.issuperset(map(str, node.attrib)):
            return False
        seen = seen or node.tag == _XHTML + "img"
    return seen or any(text.strip() for text in map(str, root.itertext()))


def _character(match: re.Match[str]) -> str:
    name = match[1]
    return match[0] if name in _PLAIN_ENTITIES else html5.get(name, match[0])


def _html_checks(items: Items, _: Environment) -> Items:
    if not items:
        return ()
    text = plain(items[0]) if len(items) == 1 else None
    return (isinstance(text, str) and is_allowed(text),)


FUNCTIONS: dict[str, Entry] = {"htmlChecks": Entry(_html_checks, 0, 0)}
