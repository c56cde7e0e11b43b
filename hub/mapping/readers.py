"""What generated code calls to read an HL7 v2 tree, and a few FHIRPath functions over one text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal, DecimalException
from typing import Any

from hub.fhirpath.values import EXACT
from hub.mapping.hl7v2_tree import Group, Part, Segment
from hub.mapping.runtime import text_of


class Several:
    """No segment of an id, or several: asked like a single one."""

    __slots__ = ("segments",)

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = segments

    def first(self, field: int, component: int = 1, subcomponent: int = 1) -> str | None:
        """The first text at a place."""
        for segment in self.segments:
            text = segment.first(field, component, subcomponent)
            if text is not None:
                return text
        return None

    def nodes(self, field: int) -> list[Part]:
        """The repetitions of a field in all segments."""
        return [part for segment in self.segments for part in segment.nodes(field)]

    def only(self, field: int, component: int = 1, subcomponent: int = 1) -> str | None:
        """The text at a place that has exactly one, for comparisons."""
        found: str | None = None
        for segment in self.segments:
            if segment.first(field, component, subcomponent) is not None:
                if found is not None:
                    return None
                found = segment.only(field, component, subcomponent)
        return found


NO_SEGMENT = Several(())


def segment(group: Group, segment_id: str) -> Segment | Several:
    """The segment of an id."""
    found = group.of(segment_id)
    return found[0] if len(found) == 1 else Several(found) if found else NO_SEGMENT


def hl(group: Group, segment_id: str, field: int, component: int = 1, subcomponent: int = 1) -> str | None:
    """The first text at a place of an HL7 v2 message."""
    return segment(group, segment_id).first(field, component, subcomponent)


def hl_only(
    group: Group, segment_id: str, field: int, component: int = 1, subcomponent: int = 1
) -> str | None:
    """The text at a place that has exactly one, for comparisons."""
    return segment(group, segment_id).only(field, component, subcomponent)


def hl_nodes(group: Group, segment_id: str, *path: int) -> list[Part]:
    """The nodes at a place."""
    found: list[Part] = []
    for segment in group.of(segment_id):
        found += segment.children(str(path[0]))
    for number in path[1:]:
        found = [child for part in found for child in part.children(str(number))]
    return found


def hl_where(
    group: Group,
    segment_id: str,
    field: int,
    component: int,
    wanted: frozenset[str | None],
    target: int,
    sub: int = 1,
) -> str | None:
    """The text of component `target` in the first repetition whose `component` is one of `wanted`."""
    return next(hl_every(group, segment_id, field, component, wanted, target, sub), None)


def hl_every(
    group: Group,
    segment_id: str,
    field: int,
    component: int,
    wanted: frozenset[str | None],
    target: int,
    sub: int = 1,
) -> Iterator[str]:
    """The same of every such repetition."""
    for segment in group.of(segment_id):
        for index in segment.matching(field, component, wanted):
            text = segment.text_in(field, index, target, sub)
            if text is not None:
                yield text


def first_of(function: Callable[..., Any], run: Any, texts: Iterable[str], *arguments: Any) -> Any:
    """The first result of a function over several texts."""
    results = (function(text, run, *arguments) for text in texts)
    return next((result for result in results if result is not None), None)


def inner(part: Part | None, *path: int) -> str | None:
    """The text below a node."""
    return None if part is None else part.at(*path)


def below(node: Any, *path: str) -> list[Part]:
    """The nodes below a segment or a part."""
    found: list[Any] = [node]
    for name in path:
        found = [child for one in found for child in one.children(name)]
    return found


def txt(items: Sequence[Any]) -> Any:
    """The first plain value of a list of results."""
    for item in items:
        value = text_of(item)
        if value is not None and value != "":
            return value
    return None


def substring(text: str, start: int, length: int | None = None) -> str | None:
    """FHIRPath substring(): nothing where it starts outside the text."""
    if not 0 <= start < len(text):
        return None
    return text[start:] if length is None else text[start : start + length]


def times(left: Decimal | int | None, right: Decimal | int | None) -> Decimal | None:
    """A product to its last digit; nothing where FHIRPath finds nothing, too (too large a number)."""
    if left is None or right is None:
        return None
    try:
        return EXACT.multiply(Decimal(left), Decimal(right))
    except DecimalException:
        return None


def rounded(value: Decimal | int | None, digits: int) -> Decimal | int | None:
    """An amount with so many decimals; halves go away from zero, as in FHIRPath round()."""
    if value is None or isinstance(value, int):
        return value
    try:
        return value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, EXACT)
    except DecimalException:
        return None
