"""The trees an expression walks over.

Three kinds of node: plain JSON (`dict`, `list`, `str`, `int`, `Decimal`, `bool`), anything with
`children(name)` (the `Tree` protocol: HL7 v2 and other formats), and `Element`, which is JSON that knows its
FHIR type and the `_name` sibling of a primitive. Expressions that ask for types or extensions run over
Elements; all others run over the JSON itself, because that is several times faster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

from hub.fhirpath.choices import CHOICES
from hub.fhirpath.quantity import Quantity, from_fhir
from hub.fhirpath.temporal import Temporal, parse_clock, parse_moment
from hub.fhirpath.types import types

Item = Any
"""One member of a collection."""

Items = Sequence[Item]
"""A collection. Never changed in place: it may be the caller's own JSON list."""


@runtime_checkable
class Tree(Protocol):
    """A node of another format. `text` (optional) is its value as a string."""

    def children(self, name: str) -> Sequence[Any]:
        """The nodes of that name below this one, in order; empty if there are none."""


SCALARS = frozenset((str, int, bool, Decimal, float, Temporal, Quantity, type(None)))


class Element:
    """A JSON value with its FHIR type; of a primitive also the object beside it (`_birthDate`)."""

    __slots__ = ("beside", "type", "value")

    def __init__(self, value: Any, type_name: str, beside: dict[str, Any] | None = None) -> None:
        self.value = value
        self.type = type_name
        self.beside = beside

    def children(self, name: str) -> list[Any]:
        value = self.value
        if value.__class__ is not dict:
            if name == "value" and value is not None:
                return [self.system()]
            return wrap_all((self.beside or {}).get(name), None, _BESIDE.get(name, "string"))
        found = value.get(name)
        beside = value.get("_" + name)
        if found is None and beside is None:
            return self._choice(name)
        kind = types().child(self.type, name) or ("Extension" if name == "extension" else "")
        return wrap_all(found, beside, kind)

    def _choice(self, name: str) -> list[Any]:
        names = types().choices(self.type, name) or CHOICES.get(name)
        if names is None:
            return []
        for key in self.value:
            plain = key[1:] if key.startswith("_") else key
            if plain in names:
                return wrap_all(self.value.get(plain), self.value.get("_" + plain), names[plain])
        return []

    def every_child(self) -> list[Any]:
        """All children in the order of the JSON."""
        found: list[Any] = []
        source = self.value if self.value.__class__ is dict else self.beside or {}
        for name in dict.fromkeys(key.removeprefix("_") for key in source if key != "resourceType"):
            if source is self.value and (choice := choice_of(self.type, name)):
                found.extend(wrap_all(source.get(name), source.get("_" + name), choice))
            else:
                found.extend(self.children(name))
        return found

    def system(self) -> Any:
        """The value as FHIRPath computes with it: a Temporal for dates, a Quantity for quantities."""
        value = self.value
        if value.__class__ is str:
            if self.type in _MOMENTS:
                return parse_moment(value, kind="Date" if self.type == "date" else "DateTime") or value
            return (parse_clock(value) or value) if self.type == "time" else value
        return value


_BESIDE = {"extension": "Extension"}
_MOMENTS = frozenset(("date", "dateTime", "instant"))


def choice_of(owner: str, key: str) -> str | None:
    """The type that a JSON name such as `valueQuantity` states, None for an ordinary name."""
    for cut in range(len(key) - 1, 0, -1):
        if key[cut].isupper():
            names = types().choices(owner, key[:cut])
            if names and key in names:
                return names[key]
    return None


def wrap_all(found: Any, beside: Any, kind: str) -> list[Any]:
    """JSON below one name, as Elements; `beside` is its `_name` sibling."""
    if found.__class__ is list:
        if beside is None:
            return [element(value, kind) for value in found if value is not None]
        others = beside if beside.__class__ is list else [None] * len(found)
        return [
            element(value, kind, other)
            for value, other in _paired(found, others)
            if value is not None or other is not None
        ]
    if found is None and beside is None:
        return []
    if found is None and beside.__class__ is list:
        return [element(None, kind, other) for other in beside if other is not None]
    return [element(found, kind, beside)]


def _paired(found: list[Any], others: list[Any]) -> Iterable[tuple[Any, Any]]:
    longest = max(len(found), len(others))
    return zip(
        found + [None] * (longest - len(found)), others + [None] * (longest - len(others)), strict=True
    )


_SHAPES = {str: "string", bool: "boolean", int: "integer", Decimal: "decimal"}


def element(value: Any, kind: str = "", beside: Any = None) -> Any:
    """One JSON value as an Element; other nodes stay what they are."""
    if value.__class__ is dict:
        return Element(value, value.get("resourceType") or kind)
    if value.__class__ in _SHAPES or value is None:
        return Element(value, kind or _SHAPES.get(value.__class__, ""), beside)
    return value


def wrap(item: Any) -> Any:
    """A node handed in from outside, ready for typed evaluation."""
    return element(item) if item.__class__ is dict else item


def unwrap(items: Items) -> list[Any]:
    """Items as plain JSON; primitives without a value (only extensions) are left out."""
    found: list[Any] = []
    for item in items:
        if item.__class__ is Element:
            item = item.value
            if item is None:
                continue
        elif item.__class__ is Temporal:
            item = str(item)
        elif item.__class__ is Quantity:
            item = item.as_fhir()
        elif item.__class__ is TypeInfo:
            item = {"namespace": item.namespace, "name": item.name}
        found.append(item)
    return found


class TypeInfo:
    """What `type()` answers."""

    __slots__ = ("name", "namespace")

    def __init__(self, namespace: str, name: str) -> None:
        self.namespace = namespace
        self.name = name

    def children(self, name: str) -> list[Any]:
        return [getattr(self, name)] if name in ("namespace", "name") else []


def kids(node: Any, name: str) -> Items:
    """The children of one node under one name. This is the hot path of every expression."""
    kind = node.__class__
    if kind is dict:
        found = node.get(name)
        if found.__class__ is list:
            if (found and found[0].__class__ is dict) or None not in found:
                return found
            return _with_nulls(node, name, found)
        if found is not None:
            return (found,)
        return _missing(node, name)
    if kind in SCALARS:
        return ()
    try:
        children = node.children
    except AttributeError:
        return kids(dict(node), name) if isinstance(node, Mapping) else ()
    return children(name)  # type: ignore[no-any-return]


def _missing(node: dict[str, Any], name: str) -> Items:
    names = CHOICES.get(name)
    if names is not None:
        for key in node:
            if key in names:
                return kids(node, key)
    beside = node.get("_" + name)
    return wrap_all(None, beside, "") if beside is not None else ()


def _with_nulls(node: dict[str, Any], name: str, found: list[Any]) -> Items:
    beside = node.get("_" + name)
    others = beside if beside.__class__ is list else []
    pairs = _paired(found, others)
    return [
        value if value is not None else Element(None, "", other)
        for value, other in pairs
        if value is not None or other is not None
    ]


def choice_kids(node: Any, key: str, name: str, kind: str) -> Items:
    """`name.ofType(kind)` over plain JSON: the member `key`, or an ordinary member of that shape."""
    if node.__class__ is not dict:
        return [item for item in kids(node, name) if _SHAPES.get(item.__class__) == kind]
    if key in node or "_" + key in node:
        return kids(node, key)
    found = node.get(name)
    if found is None:
        return ()
    return [item for item in kids(node, name) if _has_shape(item, kind)]


def _has_shape(item: Any, kind: str) -> bool:
    if item.__class__ is dict:
        return kind[0].isupper()
    if item.__class__ is str:
        return kind[0].islower() and kind not in (
            "boolean",
            "integer",
            "decimal",
            "positiveInt",
            "unsignedInt",
        )
    if item.__class__ is int:
        return kind in ("integer", "decimal", "positiveInt", "unsignedInt")
    return _SHAPES.get(item.__class__) == kind


_ABSTRACT = frozenset(("Resource", "DomainResource"))


def start(node: Any, name: str) -> Items:
    """The first name of a path: the context's own type (`Patient.name`), else a child."""
    plain = node.value if node.__class__ is Element else node
    if plain.__class__ is dict and (own := plain.get("resourceType")) is not None:
        if own == name or name in _ABSTRACT:
            return (node,)
    elif node.__class__ is Element and node.type == name:
        return (node,)
    return kids(node, name)


def plain(item: Any) -> Any:
    """The value to compute with: str, bool, int, Decimal, Temporal, Quantity, else the node itself.

    None for a node without a value: a primitive that has extensions only, an empty HL7 v2 field.
    """
    if item.__class__ in SCALARS:
        return item
    if item.__class__ is Element:
        return item.system()
    if item.__class__ is dict:
        return item
    return getattr(item, "text", item)


def quantity_of(item: Any) -> Quantity | None:
    """A Quantity, also from a FHIR Quantity element; None if it is none."""
    value = plain(item)
    if value.__class__ is Quantity:
        return value
    if value.__class__ is dict and "value" in value:
        return from_fhir(value)
    return None
