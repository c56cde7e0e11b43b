"""How resource types and changes are numbered in the database. The numbers never change."""

from __future__ import annotations

import hashlib
from typing import Literal

from hub import r4
from hub.errors import NotSupported

TYPE_NUMBER: dict[str, int] = {name: number for number, name in enumerate(sorted(r4.TYPES), 1)}
"""The 146 concrete types of R4 in alphabetical order, from 1."""
TYPE_NAME: dict[int, str] = {number: name for name, number in TYPE_NUMBER.items()}

Change = Literal["created", "updated", "unchanged", "superseded", "deleted", "restored"]

CHANGES: tuple[Change, ...] = ("unchanged", "created", "updated", "deleted", "restored", "superseded")
"""`version.change` is the place in this list."""
CHANGE_NUMBER: dict[Change, int] = {change: number for number, change in enumerate(CHANGES)}
ASSIGNED = len(CHANGES)
"""`version.change` of what was created under an id of the server's, so that its history says POST."""

ANY_VERSION = -1
"""As the version that must be current: whichever it is, there must be one."""


def type_number(name: str) -> int:
    """The number of a resource type; NotSupported for a name R4 does not know."""
    try:
        return TYPE_NUMBER[name]
    except KeyError:
        raise NotSupported(f"{name[:64]} is not a resource type of FHIR R4") from None


def name_key(type_name: str, id: str) -> int:
    """The 64-bit lock key of one resource."""
    digest = hashlib.blake2b(f"{type_name}/{id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
