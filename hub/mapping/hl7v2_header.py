"""MSH as plain values (https://www.hl7.eu/HL7v2x/v251/std251/ch02.html)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from hub.mapping.hl7v2_tree import Segment


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """MSH, as far as acknowledging needs it; every value is text, empty where nothing was sent."""

    sending_app: str
    sending_facility: str
    receiving_app: str
    receiving_facility: str
    time: str
    kind: str
    control_id: str
    processing: str
    version: str
    charset: str
    field_separator: str = "|"
    encoding_characters: str = "^~\\&"


def kind_of(msh: Segment) -> str:
    """The message kind: `ADT^A04`."""
    code, event = msh.first(9) or "", msh.first(9, 2)
    return f"{code}^{event}" if event else code


def header_of(msh: Segment) -> Header:
    """The header of a message whose first segment is given."""

    def text(number: int, component: int = 1) -> str:
        return msh.first(number, component) or ""

    return Header(
        sending_app=text(3),
        sending_facility=text(4),
        receiving_app=text(5),
        receiving_facility=text(6),
        time=text(7),
        kind=kind_of(msh),
        control_id=text(10),
        processing=text(11),
        version=text(12),
        charset=text(18),
        field_separator=msh.message.separators.field,
        encoding_characters=text(2),
    )
