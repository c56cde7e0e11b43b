"""`_summary` and `_elements`: parts of resources instead of whole ones, marked as such.

http://hl7.org/fhir/R4/search.html#summary and #elements. What is kept is kept as it was written: members are
taken and left as raw text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec

from hub import r4
from hub.api.exchange import Parameters
from hub.api.outcome import BadRequest
from hub.errors import Issue

SUBSETTED = (
    b'{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED",'
    b'"display":"subsetted"}'
)
NAMES = frozenset({"_summary", "_elements"})
MODES = ("true", "text", "data", "count", "false")

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])
_key = msgspec.json.Encoder().encode
_ALWAYS = frozenset({"resourceType", "id", "meta"})


class _Known(msgspec.Struct):
    """What is looked at before anything is cut."""

    resource_type: str = msgspec.field(default="", name="resourceType")


_known = msgspec.json.Decoder(_Known)


class Shape(msgspec.Struct, frozen=True):
    """`summary` is "", `true`, `text` or `data`; `elements` are names, perhaps after their type."""

    summary: str = ""
    elements: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.summary or self.elements)

    def check(self, types: Sequence[str]) -> Shape:
        """Raise BadRequest for an element that none of these types has."""
        for name in self.elements:
            type_name, dot, rest = name.partition(".")
            named = dot and type_name in r4.TYPES
            among, element = ((type_name,), rest) if named else (types, name)
            if not any(_base(one, element) for one in among):
                raise _wrong("_elements", "names an element that there is not at the root of the resource")
        return self

    def of(self, body: bytes) -> bytes:
        """A resource in this shape."""
        if not self:
            return body
        type_name = _known.decode(body).resource_type
        members = _object.decode(body)
        if self.elements:
            kept = _only(members, _chosen(type_name, self.elements))
        elif self.summary == "true":
            kept = _summed(members, type_name)
        elif self.summary == "text":
            kept = _only(members, _mandatory(type_name) | {"text"})
        else:
            kept = {name: raw for name, raw in members.items() if name not in ("text", "_text")}
        kept["meta"] = _marked(members.get("meta"))
        return _written(kept)

    def without_elements(self) -> Shape:
        """The shape of included resources: `_elements` does not speak of them."""
        return Shape(self.summary) if self.elements else self


WHOLE = Shape()


def shape_of(query: Parameters, types: Sequence[str]) -> Shape:
    """What a read or a history asks for. Raises BadRequest for an unknown value, `count` among them."""
    if not any(name in NAMES for name, _ in query):
        return WHOLE
    summary = ""
    elements: tuple[str, ...] = ()
    for name, value in query:
        if not value:
            continue
        if name == "_summary":
            if value not in MODES or value == "count":
                raise _wrong(name, "expected true, text, data or false")
            summary = value if value != "false" else ""
        elif name == "_elements":
            elements += tuple(part.strip() for part in value.split(",") if part.strip())
    if summary and elements:
        raise _wrong("_elements", "cannot be asked for together with _summary")
    return Shape(summary, elements).check(types)


def _wrong(name: str, why: str) -> BadRequest:
    return BadRequest(issues=[Issue(code="value", diagnostics=f"{name}: {why}", expression=name)])


def _base(type_name: str, element: str) -> str:
    """The name of a root element, given plainly, with `[x]`, with its type, or with what is below it."""
    name = element.partition(".")[0].removesuffix("[x]")
    if name == "resourceType" or name in r4.members(type_name):
        return name
    return next((base for member, (base, *_) in _members(type_name).items() if member == name), "")


@lru_cache(512)
def _chosen(type_name: str, elements: tuple[str, ...]) -> frozenset[str]:
    """The JSON members that are asked for, and those that never go missing: mandatory ones and modifiers."""
    bases = set()
    for name in elements:
        prefix, dot, rest = name.partition(".")
        if dot and prefix in r4.TYPES:
            bases |= {_base(type_name, rest)} if prefix == type_name else set()
        else:
            bases.add(_base(type_name, name))
    found = r4.members(type_name)
    bases |= {name for name, one in found.items() if one.min or one.modifier}
    return frozenset(member for member, (base, *_) in _members(type_name).items() if base in bases)


@lru_cache(512)
def _mandatory(type_name: str) -> frozenset[str]:
    found = r4.members(type_name)
    return frozenset(member for member, (base, *_) in _members(type_name).items() if found[base].min)


@lru_cache(2048)
def _members(path: str) -> dict[str, tuple[str, bool, str]]:
    """The JSON members of a type: the element's name, whether a summary has it, and what it is made of."""
    made: dict[str, tuple[str, bool, str]] = {}
    for name, one in r4.members(path).items():
        kept = one.summary or one.min > 0
        for kind in one.types:
            member = name + kind[0].upper() + kind[1:] if one.choice else name
            made[member] = (name, kept, kind)
    return made


def _only(members: dict[str, msgspec.Raw], wanted: frozenset[str]) -> dict[str, msgspec.Raw | bytes]:
    return {name: raw for name, raw in members.items() if name in _ALWAYS or name.removeprefix("_") in wanted}


def _summed(members: dict[str, msgspec.Raw], path: str) -> dict[str, msgspec.Raw | bytes]:
    """The members that a summary has, and of each its own summary."""
    known = _members(path)
    kept: dict[str, msgspec.Raw | bytes] = {}
    for name, raw in members.items():
        if name in _ALWAYS and (path in r4.TYPES or name == "id"):
            kept[name] = raw
            continue
        _, wanted, kind = known.get(name.removeprefix("_"), ("", False, ""))
        if wanted:
            kept[name] = raw if name[0] == "_" or not _parted(kind) else _inside(raw, kind)
    return kept


def _inside(raw: msgspec.Raw, kind: str) -> bytes:
    first = bytes(raw).lstrip()[:1]
    if first == b"[":
        return b"[" + b",".join(_inside(one, kind) for one in _array.decode(raw)) + b"]"
    if first != b"{":
        return bytes(raw)
    kept = _summed(_object.decode(raw), kind)
    return _written(kept) if kept else bytes(raw)


@lru_cache(1024)
def _parted(kind: str) -> bool:
    """Whether a summary leaves out parts of this type."""
    if kind in r4.PRIMITIVES or kind in ("Extension", "Resource", "Narrative", "xhtml"):
        return False
    return bool(_members(kind))


def _marked(meta: msgspec.Raw | None) -> bytes:
    """The meta with the tag SUBSETTED."""
    members: dict[str, msgspec.Raw | bytes] = dict(_object.decode(meta)) if meta is not None else {}
    tags: list[msgspec.Raw | bytes] = list(_array.decode(members["tag"])) if "tag" in members else []
    if not any(b'"SUBSETTED"' in bytes(one) for one in tags):
        tags.append(SUBSETTED)
    members["tag"] = b"[" + b",".join(bytes(one) for one in tags) + b"]"
    return _written(members)


def _written(members: dict[str, msgspec.Raw | bytes]) -> bytes:
    """The members as an object; what came raw stays so."""
    parts: Iterable[bytes] = (_key(name) + b":" + bytes(raw) for name, raw in _first(members))
    return b"{" + b",".join(parts) + b"}"


def _first(members: dict[str, msgspec.Raw | bytes]) -> list[tuple[str, msgspec.Raw | bytes]]:
    """resourceType, id and meta lead."""
    lead = [(name, members[name]) for name in ("resourceType", "id", "meta") if name in members]
    return [*lead, *((name, raw) for name, raw in members.items() if name not in _ALWAYS)]
