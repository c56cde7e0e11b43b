"""What FHIRPath has to know about types, and the little that stands in where no definitions are plugged.

Type names are FHIR's: `Patient`, `HumanName`, `code`; a nested element is `Patient.contact`.
"""

from __future__ import annotations

from collections.abc import Mapping
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


_BASES = {
    **dict.fromkeys(("code", "id", "markdown"), "string"),
    **dict.fromkeys(("url", "canonical", "uuid", "oid"), "uri"),
    **dict.fromkeys(("unsignedInt", "positiveInt"), "integer"),
    **dict.fromkeys(("Age", "Count", "Distance", "Duration", "MoneyQuantity", "SimpleQuantity"), "Quantity"),
}


class Shapes:
    """No definitions: types are told from JSON names and values alone."""

    def child(self, owner: str, name: str) -> str | None:
        return None

    def choices(self, owner: str, name: str) -> Mapping[str, str] | None:
        return None

    def base(self, name: str) -> str | None:
        return _BASES.get(name, "Element" if name not in ("Element", "Resource") else None)

    def known(self, name: str) -> bool:
        return True


SYSTEM_TYPES = frozenset(("Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity"))

_plugged: list[Types] = [Shapes()]


def use_types(types: Types) -> None:
    """Plug the definitions in (once, at start)."""
    _plugged[0] = types


def types() -> Types:
    """The definitions in use."""
    return _plugged[0]


def is_a(name: str, wanted: str) -> bool:
    """Is FHIR type `name` the wanted one or a specialisation of it?"""
    knowledge = _plugged[0]
    current: str | None = name
    while current is not None:
        if current == wanted:
            return True
        current = knowledge.base(current)
    return False
