"""From FHIR XML to FHIR JSON (http://hl7.org/fhir/R4/xml.html), every literal as it stands in the XML.

Only what JSON could not show is judged here; the JSON then goes the way of every other. The order of elements
is not demanded (JSON has none either): repetitions keep theirs. Comments and processing instructions are left
out. A DTD is refused before anything in it is read, so there are no entities but XML's own five.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any
from xml.parsers import expat

import msgspec

from hub.errors import InvalidResource, Issue
from hub.r4 import definitions
from hub.r4.narrative import detached
from hub.r4.primitives import INTEGERS
from hub.r4.xml_shape import FHIR, NUMBERS, SPACED, XHTML, Shape, shapes

MAX_DEPTH = 200
MAX_ISSUES = 100
_BLANK = " \t\n\r"
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?").fullmatch
_TAG = re.compile(rb"""<(?:[^"'>]|"[^"]*"|'[^']*')*>""").match
_SCHEMA = "http://www.w3.org/2001/XMLSchema-instance "
_NO_EXTENSION: dict[str, Shape] = {}
_encode = msgspec.json.Encoder().encode


class _Refused(Exception):
    """Reading ends here; carries the issue."""

    def __init__(self, text: str) -> None:
        self.issue = Issue(severity="fatal", code="structure", diagnostics=text)


class _Open:
    """An element whose end has not come yet.

    node   its JSON members so far; of a primitive those of the element beside it
    value  of a primitive; `counts` how many of each child there are
    """

    __slots__ = ("children", "counts", "index", "node", "outer", "shape", "value")

    def __init__(self, shape: Shape, outer: _Open | None, children: dict[str, Shape]) -> None:
        self.shape = shape
        self.outer = outer
        self.children = children
        self.node: dict[str, Any] = {}
        self.counts: dict[str, int] = {}
        self.value: Any = None
        self.index = 0

    def path(self) -> str:
        """FHIRPath, as the issues of the codec have it."""
        if self.outer is None:
            return str(self.node.get("resourceType", self.shape.kind))
        if self.outer.shape.kind == "Resource":
            return self.outer.path() if self.outer.outer is not None else self.shape.kind
        name = self.shape.element
        return (
            f"{self.outer.path()}.{name}[{self.index}]" if self.shape.many else f"{self.outer.path()}.{name}"
        )


def read(body: bytes) -> bytes:
    """The resource as JSON, which may still be invalid R4.

    Raises InvalidResource with every issue for what is not well-formed, has a DTD, another encoding than
    UTF-8, more than 200 levels, or elements, attributes and text that no resource has.
    """
    reader = _Reader(body)
    try:
        if b"\0" in body:  # the parser would take it for UTF-16
            raise _Refused("not well-formed XML: expected UTF-8 text, found NUL bytes")
        reader.parser.Parse(body, True)
    except expat.ExpatError as error:
        text = f"not well-formed XML: {expat.ErrorString(error.code)} (line {error.lineno})"
        raise InvalidResource(issues=[Issue(severity="fatal", code="structure", diagnostics=text)]) from error
    except _Refused as refused:
        raise InvalidResource(issues=[*reader.issues, refused.issue]) from None
    if reader.issues:
        raise InvalidResource(issues=reader.issues)
    return _encode(reader.root)


class _Reader:
    """The events of one document."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.root: dict[str, Any] = {}
        self.issues: list[Issue] = []
        self.open: _Open | None = None
        self.depth = 0
        self.skipped = 0
        self.prefixes: dict[str, list[str]] = {}
        self.div = -1
        self.parser = parser = expat.ParserCreate("utf-8", " ")
        parser.buffer_text = True
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.text
        parser.XmlDeclHandler = self.declared
        parser.StartDoctypeDeclHandler = self.doctype
        parser.StartNamespaceDeclHandler = self.prefix
        parser.EndNamespaceDeclHandler = self.prefix_ends

    # -- what the parser tells

    def declared(self, _: str, encoding: str | None, __: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "utf8", "us-ascii"):
            raise _Refused("XML declaration: expected the encoding UTF-8")

    def doctype(self, *_: object) -> None:
        raise _Refused("a document type declaration is not allowed")

    def prefix(self, prefix: str | None, uri: str | None) -> None:
        if prefix is not None:
            self.prefixes.setdefault(prefix, []).append(uri or "")

    def prefix_ends(self, prefix: str | None) -> None:
        if prefix is not None:
            self.prefixes[prefix].pop()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Refused(f"nested too deeply: more than {MAX_DEPTH} levels")
        if self.skipped:
            self.skipped += 1
            return
        namespace, _, name = tag.rpartition(" ")
        opened = (
            self.open_resource(namespace, name)
            if self.expects_resource()
            else self.open_child(namespace, name)
        )
        if opened is None:
            self.skipped = 1
            return
        self.open = opened
        if attributes:
            self.attributes(opened, attributes)

    def end(self, _: str) -> None:
        self.depth -= 1
        if self.skipped:
            self.skipped -= 1
            if not self.skipped and self.div >= 0:
                self.narrative()
            return
        closed = self.open
        assert closed is not None
        self.open = closed.outer
        self.close(closed)

    def text(self, data: str) -> None:
        if not self.skipped and data.strip(_BLANK):
            self.wrong(self.open, "text between the elements; a value stands in the attribute value")

    # -- elements

    def expects_resource(self) -> bool:
        return self.open is None or self.open.shape.kind == "Resource"

    def open_resource(self, namespace: str, name: str) -> _Open | None:
        """A resource: the document itself, or the one child of `contained`, `resource`, `outcome`."""
        if namespace != FHIR:
            self.wrong(self.open, f"expected a resource in the namespace {FHIR}")
            return None
        if not definitions.is_type(name):
            self.wrong(self.open, f"{_shown(name)} is no R4 resource type")
            return None
        if self.open is not None and self.open.node:
            self.wrong(self.open, "expected one resource, found another")
            return None
        found = _Open(_resource(name), self.open, shapes(name))
        found.node["resourceType"] = name
        if self.open is not None:
            self.open.node["resource"] = found.node
        return found

    def open_child(self, namespace: str, name: str) -> _Open | None:
        outer = self.open
        assert outer is not None
        shape = outer.children.get(name)
        wanted = XHTML if shape is not None and shape.kind == "xhtml" else FHIR
        if shape is None or shape.attribute or namespace != wanted:
            other = "" if namespace == wanted else " in this namespace"
            self.wrong(outer, f"{outer.shape.kind} has no element {_shown(name)}{other}")
            return None
        count = outer.counts.get(name, 0)
        outer.counts[name] = count + 1
        if count and not shape.many:
            self.wrong(outer, f"the element {name} may stand there once")
            return None
        if shape.kind == "xhtml":
            self.div = self.parser.CurrentByteIndex
            return None
        found = _Open(shape, outer, _children(shape))
        found.index = count
        return found

    def attributes(self, opened: _Open, given: dict[str, str]) -> None:
        for name, value in given.items():
            if opened.shape.primitive:
                if name == "value":
                    opened.value = self.value(opened, value)
                    continue
                if name == "id":
                    opened.node["id"] = value
                    continue
            else:
                shape = opened.children.get(name)
                if shape is not None and shape.attribute:
                    opened.node[name] = value
                    continue
            if not name.startswith(_SCHEMA):
                self.wrong(opened, f"no attribute {_shown(name.rpartition(' ')[2])} may stand here")

    def value(self, opened: _Open, text: str) -> Any:
        """The JSON value of a primitive: its text, a number with the same digits, a truth value."""
        kind = opened.shape.kind
        if kind in SPACED:
            return text
        text = text.strip(_BLANK)
        if kind == "boolean":
            if text not in ("true", "false"):
                self.wrong(opened, "expected true or false", code="value")
            return text == "true"
        if kind not in NUMBERS:
            return text
        number = text[1:] if kind in INTEGERS and text[:1] == "+" else text
        if _NUMBER(number) is None:
            self.wrong(opened, f"expected a number ({kind})", code="value")
            return 0
        return msgspec.Raw(number.encode())

    def close(self, closed: _Open) -> None:
        """Put what is complete where it belongs."""
        outer, shape = closed.outer, closed.shape
        if outer is None:
            self.root = closed.node
        elif outer.shape.kind == "Resource":
            pass
        elif shape.primitive:
            self.close_primitive(outer, closed)
        else:
            node: Any = closed.node
            if shape.kind == "Resource":
                node = node.get("resource")
                if node is None:
                    self.wrong(closed, "expected a resource in it, found none")
                    return
            elif not node:
                self.wrong(closed, "an element must not be empty")
                return
            if shape.many:
                outer.node.setdefault(shape.name, []).append(node)
            else:
                outer.node[shape.name] = node

    def close_primitive(self, outer: _Open, closed: _Open) -> None:
        name, node, value = closed.shape.name, closed.node, closed.value
        if value is None and not node:
            self.wrong(closed, "an element has a value, extensions or both")
            return
        if not closed.shape.many:
            if value is not None:
                outer.node[name] = value
            if node:
                outer.node["_" + name] = node
            return
        outer.node.setdefault(name, []).append(value)
        beside = outer.node.get("_" + name)
        if node or beside is not None:
            if beside is None:
                beside = outer.node["_" + name] = [None] * (len(outer.node[name]) - 1)
            beside.append(node or None)

    def narrative(self) -> None:
        """The div that ends here, as it stands in the document."""
        begin, end = self.div, self.parser.CurrentByteIndex
        self.div = -1
        head = _end_of_tag(self.body, begin)
        end = head if self.body.endswith(b"/>", begin, head) else self.body.index(b">", end) + 1
        declared = {prefix: uris[-1] for prefix, uris in self.prefixes.items() if uris}
        assert self.open is not None
        self.open.node["div"] = detached(self.body[begin:end].decode(), declared)

    def wrong(self, where: _Open | None, text: str, *, code: str = "structure") -> None:
        """Note an issue; after many of them reading ends."""
        path = where.path() if where is not None else ""
        self.issues.append(Issue(code=code, expression=path, diagnostics=text))
        if len(self.issues) >= MAX_ISSUES:
            raise _Refused("more than 100 elements or attributes that no resource has")


@cache
def _resource(name: str) -> Shape:
    return Shape(name, name, name, 0, many=False, primitive=False, attribute=False)


def _children(shape: Shape) -> dict[str, Shape]:
    """The elements that may stand in one; in a primitive only extensions."""
    if shape.primitive:
        return {"extension": shapes("Element")["extension"]}
    return _NO_EXTENSION if shape.kind == "Resource" else shapes(shape.kind)


def _end_of_tag(body: bytes, begin: int) -> int:
    """Behind the `>` of the tag that begins there; attribute values may contain one, too."""
    found = _TAG(body, begin)
    return found.end() if found else len(body)


def _shown(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,63}", name) else "(unreadable name)"
