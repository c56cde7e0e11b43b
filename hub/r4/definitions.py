"""The R4 definitions, read from the generated pack one type at a time (tools/build_r4.py builds it)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

_PACK = Path(__file__).with_name("definitions")


class Constraint(msgspec.Struct, frozen=True, array_like=True):
    """An invariant: key, severity (`error` or `warning`), FHIRPath over the element it stands on."""

    key: str
    severity: str
    expression: str


class Element(msgspec.Struct, frozen=True):
    """One member of a type (http://hl7.org/fhir/R4/elementdefinition.html).

    types      data types; a nested or repeated structure is named by its path (`Patient.contact`)
    choice     written `value[x]`: in JSON the type is part of the name, in FHIRPath it is not
    targets    resource types a Reference may point at; empty: any
    profiles   type profiles such as `SimpleQuantity`
    binding    strength: `required`, `extensible`, `preferred`, `example` or empty
    """

    types: tuple[str, ...]
    min: int = 0
    many: bool = False
    choice: bool = False
    targets: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    binding: str = ""
    valueset: str = ""
    modifier: bool = False
    summary: bool = False


class SearchParameter(msgspec.Struct, frozen=True):
    """One search parameter of one type (http://hl7.org/fhir/R4/searchparameter.html).

    number      stable for ever; different for every (type, code)
    type        number, date, string, token, reference, composite, quantity, uri or special
    components  of a composite: the types of its two or three parts
    sounds      a string that is compared by ear (`hub.r4.sound`)
    plan        what the extraction is generated from; None: not compiled, and `why` says the reason
    """

    number: int
    code: str
    type: str
    url: str
    expression: str = ""
    targets: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    plan: list[Any] | None = None
    why: str = ""
    sounds: bool = False


class Definition(msgspec.Struct, frozen=True):
    """A resource or data type: its own elements and constraints by type path, without inherited ones."""

    name: str
    kind: str
    base: str
    elements: dict[str, dict[str, Element]]
    constraints: dict[str, list[Constraint]] = {}
    abstract: bool = False
    search: list[SearchParameter] = []
    date: str = ""
    """The code of the search parameter that holds the type's main date; empty: none."""


class _Index(msgspec.Struct, frozen=True):
    version: str
    resources: tuple[str, ...]
    types: tuple[str, ...]
    primitives: tuple[str, ...]
    compartments: dict[str, dict[str, list[str]]]


_index = msgspec.json.decode((_PACK / "_index.json").read_bytes(), type=_Index)

TYPES: tuple[str, ...] = _index.resources
"""The 146 concrete resource types, by name."""

DATA_TYPES: tuple[str, ...] = _index.types
"""The complex data types, and the abstract Resource, DomainResource, Element and BackboneElement."""

PRIMITIVES: frozenset[str] = frozenset(_index.primitives)
"""The primitive types."""

COMPARTMENTS: dict[str, dict[str, list[str]]] = _index.compartments
"""Compartment (`Patient`) → resource type → codes of the parameters that lead into it; `{def}`: itself."""

_KNOWN = frozenset(TYPES + DATA_TYPES)
_decode_definition = msgspec.json.Decoder(Definition).decode


def is_type(name: str) -> bool:
    """Whether `name` is a concrete resource type."""
    return name in _RESOURCES


def is_resource(name: str) -> bool:
    """Whether `name` is a resource type, be it one of the abstract ones."""
    return name in _RESOURCES or name in ("Resource", "DomainResource")


_RESOURCES = frozenset(TYPES)


@cache
def definition(name: str) -> Definition | None:
    """The definition of a resource or complex data type, or None."""
    if name not in _KNOWN:
        return None
    return _decode_definition((_PACK / f"{name}.json").read_bytes())


@cache
def members(path: str) -> dict[str, Element]:
    """The members of a type or of a structure inside one, inherited ones first, by name without `[x]`.

    >>> members("Patient.contact")["name"].types
    ('HumanName',)
    """
    found = definition(path.partition(".")[0])
    if found is None or path not in found.elements:
        return {}
    return {**members(base_of(path)), **found.elements[path]}


def base_of(path: str) -> str:
    """The type a path specialises: `Patient` → `DomainResource`, `Patient.contact` → `BackboneElement`."""
    found = definition(path.partition(".")[0])
    if found is None:
        return ""
    if path == found.name:
        return found.base
    return "BackboneElement" if found.kind == "resource" else "Element"


def constraints(path: str) -> list[Constraint]:
    """The invariants of a type or structure, inherited ones included."""
    found = definition(path.partition(".")[0])
    if found is None:
        return []
    return [*constraints(base_of(path)), *found.constraints.get(path, [])]


@cache
def element(path: str) -> Element | None:
    """The element at a path, followed through data types: `Patient.contact.name.family`."""
    parent, _, last = path.rpartition(".")
    if not parent:
        return None
    for kind in kinds(parent):
        found = members(kind).get(last.removesuffix("[x]"))
        if found is not None:
            return found
    return None


def kinds(path: str) -> tuple[str, ...]:
    """The type paths that may stand at a path: `Patient.name` → (`HumanName`,), `Patient` → (`Patient`,)."""
    if "." not in path:
        return (path,)
    found = element(path)
    return found.types if found else ()


@cache
def _valuesets() -> dict[str, dict[str, list[str]]]:
    decoded: dict[str, dict[str, list[str]]] = msgspec.json.decode((_PACK / "_codes.json").read_bytes())
    return decoded


@cache
def codings(valueset: str) -> frozenset[tuple[str, str]] | None:
    """(system, code) of every member of a value set with a required binding; None where it is not listed."""
    found = _valuesets().get(valueset.partition("|")[0])
    return None if found is None else frozenset((s, c) for s, codes in found.items() for c in codes)


@cache
def codes(valueset: str) -> frozenset[str] | None:
    """Every code of a value set with a required binding; None where it is not listed in the pack."""
    found = _valuesets().get(valueset.partition("|")[0])
    return None if found is None else frozenset(c for members in found.values() for c in members)


@cache
def _open_systems() -> dict[str, str]:
    decoded: dict[str, str] = msgspec.json.decode((_PACK / "_systems.json").read_bytes())
    return decoded


def code_system(valueset: str) -> str:
    """The one code system a value set of a required binding draws on, or empty."""
    found = code_systems(valueset)
    return found if isinstance(found, str) else ""


@cache
def code_systems(valueset: str) -> str | dict[str, str]:
    """What a bare `code` implies: the system of its value set, or, where that draws on several, the system
    by code; empty for a value set that is not known."""
    url = valueset.partition("|")[0]
    found = _valuesets().get(url)
    if found is None:
        return _open_systems().get(url, "")
    if len(found) == 1:
        return next(iter(found))
    return {code: system for system, listed in found.items() for code in listed}


@cache
def _parameters(type_name: str) -> dict[str, SearchParameter]:
    found = definition(type_name)
    return {p.code: p for p in found.search} if found and type_name in _RESOURCES else {}


def search_parameter(type_name: str, code: str) -> SearchParameter | None:
    """The search parameter `code` of a resource type, or None."""
    return _parameters(type_name).get(code)


def search_parameters(type_name: str) -> list[SearchParameter]:
    """Every search parameter of a resource type, by code; the common ones included."""
    return list(_parameters(type_name).values())
