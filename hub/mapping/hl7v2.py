"""HL7 v2, encoding characters form: decode, then split (https://www.hl7.eu/HL7v2x/v251/std251/ch02.html).

`parse` reads a whole message into the tree of `hub.mapping.hl7v2_tree`; `header` reads MSH alone.
"""

from __future__ import annotations

import re

from hub.errors import InvalidMessage
from hub.mapping.charset import decode
from hub.mapping.hl7v2_escapes import Separators
from hub.mapping.hl7v2_header import Header, header_of
from hub.mapping.hl7v2_tree import Group, Hl7Message, Part, Segment, atoms, position

__all__ = [
    "Group",
    "Header",
    "Hl7Message",
    "Part",
    "Segment",
    "Separators",
    "atoms",
    "header",
    "parse",
    "position",
]

_SEGMENT_ID = re.compile(r"[A-Z][A-Z0-9]{2}")
_LINE_END = re.compile(r"\r\n|\r|\n")


def parse(body: bytes, charset: str = "", *, message: type[Hl7Message] = Hl7Message) -> Hl7Message:
    """Read a message. `charset` is what the channel says; MSH-18 is asked where it is empty.

    Raises InvalidMessage with the byte offset, the line or the field.
    """
    start = _start(body)
    declared = charset or _declared(_first_line(body, start))
    decoded = decode(body[start:] if start else body, declared)
    text = decoded.text
    warnings = [decoded.warning] if decoded.warning else []
    separators = _separators(text, warnings)
    found = message(text, separators, decoded.codec, warnings)
    segments, make = found.segments, found.segment
    lines = (
        text.split("\r") if "\n" not in text else _LINE_END.split(text) if _lf_only(text) else _split(text)
    )
    for number, line in enumerate(lines, 1):
        if not line or line.isspace():
            continue
        if not _SEGMENT_ID.match(line) or (len(line) > 3 and line[3] != separators.field):
            raise InvalidMessage(
                f"line {number}: expected a segment id and {separators.field!r}, found something else",
                expression=f"line {number}",
            )
        segments.append(make(found, line, number))
    return found


def header(body: bytes) -> Header:
    """MSH of a message, reading only its first line; raises InvalidMessage where there is none."""
    start = _start(body)
    line = _first_line(body, start)
    decoded = decode(line, _declared(line))
    separators = _separators(decoded.text, [])
    message = Hl7Message(decoded.text, separators, decoded.codec, [])
    return header_of(Segment(message, decoded.text, 1))


def _start(body: bytes) -> int:
    """Where MSH begins: blank lines and a byte order mark before it are forgiven."""
    start = 3 if body.startswith(b"\xef\xbb\xbf") else 0
    while start < len(body) and body[start] in b"\r\n \x0b":
        start += 1
    if body[start : start + 3] != b"MSH":
        found = body[start : start + 3]
        seen = f"{found.decode('ascii')!r}" if found.isalnum() else "something else" if found else "nothing"
        raise InvalidMessage(f"line 1: expected MSH, found {seen}", expression="line 1")
    return start


def _first_line(body: bytes, start: int) -> bytes:
    ends = [end for end in (body.find(b"\r", start), body.find(b"\n", start)) if end >= 0]
    return body[start : min(ends)] if ends else body[start:]


def _declared(line: bytes) -> str:
    """MSH-18 of the first line, its first repetition; empty where nothing is declared."""
    if len(line) < 5:
        return ""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        text = line.decode("gb18030", "replace")
    fields = text.split(text[3])
    return fields[17].split(text[5:6] or "~")[0].strip() if len(fields) > 17 else ""


def _separators(text: str, warnings: list[str]) -> Separators:
    """The delimiters MSH declares; raises InvalidMessage where they cannot be."""
    field = text[3:4]
    if not field or field.isalnum() or field.isspace():
        raise InvalidMessage("MSH-1: expected a field separator after MSH", expression="MSH-1")
    characters = text[4 : _end_of_field(text, field)]
    if len(characters) == 5 and characters[2] == characters[3]:  # an escape character escaped once too often
        warnings.append("MSH-2: the escape character stands there twice; read as one")
        characters = characters[:3] + characters[4]
    if not 1 <= len(characters) <= 5 or any(c.isalnum() or c.isspace() for c in characters):
        raise InvalidMessage(
            f"MSH-2: expected one to five delimiters, found {len(characters)} characters", expression="MSH-2"
        )
    if len(set(characters)) != len(characters) or field in characters:
        raise InvalidMessage("MSH-2: the delimiters must differ from each other", expression="MSH-2")
    return Separators(field, *characters[:4])


def _end_of_field(text: str, field: str) -> int:
    ends = [end for end in (text.find(field, 4), text.find("\r", 4), text.find("\n", 4)) if end >= 0]
    return min(ends) if ends else len(text)


def _lf_only(text: str) -> bool:
    return "\r" not in text


def _split(text: str) -> list[str]:
    """CR ends a segment, and LF after it belongs to it; a lone LF is content of a field."""
    return text.replace("\r\n", "\r").split("\r")
