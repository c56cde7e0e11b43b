"""The operations this hub has: by name for the CapabilityStatement, and as OperationDefinitions to read.

http://hl7.org/fhir/R4/operationdefinition.html. Operations of R4 are named by HL7's canonical URL; those of
plugins, and the hub's own additions, get a definition here: `OperationDefinition/Patient-name`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from hub import r4
from hub.api import operations
from hub.api.exchange import Api

_LEVELS = ("system", "type", "instance")


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """One operation. `types` empty: every type; `on` are the levels it can be asked at; `reads`: it changes
    nothing (None: nobody says)."""

    name: str
    url: str
    types: frozenset[str]
    on: frozenset[str]
    description: str = ""
    reads: bool | None = None

    @property
    def several(self) -> bool:
        """Whether it is one of the system, or of several types."""
        return "system" in self.on or len(self.types) != 1

    def belongs(self, type_name: str) -> bool:
        """Whether it can be asked of this type or of one of its resources."""
        return bool(self.on - {"system"}) and (not self.types or type_name in self.types)

    @property
    def id(self) -> str:
        """Its definition's id here: `Patient-name`."""
        kinds = "-".join(sorted(self.types)) or "Resource"
        return f"{kinds}-{self.name}"[:64]


def all_of(api: Api) -> Iterator[Named]:
    """The hub's own in the order of the alphabet, then those of plugins."""
    for one in operations.OFFERED:
        yield Named(
            name=one.name,
            url=one.url,
            types=one.types,
            on=frozenset(one.on),
            description=one.description,
            reads=one.reads,
        )
    for (type_name, name), plugin in sorted(api.operations.items()):
        yield Named(
            name=name,
            url=f"{api.base}/OperationDefinition/{type_name or 'Resource'}-{name}",
            types=frozenset({type_name} - {""}),
            on=frozenset({"type" if type_name else "system"}),
            description=plugin.description,
        )


def definition(api: Api, id: str) -> bytes | None:
    """The OperationDefinition of an operation that is defined here, or None."""
    own = f"{api.base}/OperationDefinition/"
    for one in all_of(api):
        if one.url == own + id or (one.id == id and not one.url.startswith("http://hl7.org/")):
            return r4.untree(_tree(one, id))
    return None


def _tree(one: Named, id: str) -> dict[str, Any]:
    title = "".join(part.capitalize() for part in one.name.split("-"))
    found: dict[str, Any] = {
        "resourceType": "OperationDefinition",
        "id": id,
        "url": one.url,
        "name": title,
        "status": "active",
        "kind": "operation",
        "description": one.description or title,
        **({} if one.reads is None else {"affectsState": not one.reads}),
        "code": one.name,
        **({"resource": sorted(one.types) or ["Resource"]} if one.belongs("Basic") or one.types else {}),
        **{level: level in one.on for level in _LEVELS},
        "parameter": [
            {
                "name": "return",
                "use": "out",
                "min": 1,
                "max": "1",
                "documentation": "The resource the operation gives",
                "type": "Any",
            }
        ],
    }
    return found
