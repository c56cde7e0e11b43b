"""What FHIRPath has to know about types; the definitions of `hub.r4` are what it uses by default.

Type names are FHIR's: `Patient`, `HumanName`, `code`; a nested element is `Patient.contact`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol


class Types(Protocol):
    """Knowledge of one FHIR version."""

    def child(self, owner: str, name: str) -> str | None:
        """The type of an element that is no choice, None if unknown: ("Patient", "name") → "HumanName"."""

    def choices(self, owner: str, name: str) -> Mapping[str, str] | None:
        """Of a choice element: JSON name → type, ("Observation", "value") → {"valueQuantity": ...}."""

    def base(self, name: str) -> str | None:
        """The type this one specialises: "code" → "string", "Age" → "Quantity"; None at the top."""

    def known(self, name: str) -> bool:
        """Is there a type of this name?"""


_PRIMITIVE_BASES = {
    **dict.fromkeys(("code", "id", "markdown"), "string"),
    **dict.fromkeys(("url", "canonical", "uuid", "oid"), "uri"),
    **dict.fromkeys(("unsignedInt", "positiveInt"), "integer"),
}


class Defined:
    """What the definitions of `hub.r4` say."""

    def __init__(self) -> None:
        from hub import r4

        self._members = r4.members
        self._base_of = r4.base_of
        self._known = frozenset((*r4.TYPES, *r4.DATA_TYPES, *r4.PRIMITIVES, "SimpleQuantity"))
        self.choices = lru_cache(maxsize=8192)(self._choices)
        self.child = lru_cache(maxsize=32768)(self._child)

    def _child(self, owner: str, name: str) -> str | None:
        element = self._members(owner).get(name)
        if element is None or element.choice or not element.types:
            return None
        kind = element.types[0]
        return "string" if kind.startswith("http://hl7.org/fhirpath/") else kind

    def _choices(self, owner: str, name: str) -> Mapping[str, str] | None:
        element = self._members(owner).get(name)
        if element is None or not element.choice:
            return None
        return {name + kind[0].upper() + kind[1:]: kind for kind in element.types}

    def base(self, name: str) -> str | None:
        found = _PRIMITIVE_BASES.get(name) or self._base_of(name)
        return found or ("Element" if name[:1].islower() else None)

    def known(self, name: str) -> bool:
        return name in self._known or bool(self._members(name))


SYSTEM_TYPES = frozenset(("Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity"))

_plugged: list[Types] = []


def use_types(types: Types) -> None:
    """Plug other definitions in (once, at start)."""
    _plugged[:] = [types]


def types() -> Types:
    """The definitions in use: those of `hub.r4` unless others were plugged in."""
    if not _plugged:
        _plugged.append(Defined())
    return _plugged[0]


def is_a(name: str, wanted: str) -> bool:
    """Is FHIR type `name` the wanted one or a specialisation of it?"""
    knowledge = types()
    current: str | None = name
    while current is not None:
        if current == wanted:
            return True
        current = knowledge.base(current)
    return False
