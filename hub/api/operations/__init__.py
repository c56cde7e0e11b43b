"""The hub's own FHIR operations, one file each (http://hl7.org/fhir/R4/operationslist.html)."""

from __future__ import annotations

from hub.api.exchange import Offered

OFFERED: tuple[Offered, ...] = ()
"""Every operation, in the order of the alphabet."""


def offered(type_name: str, id: str, name: str) -> Offered | None:
    """The operation of this name at this level, or None."""
    level = "instance" if id else "type" if type_name else "system"
    for one in OFFERED:
        if (
            one.name == name
            and level in one.on
            and (not type_name or not one.types or type_name in one.types)
        ):
            return one
    return None
