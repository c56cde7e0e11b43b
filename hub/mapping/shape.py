"""What a target looks like: for FHIR the R4 element tables, for JSON whatever the document says."""

from __future__ import annotations

import msgspec

from hub.r4.definitions import PRIMITIVES, members


class Slot(msgspec.Struct, frozen=True):
    """One place in the target. `type` is a FHIR type, the path of a nested structure, or empty for JSON."""

    type: str = ""
    many: bool = False

    @property
    def fhir(self) -> bool:
        """Whether FHIR rules the place."""
        return bool(self.type)

    @property
    def primitive(self) -> bool:
        """Whether text, a number or a boolean stands there."""
        return self.type in PRIMITIVES or self.type.startswith("http://hl7.org/fhirpath/")

    def children(self) -> dict[str, Slot]:
        """The members of a FHIR structure, choice elements under each of their JSON names."""
        slots = _SLOTS.get(self.type)
        if slots is None:
            slots = _SLOTS[self.type] = _expand(self.type)
        return slots


JSON = Slot()
RESOURCE = "Resource"
_SLOTS: dict[str, dict[str, Slot]] = {}
INTEGERS = frozenset(("integer", "positiveInt", "unsignedInt", "integer64"))


def _expand(path: str) -> dict[str, Slot]:
    slots: dict[str, Slot] = {}
    for name, element in members(path).items():
        if element.choice:
            for kind in element.types:
                slots[name + kind[0].upper() + kind[1:]] = Slot(kind, element.many)
        else:
            slots[name] = Slot(element.types[0], element.many)
    for name, slot in list(slots.items()):
        if slot.primitive:
            slots[f"_{name}"] = Slot("Element", slot.many)
    return slots
