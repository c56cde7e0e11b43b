"""MLLP frames, the message header, and the acknowledgement: bytes in, bytes out, no input or output here.

MLLP (https://www.hl7.org/documentcenter/public/wg/inm/mllp_transport_specification.PDF): a message stands
between VT (0x0B) and FS CR (0x1C 0x0D). Neither byte occurs inside UTF-8 or GB18030 text, so framing works
on bytes. FS ends the frame; the CR after it, like everything else between frames, is skipped.

Acknowledgements follow HL7 version 2.4, chapter 2 (sections 2.9 and 2.16): MSH, MSA, and ERR with its one
field ERR-1, `segment^sequence^field^code&text&table` with the codes of table 0357.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from hub.errors import Issue
from hub.messages import Outcome, OutcomeCode

VT, FS, CR = b"\x0b", b"\x1c", b"\x0d"
HEAD = 64 * 1024
"""So many bytes are kept of a message that is too long."""

Problem = Literal["", "truncated", "unframed", "too-long"]


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One frame, or what there was of it.

    size     bytes between VT and FS           digest  of the whole, where `body` is only its head
    problem  truncated: no FS came             unframed: no VT came
    """

    body: bytes
    size: int
    digest: str = ""
    problem: Problem = ""


class Framer:
    """Cuts the byte stream of one connection into frames, whatever the chunks."""

    def __init__(self, max_message: int) -> None:
        self.max_message = max_message
        self._inside = False
        self._buffer = bytearray()
        self._size = 0
        self._digest: hashlib.blake2b | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that this chunk completes, in order."""
        frames: list[Frame] = []
        at, length = 0, len(data)
        while at < length:
            end = data.find(FS, at)
            start = data.find(VT, at, end if end >= 0 else length)
            if start >= 0:  # a new frame begins, whether or not the last one ended
                self._append(data[at:start])
                frames += self._finished("truncated" if self._inside else "unframed")
                self._inside = True
                at = start + 1
            elif end >= 0:
                self._append(data[at:end])
                frames += self._finished("" if self._inside else "unframed")
                self._inside = False
                at = end + 1
            else:
                self._append(data[at:])
                at = length
        return frames

    def end(self) -> list[Frame]:
        """What is left when the connection ends."""
        frames = self._finished("truncated" if self._inside else "unframed")
        self._inside = False
        return frames

    def _append(self, data: bytes) -> None:
        self._size += len(data)
        if self._digest is None and self._size <= self.max_message:
            self._buffer += data
            return
        if self._digest is None:
            self._digest = hashlib.blake2b(self._buffer, digest_size=16)
        self._digest.update(data)
        if len(self._buffer) < HEAD:
            self._buffer += data[: HEAD - len(self._buffer)]
        del self._buffer[HEAD:]

    def _finished(self, problem: Problem) -> list[Frame]:
        buffer, size, digest = self._buffer, self._size, self._digest
        if not size and problem:
            return []
        self._buffer, self._size, self._digest = bytearray(), 0, None
        if problem == "unframed" and b"MSH" not in buffer:
            return []
        body = bytes(buffer)
        if digest is None:
            return [Frame(body=body, size=size, problem=problem)]
        return [Frame(body=body, size=size, digest=digest.hexdigest(), problem=problem or "too-long")]


DEFAULT_SEPARATORS = "|^~\\&"


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What acknowledging needs of MSH: raw field texts (escapes and components as sent), "" where absent.

    `codec` is the Python codec that read it, and that the acknowledgement is written in.
    """

    separators: str = DEFAULT_SEPARATORS
    sending_app: str = ""
    sending_facility: str = ""
    receiving_app: str = ""
    receiving_facility: str = ""
    time: str = ""
    type: str = ""
    trigger: str = ""
    control_id: str = ""
    processing: str = ""
    version: str = ""
    charset: str = ""
    codec: str = "utf-8"

    @property
    def kind(self) -> str:
        """`ADT^A04`: MSH-9.1 and MSH-9.2."""
        return f"{self.type}^{self.trigger}" if self.trigger else self.type


NO_HEADER = Header()
_LEADING = b"\r\n\t \x00\xef\xbb\xbf"


def read_header(body: bytes) -> Header | None:
    """The header of a message; None where no MSH segment opens it.

    It is decoded before it is split, because the second byte of a GB18030 character may equal a separator.
    """
    if not body.startswith(b"MSH"):
        body = body[:HEAD].lstrip(_LEADING)
        if not body.startswith(b"MSH"):
            return None
    end = body.find(b"\r")
    line = body[:end] if end >= 0 else body
    end = line.find(b"\n")
    line = line[:end] if end >= 0 else line
    if line.isascii():
        return _header(line.decode("ascii"), "ascii")
    text, codec = _decoded(line, ("utf-8", "gb18030"))
    found = _header(text, codec)
    declared = codec_of(found.charset) if found is not None else ""
    if declared and declared != codec:
        return _header(*_decoded(line, (declared, codec)))
    return found


def _decoded(line: bytes, codecs: Sequence[str]) -> tuple[str, str]:
    for codec in codecs:
        try:
            return line.decode(codec), codec
        except UnicodeDecodeError:
            continue
    return line.decode("latin-1"), "latin-1"


def _header(line: str, codec: str) -> Header | None:
    if len(line) < 4 or line[3].isalnum() or line[3].isspace():
        return None
    separator = line[3]
    fields = line.split(separator, 19)
    fields += [""] * (20 - len(fields))
    separators = _separators(separator, fields[1])
    component, repetition = separators[1], separators[2]
    type_, _, rest = fields[8].partition(component)
    charset = fields[17].partition(repetition)[0].strip()
    return Header(
        separators=separators,
        sending_app=fields[2],
        sending_facility=fields[3],
        receiving_app=fields[4],
        receiving_facility=fields[5],
        time=fields[6],
        type=type_.strip(),
        trigger=rest.partition(component)[0].strip(),
        control_id=fields[9],
        processing=fields[10],
        version=fields[11],
        charset=charset,
        codec=codec if codec != "ascii" else codec_of(charset) or "utf-8",
    )


def _separators(field: str, characters: str) -> str:
    """MSH-1 and MSH-2 as five characters; what is missing or impossible is taken from the usual ones."""
    if len(characters) == 5 and characters[2] == characters[3]:  # escaped once too often
        characters = characters[:3] + characters[4]
    found = field + characters[:4]
    found += DEFAULT_SEPARATORS[len(found) :]
    possible = len(set(found)) == 5 and not any(one.isalnum() or one.isspace() for one in found)
    return found if possible else field + DEFAULT_SEPARATORS[1:]


_CODECS = {
    "ASCII": "ascii",
    "USASCII": "ascii",
    "UNICODE": "utf-8",
    "UNICODEUTF8": "utf-8",
    "UTF8": "utf-8",
    "GB180302000": "gb18030",
    "GB18030": "gb18030",
    "GBK": "gb18030",
    "CP936": "gb18030",
    "GB2312": "gb18030",
    "GB231280": "gb18030",
    "BIG5": "big5hkscs",
    **{f"8859{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    **{f"ISO8859{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
}


def codec_of(charset: str) -> str:
    """The Python codec of an MSH-18 value (table 0211 and what is met in the wild), "" if unknown."""
    return _CODECS.get(re.sub(r"[^A-Z0-9]", "", charset.upper()), "") if charset else ""


_FIRST: dict[OutcomeCode, str] = {
    "accepted": "AA",
    "duplicate": "AA",
    "invalid": "AE",
    "conflict": "AE",
    "rejected": "AR",
    "unavailable": "AR",
}
"""Table 0008: AA accepted, AE kept but in error, AR not taken."""

_CONDITIONS: dict[str, tuple[str, str]] = {
    "structure": ("100", "Segment sequence error"),
    "required": ("101", "Required field missing"),
    "value": ("102", "Data type error"),
    "invalid": ("102", "Data type error"),
    "code-invalid": ("103", "Table value not found"),
    "not-supported": ("200", "Unsupported message type"),
    "unsupported-event": ("201", "Unsupported event code"),
    "not-found": ("204", "Unknown key identifier"),
    "conflict": ("205", "Duplicate key identifier"),
    "duplicate": ("205", "Duplicate key identifier"),
}
"""Table 0357, by issue code (http://hl7.org/fhir/R4/valueset-issue-type.html); anything else is 207."""

_INTERNAL = ("207", "Application internal error")
_PLACE = re.compile(r"([A-Z][A-Z0-9]{2})(?:\[(\d+)\])?(?:[-.](\d+))?")


def acknowledgement(header: Header, outcome: Outcome, control_id: str, time: str) -> bytes:
    """The framed ACK: in the sender's charset and separators, from whom the message was for.

    `control_id` is the acknowledgement's own MSH-10, `time` its MSH-7 (HL7 TS).
    """
    code = _FIRST[outcome.first or outcome.code if outcome.code == "duplicate" else outcome.code]
    f, component = header.separators[0], header.separators[1]
    kind = component.join(("ACK", header.trigger, "ACK")) if header.trigger else "ACK"
    msh = [
        "MSH" + header.separators,
        header.receiving_app,
        header.receiving_facility,
        header.sending_app,
        header.sending_facility,
        time,
        "",
        kind,
        control_id,
        header.processing or "P",
        header.version or "2.4",
    ]
    if header.charset:
        msh += ["", "", "", "", "", header.charset]
    text = f.join(msh) + "\r"
    if code == "AA":
        text += f.join(("MSA", code, header.control_id)) + "\r"
    else:
        text += _refusal(header, code, outcome)
    return VT + text.encode(header.codec, "replace") + FS + CR


def _refusal(header: Header, code: str, outcome: Outcome) -> str:
    """MSA and ERR of a message that was not accepted: the errors, else whatever there is to say."""
    f, component, repetition = header.separators[0], header.separators[1], header.separators[2]
    issues = [issue for issue in outcome.issues if issue.severity in ("error", "fatal")]
    issues = (
        issues or list(outcome.issues) or [Issue(code=_WHY.get(outcome.code, ""), diagnostics=outcome.code)]
    )
    issues = [_about_the_kind(issue, header) for issue in issues]
    condition = component.join((*_condition(issues[0]), "HL70357"))
    said = _escaped(issues[0].diagnostics[:80], header.separators)
    msa = f.join(("MSA", code, header.control_id, said, "", "", condition))
    errors = repetition.join(_error(issue, header.separators) for issue in issues[:10])
    return f"{msa}\rERR{f}{errors}\r"


_WHY: dict[OutcomeCode, str] = {
    "conflict": "conflict",
    "rejected": "not-supported",
    "unavailable": "transient",
}


_TYPES = frozenset(("ADT", "OMP", "RDE"))
"""MSH-9.1 that this hub understands with some events (table 0076)."""


def _about_the_kind(issue: Issue, header: Header) -> Issue:
    """What nobody here understands is said of MSH-9: the event where the type is known, else the type."""
    if issue.code != "not-supported":
        return issue
    code = "unsupported-event" if header.type in _TYPES and header.trigger else issue.code
    return msgspec.structs.replace(issue, code=code, expression="MSH-9")


def _condition(issue: Issue) -> tuple[str, str]:
    return _CONDITIONS.get(issue.code, _INTERNAL)


def _error(issue: Issue, separators: str) -> str:
    """ERR-1: where, and which condition of table 0357."""
    place = _PLACE.match(issue.expression)
    segment, sequence, field = place.groups("") if place else ("", "", "")
    if segment and not sequence:
        sequence = "1"
    number, text = _condition(issue)
    return separators[1].join((segment, sequence, field, separators[4].join((number, text, "HL70357"))))


def _escaped(text: str, separators: str) -> str:
    """Text with the sender's delimiters escaped, on one line."""
    escape = separators[3]
    marks = dict(zip(separators, "FSRET", strict=True))
    return "".join(
        f"{escape}{marks[letter]}{escape}" if letter in marks else " " if letter < " " else letter
        for letter in text
    )
