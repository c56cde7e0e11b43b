"""Translate the expressions of SearchParameters into small plans, at build time.

A plan is a list of branches. A branch is `[steps, terminal, valueset]`: steps lead from the resource to the
value, `terminal` is the data type found there, `valueset` the required one of a code (else empty). The steps:

    ["f", attr, many]          member `attr`; many: 1 for a list
    ["eq", attr, value]        keep the node if its member equals value
    ["ref", type]              keep the Reference if it points at that type
    ["ext", url]               keep the Extension with that url (after ["f", "extension", 1])
    ["hasext", url]            keep the node if it carries that extension
    ["first"]                  keep only the first node
    ["root"]                   go back to the resource (components that begin with %resource)
    ["true", a, b]             token: boolean member a is true, or member b is there

FHIRPath of search parameters: http://hl7.org/fhir/R4/search.html#expression
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Branch = list[Any]
Elements = Callable[[str], "dict[str, dict[str, Any]]"]

TOKEN = re.compile(r"\s*(?:('(?:[^'\\]|\\.)*')|(%?[A-Za-z][A-Za-z0-9]*)|(\d+)|(!=|[().|=\[\],]))")

_TERMINALS = {
    "token": "Coding CodeableConcept Identifier ContactPoint code string id boolean uri canonical markdown",
    "string": "string markdown HumanName Address",
    "date": "date dateTime instant Period Timing",
    "reference": "Reference canonical uri Resource",
    "quantity": "Quantity Money Range Age Duration Count Distance SampledData",
    "number": "decimal integer positiveInt unsignedInt Range",
    "uri": "uri url canonical oid uuid",
    "special": "Location.position",
}
"""Type of parameter → data types it can index."""


class NotCompiled(Exception):
    """The expression is outside what the plans can say; the text is the reason."""


def compile_plan(
    resource: str, kind: str, expression: str, elements: Elements, start: str = ""
) -> list[Branch]:
    """The branches of one parameter for one resource type; raises NotCompiled.

    `start` is the type path that a component expression is relative to (composites).
    """
    allowed = frozenset(_TERMINALS[kind].split())
    plan: list[Branch] = []
    found = _Parser(expression, resource, elements, start).parse()
    if not found:
        raise NotCompiled("its expression names another type (an erratum of R4)")
    for steps, path in found:
        plan += _finish(steps, path, allowed, elements)
    if not plan:
        raise NotCompiled(f"no value of a type that {kind} parameters index")
    return plan


def nodes(resource: str, expression: str, elements: Elements) -> list[tuple[list[Any], str]]:
    """Where the components of a composite start: (steps, type path)."""
    return [(s, p) for s, p in _Parser(expression, resource, elements, "").parse() if s or p == resource]


def _finish(steps: list[Any], path: str, allowed: frozenset[str], elements: Elements) -> list[Branch]:
    if path == "Extension":
        members = elements("Extension")["value"]
        return [
            [[*steps, ["f", "value" + t[0].upper() + t[1:], 0]], t, ""]
            for t in members["types"]
            if t in allowed
        ]
    if path == "#true":
        return [[steps, "boolean", ""]]
    kind, _, valueset = path.partition("@")
    return [[steps, kind, valueset]] if kind in allowed else []


class _Parser:
    """Recursive descent over the subset of FHIRPath that R4 search parameters use."""

    def __init__(self, text: str, resource: str, elements: Elements, start: str) -> None:
        self.tokens: list[str] = []
        position = 0
        while position < len(text.rstrip()):
            match = TOKEN.match(text, position)
            if not match:
                raise NotCompiled(f"cannot read {text[position:]!r}")
            self.tokens.append(match.group(0).strip())
            position = match.end()
        self.resource, self.elements, self.start, self.at = resource, elements, start, 0

    def parse(self) -> list[tuple[list[Any], str]]:
        found = self.union()
        if self.at < len(self.tokens):
            raise NotCompiled(f"unexpected {self.tokens[self.at]!r}")
        return found

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.peek()
        if expected and token != expected:
            raise NotCompiled(f"expected {expected!r}, found {token!r}")
        self.at += 1
        return token

    def union(self) -> list[tuple[list[Any], str]]:
        found = self.cast()
        while self.peek() == "|":
            self.take()
            found = found + self.cast()
        if self.peek() == "and":
            return self.deceased(found)
        return found

    def deceased(self, found: list[tuple[list[Any], str]]) -> list[tuple[list[Any], str]]:
        """`X.exists() and X != false`, where X is boolean or dateTime."""
        self.at = len(self.tokens)
        names = sorted(steps[-1][1] for steps, _ in found if len(steps) == 1)
        if len(names) != 2 or not names[0].endswith("Boolean"):
            raise NotCompiled("`and` beyond `x.exists() and x != false`")
        return [([["true", *names]], "#true")]

    def cast(self) -> list[tuple[list[Any], str]]:
        found = self.path()
        if self.peek() == "as":
            self.take()
            found = self.narrowed(found, self.take())
        return found

    def narrowed(self, found: list[tuple[list[Any], str]], kind: str) -> list[tuple[list[Any], str]]:
        return [(steps, path) for steps, path in found if path.partition("@")[0].lower() == kind.lower()]

    def path(self) -> list[tuple[list[Any], str]]:
        if self.peek() == "(":
            self.take()
            found = self.union()
            self.take(")")
        else:
            found = self.root(self.take())
        while self.peek() in (".", "["):
            if self.take() == "[":
                if self.take() != "0":
                    raise NotCompiled("an index other than 0")
                self.take("]")
                found = [([*steps, ["first"]], path) for steps, path in found]
                continue
            name = self.take()
            found = self.call(found, name) if self.peek() == "(" else self.member(found, name)
        return found

    def root(self, name: str) -> list[tuple[list[Any], str]]:
        if name == "%resource":
            return [([["root"]], self.resource)]
        if name.startswith("%"):
            raise NotCompiled(f"the variable {name}")
        if self.start:
            here: list[tuple[list[Any], str]] = [([], self.start)]
            return self.call(here, name) if self.peek() == "(" else self.member(here, name)
        if name in (self.resource, "Resource", "DomainResource"):
            return [([], self.resource)]
        if name[0].isupper():
            return []
        return self.member([([], self.resource)], name)

    def member(self, found: list[tuple[list[Any], str]], name: str) -> list[tuple[list[Any], str]]:
        grown: list[tuple[list[Any], str]] = []
        for steps, path in found:
            if path == "Extension" and name == "value":
                grown.append((steps, path))  # narrowed by `_finish` or by a cast
                continue
            element = self.elements(path).get(name)
            if element is None:
                raise NotCompiled(f"{path} has no member {name}")
            for kind in element["types"]:
                attr = name + kind[0].upper() + kind[1:] if element["choice"] else name
                if kind == "code" and element.get("binding") == "required":
                    kind = f"code@{element['valueset']}"
                grown.append(([*steps, ["f", attr, int(element["many"])]], kind))
        return grown

    def call(self, found: list[tuple[list[Any], str]], name: str) -> list[tuple[list[Any], str]]:
        self.take("(")
        if name in ("as", "ofType"):
            found = self.narrowed(found, self.take())
        elif name == "extension":
            url = self.take()[1:-1]
            found = [([*s, ["f", "extension", 1], ["ext", url]], "Extension") for s, _ in found]
        elif name == "where":
            found = self.where(found)
        elif name != "exists":
            raise NotCompiled(f"the function {name}()")
        self.take(")")
        return found

    def where(self, found: list[tuple[list[Any], str]]) -> list[tuple[list[Any], str]]:
        name = self.take()
        if name == "resolve":
            for expected in "(", ")", "is":
                self.take(expected)
            step: list[Any] = ["ref", self.take()]
        elif name == "hasExtension":
            self.take("(")
            step = ["hasext", self.take()[1:-1]]
            self.take(")")
        else:
            self.take("=")
            step = ["eq", name, self.take()[1:-1]]
        return [([*steps, step], path) for steps, path in found]
