"""A code system, ready to be asked: concepts by code, their parents, children and properties.

http://hl7.org/fhir/R4/codesystem.html. A hierarchy may be written by nesting, or by properties that stand
for http://hl7.org/fhir/concept-properties#parent and #child; both count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

PROPERTIES = "http://hl7.org/fhir/concept-properties#"
UNLISTED = ("not-present", "supplement")
"""What `content` says of a code system that does not bring its codes."""
PARTIAL = ("example", "fragment")
_INACTIVE = ("retired", "inactive")
_FLAGS = ("inactive", "notSelectable")


class Concept(msgspec.Struct):
    """One concept. `properties` are (code, member, value): ("status", "valueCode", "retired")."""

    code: str
    display: str = ""
    definition: str = ""
    designations: tuple[dict[str, Any], ...] = ()
    properties: tuple[tuple[str, str, Any], ...] = ()
    parents: list[str] = []
    children: list[str] = []


class System:
    """A CodeSystem; `concepts` in the order of the resource, parents before the children nested in them."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self.url: str = tree.get("url", "")
        self.version: str = tree.get("version", "")
        self.name: str = tree.get("name") or tree.get("title") or self.url
        self.content: str = tree.get("content", "complete")
        self.case_sensitive: bool = tree.get("caseSensitive") is not False
        self.language: str = tree.get("language", "")
        self.meaning: str = tree.get("hierarchyMeaning", "")
        self.properties: dict[str, str] = {
            one["code"]: one.get("uri", "") for one in tree.get("property", []) if "code" in one
        }
        self.concepts: dict[str, Concept] = {}
        self._joined: set[tuple[str, str]] = set()
        self._flatten(tree.get("concept", []))
        self._link()
        del self._joined
        self._folded: dict[str, str] = {}
        if not self.case_sensitive:
            self._folded = {code.casefold(): code for code in reversed(self.concepts)}

    @property
    def canonical(self) -> str:
        """`url|version`, as far as there is one."""
        return f"{self.url}|{self.version}" if self.version else self.url

    @property
    def listed(self) -> bool:
        """Whether it brings codes at all."""
        return self.content not in UNLISTED

    @property
    def complete(self) -> bool:
        """Whether a code that is not there does not exist."""
        return self.content == "complete"

    def find(self, code: str) -> Concept | None:
        """The concept of a code, whatever its case where case does not count."""
        found = self.concepts.get(code)
        if found is None and self._folded:
            found = self.concepts.get(self._folded.get(code.casefold(), ""))
        return found

    def below(self, code: str) -> set[str]:
        """The code and everything under it."""
        return self._reached(code, "children")

    def above(self, code: str) -> set[str]:
        """The code and everything over it."""
        return self._reached(code, "parents")

    def inactive(self, concept: Concept) -> bool:
        """http://hl7.org/fhir/R4/codesystem-concept-properties.html"""
        if any(value is True for value in self._flag(concept, "inactive")):
            return True
        return any(value in _INACTIVE for value in self._flag(concept, "status"))

    def abstract(self, concept: Concept) -> bool:
        """Whether it only groups others."""
        found = (*self._flag(concept, "notSelectable"), *self._flag(concept, "abstract"))
        return any(value is True for value in found)

    def knows(self, name: str) -> bool:
        """Whether a filter may name this property."""
        return name in _BUILT_IN or name in self.properties or name in _FLAGS

    def values(self, concept: Concept, name: str) -> list[str]:
        """What a property of a concept says, as text; the flags of the specification are false by default."""
        if name in _BUILT_IN:
            return _BUILT_IN[name](concept)
        found = [_text(value) for code, _, value in concept.properties if code == name]
        if not found and (name in _FLAGS or self.properties.get(name) in _FLAG_URIS):
            return ["false"]
        return found

    def _flag(self, concept: Concept, name: str) -> Iterator[Any]:
        uri = PROPERTIES + name
        for code, _, value in concept.properties:
            if code == name or self.properties.get(code) == uri:
                yield value

    def _reached(self, code: str, way: str) -> set[str]:
        found = {code}
        waiting = [code]
        while waiting:
            concept = self.concepts.get(waiting.pop())
            for one in getattr(concept, way) if concept is not None else ():
                if one not in found:
                    found.add(one)
                    waiting.append(one)
        return found

    def _flatten(self, top: list[dict[str, Any]]) -> None:
        waiting = [(one, "") for one in reversed(top)]
        while waiting:
            tree, parent = waiting.pop()
            code = tree.get("code", "")
            if code not in self.concepts:
                self.concepts[code] = _concept(tree)
            self._join(parent, code)
            waiting += [(one, code) for one in reversed(tree.get("concept", []))]

    def _link(self) -> None:
        """Parents and children that are said by properties."""
        up = {"parent", *(c for c, uri in self.properties.items() if uri == PROPERTIES + "parent")}
        down = {"child", *(c for c, uri in self.properties.items() if uri == PROPERTIES + "child")}
        for concept in self.concepts.values():
            for code, _, value in concept.properties:
                if isinstance(value, str) and code in up:
                    self._join(value, concept.code)
                elif isinstance(value, str) and code in down:
                    self._join(concept.code, value)

    def _join(self, parent: str, child: str) -> None:
        above, under = self.concepts.get(parent), self.concepts.get(child)
        if above is None or under is None or parent == child or (parent, child) in self._joined:
            return
        self._joined.add((parent, child))
        above.children.append(child)
        under.parents.append(parent)


def _concept(tree: dict[str, Any]) -> Concept:
    return Concept(
        code=tree.get("code", ""),
        display=tree.get("display", ""),
        definition=tree.get("definition", ""),
        designations=tuple(tree.get("designation", ())),
        properties=tuple(_properties(tree.get("property", ()))),
    )


def _properties(stated: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str, Any]]:
    for one in stated:
        for member, value in one.items():
            if member.startswith("value"):
                yield one.get("code", ""), member, value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return str(value.get("code", ""))
    return str(value)


_BUILT_IN: dict[str, Callable[[Concept], list[str]]] = {
    "concept": lambda concept: [concept.code],
    "code": lambda concept: [concept.code],
    "display": lambda concept: [concept.display] if concept.display else [],
    "definition": lambda concept: [concept.definition] if concept.definition else [],
    "parent": lambda concept: concept.parents,
    "child": lambda concept: concept.children,
}
_FLAG_URIS = {PROPERTIES + name for name in _FLAGS}
