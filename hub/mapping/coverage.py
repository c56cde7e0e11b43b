"""Nothing is dropped in silence: what a message says that its mapping neither reads nor lists as ignored.

The message is mapped once more over a tree that remembers what was asked of it. HL7 v2 for now.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hub.mapping import hl7v2
from hub.mapping.document import Fields, Items, Node
from hub.mapping.library import Mapping
from hub.mapping.runtime import Context

Place = tuple[int, int, int, int]


class _Message(hl7v2.Hl7Message):
    __slots__ = ("read",)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.read: set[tuple[int, Place]] = set()


class _Part(hl7v2.Part):
    __slots__ = ()

    def at(self, *path: int) -> str | None:
        found = super().at(*path)
        if found is not None:
            _remember(self.segment, (*self.place, *path))
        return found

    @property
    def text(self) -> str | None:
        _remember(self.segment, self.place)
        return super().text


class _Segment(hl7v2.Segment):
    __slots__ = ()
    part = _Part

    def first(self, number: int, component: int = 1, subcomponent: int = 1) -> str | None:
        for repetition in range(len(self.repetitions(number))):
            text = self.text_in(number, repetition, component, subcomponent)
            if text is not None:
                return text
        return None

    def text_in(self, number: int, repetition: int, component: int, subcomponent: int = 1) -> str | None:
        text = super().text_in(number, repetition, component, subcomponent)
        if text is not None:
            _remember(self, (number, repetition, component, subcomponent))
        return text

    def matching(self, number: int, component: int, wanted: frozenset[str | None]) -> Iterator[int]:
        for repetition in range(len(self.repetitions(number))):
            if self.text_in(number, repetition, component) in wanted:
                yield repetition


_Message.segment = _Segment


def _remember(segment: hl7v2.Segment, place: tuple[int, ...]) -> None:
    message = segment.message
    assert isinstance(message, _Message)
    field, repetition, component, subcomponent = (*place, 1, 1)[:4]
    message.read.add((segment.line, (field, repetition, component, subcomponent)))


def unread(mapping: Mapping, body: bytes, context: Context) -> list[str]:
    """The positions (`PID-11.4`) of a message whose values went nowhere, in order, each once."""
    if mapping.document.format != "hl7v2":
        return []
    message = hl7v2.parse(body, context.charset, message=_Message)
    assert isinstance(message, _Message)
    mapping.map(message, context)
    ignored = ignored_paths(mapping.document.root)
    found: dict[str, None] = {}
    for segment in message.segments:
        for place, _ in hl7v2.atoms(segment):
            if (segment.line, place) in message.read:
                continue
            field, _, component, subcomponent = place
            path = (segment.id, str(field), str(component), str(subcomponent))
            if not any(path[: len(one)] == one for one in ignored):
                inner = f".{component}.{subcomponent}" if subcomponent > 1 else f".{component}"
                found[f"{segment.id}-{field}{inner}"] = None
    return list(found)


def ignored_paths(root: Fields) -> list[tuple[str, ...]]:
    """The paths under `ignore`; raises Misconfigured where one has no reason."""
    node = root.entries.get("ignore")
    if node is None:
        return []
    if not isinstance(node, Items):
        node.fail("a list of {path, reason}")
    return [_path(item) for item in node.items]


def _path(item: Node) -> tuple[str, ...]:
    if not isinstance(item, Fields) or set(item.entries) != {"path", "reason"}:
        item.fail("{path, reason}")
    if not item.text("reason").strip():
        item.fail("a reason why it is ignored")
    return tuple(item.text("path").split("."))
