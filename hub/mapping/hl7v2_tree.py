"""The tree of an HL7 v2 message: split only where somebody looks.

Message → segments by id → repetitions of field N → component N → subcomponent N. A part without inner
separators is its own first child, and the text of a part is the text of its first child, as version 2.x
rules for fields whose type grew (https://www.hl7.eu/HL7v2x/v251/std251/ch02.html). Empty parts and the
explicit null `""` are no nodes. Positions are written `PID-3[2].1`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, KeysView
from datetime import timedelta, timezone, tzinfo
from itertools import takewhile

from hub.errors import InvalidMessage
from hub.mapping.hl7v2_escapes import Separators, unescape
from hub.mapping.hl7v2_header import Header, header_of, kind_of

MAX_REPETITIONS = 1_000
"""More repetitions of one field than this are refused: no real field has them."""

_REPEATED: list[str | None] = []
_EMPTY: list[str | None] = []
_OFFSET = re.compile(r"([+-])(\d\d)(\d\d)$", re.ASCII)


class Part:
    """A repetition (level 0), a component (1) or a subcomponent (2) of a field."""

    __slots__ = ("_pieces", "level", "place", "raw", "segment")

    def __init__(self, segment: Segment, raw: str, level: int, place: tuple[int, ...]) -> None:
        self.segment = segment
        self.raw = raw
        self.level = level
        self.place = place  # field, repetition, component, subcomponent
        self._pieces: list[str] | None = None

    def children(self, name: str) -> list[Part]:
        """Component or subcomponent `name` (a number), or nothing."""
        if not name.isdigit():
            return []
        number = int(name)
        raw = self._piece(self.raw, self.level, number)
        return [type(self)(self.segment, raw, self.level + 1, (*self.place, number))] if raw else []

    def _piece(self, raw: str, level: int, number: int) -> str:
        """The raw text of one child; empty if there is none."""
        segment = self.segment
        separators = segment.message.separators
        separator = separators.component if level == 0 else separators.subcomponent if level == 1 else ""
        if separator and separator in raw and not (segment.id == "MSH" and segment.verbatim(self.place[0])):
            pieces = raw.split(separator, number)
            raw = pieces[number - 1] if 0 < number <= len(pieces) else ""
        elif number != 1:
            return ""
        return raw if raw != '""' else ""

    def at(self, number: int, *more: int) -> str | None:
        """The text of the child at a path of numbers; the fast way."""
        if more or self.level or self.segment.id == "MSH":
            return self._deep(number, *more)
        pieces = self._pieces
        if pieces is None:
            separator = self.segment.message.separators.component
            pieces = self._pieces = self.raw.split(separator) if separator in self.raw else [self.raw]
        return self.segment.message.plain(pieces[number - 1]) if number <= len(pieces) else None

    def _deep(self, *path: int) -> str | None:
        raw, level = self.raw, self.level
        for number in path:
            raw = self._piece(raw, level, number)
            if not raw:
                return None
            level += 1
        return self._text(raw, level)

    @property
    def text(self) -> str | None:
        """The decoded text of the first component's first subcomponent."""
        return self._text(self.raw, self.level)

    def _text(self, raw: str, level: int) -> str | None:
        if level < 1:
            raw = self._piece(raw, 0, 1)
        if level < 2 and raw:
            raw = self._piece(raw, 1, 1)
        if not raw or raw == '""':
            return None
        return self.segment.message.decoded(raw)

    @property
    def position(self) -> str:
        """`PID-3[2].1`."""
        return position(self.segment.id, self.place)

    def __repr__(self) -> str:
        return f"<{self.position}>"


class Segment:
    """One line. `children("3")` are the repetitions of field 3."""

    __slots__ = ("_cells", "_fields", "id", "line", "message", "raw")
    part: type[Part] = Part
    text = None

    def __init__(self, message: Hl7Message, raw: str, line: int) -> None:
        self.message = message
        self.raw = raw
        self.id = raw[:3]
        self.line = line
        self._fields: list[str] | None = None
        self._cells: dict[int, list[str | None]] = {}

    def fields(self) -> list[str]:
        """The raw fields; index 0 is the segment id."""
        if self._fields is None:
            fields = self.raw.split(self.message.separators.field)
            if self.id == "MSH":
                fields.insert(1, self.message.separators.field)
            self._fields = fields
        return self._fields

    def verbatim(self, number: int) -> bool:
        """MSH-1 and MSH-2 hold the delimiters themselves."""
        return number <= 2 and self.id == "MSH"

    def repetitions(self, number: int) -> list[str]:
        """The raw repetitions of a field, empty ones included."""
        fields = self._fields or self.fields()
        if number >= len(fields) or number < 1:
            return []
        raw = fields[number]
        if not raw:
            return []
        separator = self.message.separators.repetition
        if not separator or separator not in raw or self.verbatim(number):
            return [raw]
        pieces = raw.split(separator)
        if len(pieces) > MAX_REPETITIONS:
            where = f"{self.id}-{number}"
            raise InvalidMessage(
                f"line {self.line}, {where}: {len(pieces)} repetitions; at most {MAX_REPETITIONS} are read",
                expression=where,
            )
        return pieces

    def children(self, name: str) -> list[Part]:
        """The repetitions of field `name` that hold something."""
        return self.nodes(int(name)) if name.isdigit() else []

    def nodes(self, number: int) -> list[Part]:
        """The repetitions of field `number` that hold something."""
        fields = self._fields or self.fields()
        if number >= len(fields):
            return []
        raw = fields[number]
        if not raw:
            return []
        separator = self.message.separators.repetition
        if separator and separator in raw:
            return [
                self.part(self, raw, 0, (number, index))
                for index, raw in enumerate(self.repetitions(number))
                if raw and raw != '""'
            ]
        return [self.part(self, raw, 0, (number, 0))] if raw != '""' and number else []

    def first(self, number: int, component: int = 1, subcomponent: int = 1) -> str | None:
        """The text at field.component.subcomponent of the first repetition that has one; the fast way."""
        cell = self._cells.get(number)
        if cell is None:
            cell = self._cells[number] = self._cell(number)
        if cell is _REPEATED or subcomponent != 1:
            for piece in self.repetitions(number):
                text = self._atom(piece, component, subcomponent, number)
                if text is not None:
                    return text
            return None
        return cell[component - 1] if component <= len(cell) else None

    def _cell(self, number: int) -> list[str | None]:
        """The decoded components of a field that does not repeat."""
        fields = self._fields or self.fields()
        raw = fields[number] if 0 < number < len(fields) else ""
        if not raw:
            return _EMPTY
        if number <= 2 and self.id == "MSH":
            return [raw]
        message = self.message
        separators = message.separators
        if separators.repetition and separators.repetition in raw:
            return _REPEATED
        pieces = raw.split(separators.component) if separators.component in raw else [raw]
        if message.has_escapes or '"' in raw or (separators.subcomponent and separators.subcomponent in raw):
            return [message.plain(piece) for piece in pieces]
        return [piece.strip() or None for piece in pieces]

    def only(self, number: int, component: int = 1, subcomponent: int = 1) -> str | None:
        """The text at a place if the field does not repeat, for comparisons."""
        if not self.has_repetitions(number):
            return self.first(number, component, subcomponent)
        found = [
            self.text_in(number, at, component, subcomponent) for at in range(len(self.repetitions(number)))
        ]
        texts = [text for text in found if text is not None]
        return texts[0] if len(texts) == 1 else None

    def has_repetitions(self, number: int) -> bool:
        """Whether a field holds the repetition separator."""
        fields = self._fields or self.fields()
        separator = self.message.separators.repetition
        return bool(separator) and number < len(fields) and separator in fields[number]

    def matching(self, number: int, component: int, wanted: frozenset[str | None]) -> Iterator[int]:
        """The repetitions of a field whose `component` is one of `wanted`."""
        for index, raw in enumerate(self.repetitions(number)):
            if raw and self._atom(raw, component, 1, number) in wanted:
                yield index

    def text_in(self, number: int, repetition: int, component: int, subcomponent: int = 1) -> str | None:
        """The text at one place of one repetition."""
        return self._atom(self.repetitions(number)[repetition], component, subcomponent, number)

    def _atom(self, raw: str, component: int, subcomponent: int, number: int) -> str | None:
        message = self.message
        separators = message.separators
        if number <= 2 and self.id == "MSH":
            return raw if component == 1 and subcomponent == 1 else None
        if separators.component in raw:
            pieces = raw.split(separators.component, component)
            if component > len(pieces):
                return None
            raw = pieces[component - 1]
        elif component != 1:
            return None
        if separators.subcomponent and separators.subcomponent in raw:
            pieces = raw.split(separators.subcomponent, subcomponent)
            if subcomponent > len(pieces):
                return None
            raw = pieces[subcomponent - 1]
        elif subcomponent != 1:
            return None
        if not raw or raw == '""':
            return None
        return message.decoded(raw)

    def __repr__(self) -> str:
        return f"<{self.id} line {self.line}>"


class Group:
    """A segment and what follows it: an order with its RXO, RXR and FT1."""

    __slots__ = ("_by_id", "_groups", "segments")
    text = None

    def __init__(self, segments: list[Segment]) -> None:
        self.segments = segments
        self._by_id: dict[str, list[Segment]] | None = None
        self._groups: dict[str, list[Group]] = {}

    def of(self, segment_id: str) -> list[Segment]:
        """All segments of that id, in order."""
        if self._by_id is None:
            by_id: dict[str, list[Segment]] = {}
            for segment in self.segments:
                by_id.setdefault(segment.id, []).append(segment)
            self._by_id = by_id
        return self._by_id.get(segment_id, [])

    def ids(self) -> KeysView[str]:
        """The ids of its segments, each once, in order."""
        self.of("MSH")
        assert self._by_id is not None
        return self._by_id.keys()

    def children(self, name: str) -> list[Segment]:
        """All segments of the id `name`."""
        return self.of(name)

    def group(self, start: str) -> list[Group]:
        """One group per segment `start`: that segment and those after it, up to the next one."""
        groups = self._groups.get(start)
        if groups is not None:
            return groups
        groups = self._groups[start] = []
        for segment in self.segments:
            if segment.id == start:
                groups.append(Group([segment]))
            elif groups:
                groups[-1].segments.append(segment)
        return groups

    def before(self, start: str) -> Group:
        """The segments before the first one `start`; all of them if there is none."""
        found = self._groups.get(f"<{start}")
        if found is None:
            lead = Group(list(takewhile(lambda segment: segment.id != start, self.segments)))
            found = self._groups[f"<{start}"] = [lead]
        return found[0]


class Hl7Message(Group):
    """A whole message. `warnings` says where the sender's declarations were wrong."""

    __slots__ = ("codec", "has_escapes", "separators", "text_body", "warnings")
    segment: type[Segment] = Segment

    def __init__(self, text: str, separators: Separators, codec: str, warnings: list[str]) -> None:
        super().__init__([])
        self.text_body = text
        self.separators = separators
        self.codec = codec
        self.warnings = warnings
        self.has_escapes = (
            bool(separators.escape) and text.count(separators.escape) > 1
        )  # one stands in MSH-2

    def plain(self, raw: str) -> str | None:
        """The decoded text of a component: of its first subcomponent."""
        if not raw:
            return None
        separator = self.separators.subcomponent
        if separator and separator in raw:
            raw = raw.split(separator, 1)[0]
        if raw == '""':
            return None
        return self.decoded(raw)

    def decoded(self, raw: str) -> str | None:
        """A text without its escapes and the blanks around it; None if nothing is left."""
        return (unescape(raw, self.separators, self.codec) if self.has_escapes else raw).strip() or None

    def forget(self) -> None:
        """Let go of the segments, which point back here: nothing is left for the garbage collector."""
        self.segments.clear()
        self._groups.clear()
        self._by_id = None

    def zone(self) -> tzinfo | None:
        """The offset of MSH-7, which counts for every time of the message that has none of its own."""
        match = _OFFSET.search(self.segments[0].first(7) or "")
        if match is None:
            return None
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return timezone(-offset if match[1] == "-" else offset) if offset < timedelta(hours=24) else None

    @property
    def kind(self) -> str:
        """`ADT^A04`, of MSH-9."""
        return kind_of(self.segments[0])

    def header(self) -> Header:
        """MSH as plain values."""
        return header_of(self.segments[0])


def position(segment_id: str, place: tuple[int, ...]) -> str:
    """`PID-3[2].1` of field, repetition (from 0), component, subcomponent."""
    field, repetition, *inner = place
    text = f"{segment_id}-{field}" + (f"[{repetition + 1}]" if repetition else "")
    return text + "".join(f".{number}" for number in inner)


def atoms(segment: Segment) -> Iterator[tuple[tuple[int, int, int, int], str]]:
    """Every filled place of a segment: (field, repetition, component, subcomponent) and its raw text."""
    separators = segment.message.separators
    for number in range(1, len(segment.fields())):
        if segment.verbatim(number):
            continue
        for repetition, raw in enumerate(segment.repetitions(number)):
            for component, inner in enumerate(raw.split(separators.component), 1):
                pieces = inner.split(separators.subcomponent) if separators.subcomponent else [inner]
                for subcomponent, piece in enumerate(pieces, 1):
                    if piece and piece != '""':
                        yield (number, repetition, component, subcomponent), piece
