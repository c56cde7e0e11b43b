"""capabilities: what this hub really offers, http://hl7.org/fhir/R4/http.html#capabilities

The CapabilityStatement is made from the table of routes, the search parameters in use, posted ones included,
and the operations of the hub and of its plugins. What is in none of these is not claimed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any

import msgspec

from hub import clock, r4
from hub.api import formats, operation_definition, operations
from hub.api.exchange import Answer, Api, Ask, Interaction
from hub.api.outcome import BadRequest
from hub.api.read import unchanged
from hub.errors import Issue
from hub.store.search import asking

MODES = ("full", "normative", "terminology")
NORMATIVE = frozenset(
    [
        "Binary", "Bundle", "CapabilityStatement", "CodeSystem", "Observation", "OperationDefinition",
        "OperationOutcome", "Parameters", "Patient", "StructureDefinition", "ValueSet",
    ]
)  # fmt: skip
"""Resource types whose R4 definition is normative."""

_TYPE_LEVEL = (
    ("read", "GET", "/{type}/{id}"),
    ("vread", "GET", "/{type}/{id}/_history/{version}"),
    ("update", "PUT", "/{type}/{id}"),
    ("patch", "PATCH", "/{type}/{id}"),
    ("delete", "DELETE", "/{type}/{id}"),
    ("history-instance", "GET", "/{type}/{id}/_history"),
    ("history-type", "GET", "/{type}/_history"),
    ("create", "POST", "/{type}"),
    ("search-type", "GET", "/{type}"),
)
_SYSTEM_LEVEL = (
    ("transaction", "POST", ""),
    ("batch", "POST", ""),
    ("search-system", "GET", "/_search"),
    ("history-system", "GET", "/_history"),
)
CLAIMS = (*_TYPE_LEVEL, *_SYSTEM_LEVEL)
"""Code of an interaction, method and path: the path of the base is empty."""
_COMPARTMENT = ("GET", "/{type}/{id}/{inside}")
_OPEN = (
    "Without security settings the hub is open, and therefore listens on loopback only and refuses requests "
    "that were forwarded or come from pages of other sites."
)
_json = msgspec.json.Encoder()


class Statement(msgspec.Struct, frozen=True):
    """A statement as it goes out; `made` in microseconds, `number` stands for its content (the ETag)."""

    body: bytes
    made: int
    number: int


async def capabilities(api: Api, ask: Ask) -> Answer:
    """200 with the CapabilityStatement (`mode=terminology`: the TerminologyCapabilities), 304, 400."""
    mode = next((value for name, value in ask.query if name == "mode"), "full")
    if mode not in MODES:
        text = f"mode: expected {', '.join(MODES)}"
        raise BadRequest(issues=[Issue(code="value", diagnostics=text, expression="mode")])
    statement = _current(api, mode)
    answer = Answer(version=statement.number, updated=statement.made)
    if unchanged(ask, statement.number, statement.made):
        answer.status = 304
    else:
        answer.body = statement.body
    return answer


def _current(api: Api, mode: str) -> Statement:
    """The statement of now; made anew when search parameters or operations have changed."""
    known = api.store.known
    state = (known, tuple(api.operations), operations.OFFERED)
    if api.statements.get("state") != state:
        api.statements = {"state": state}
    found: Statement | None = api.statements.get(mode)
    if found is None:
        made = api.now()
        tree = _terminology(api) if mode == "terminology" else _capability(api, normative=mode == "normative")
        content = _json.encode(tree)
        number = int.from_bytes(hashlib.blake2b(content, digest_size=7).digest(), "big") + 1
        body = _json.encode({"resourceType": tree["resourceType"], "date": clock.instant(made)} | tree)
        found = api.statements[mode] = Statement(body, made, number)
    return found


def _common(api: Api, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": kind,
        "url": f"{api.base}/metadata",
        "name": kind,
        "title": api.name,
        "status": "active",
        "kind": "instance",
        "software": {"name": api.name, "version": version("sanyi-hub")},
        "implementation": {"description": api.name, "url": api.base},
        **{name: value for name, value in more.items() if value},
    }


def _capability(api: Api, *, normative: bool) -> dict[str, Any]:
    reverse = _reverse(api)
    types = [one for one in sorted(r4.TYPES) if not normative or one in NORMATIVE]
    rest: dict[str, Any] = {
        "mode": "server",
        "security": {"cors": False, "description": _OPEN},
        "resource": [_resource(api, type_name, reverse[type_name]) for type_name in types],
        "interaction": _interactions(_SYSTEM_LEVEL),
        "searchParam": _parameters(one for one in api.store.known.of("Basic") if one.code.startswith("_")),
        "operation": _operations(one for one in operation_definition.all_of(api) if one.several),
        "compartment": _compartments(),
    }
    return _common(
        api,
        "CapabilityStatement",
        instantiates=sorted({one.instantiates for one in operations.OFFERED if one.instantiates}),
        fhirVersion="4.0.1",
        format=_formats(),
        patchFormat=_patch_formats(),
        rest=[{name: value for name, value in rest.items() if value}],
    )


def _terminology(api: Api) -> dict[str, Any]:
    offered = {one.name for one in operations.OFFERED}
    told: dict[str, Any] = {
        "expand": {"expansion": {"paging": True}, "codeSearch": "all"},
        "validate-code": {"validateCode": {"translations": False}},
        "translate": {"translation": {"needsMap": True}},
    }
    found = _common(api, "TerminologyCapabilities")
    for name, members in told.items():
        if name in offered:
            found |= members
    return found


def _resource(api: Api, type_name: str, reverse: list[str]) -> dict[str, Any]:
    known = api.store.known.of(type_name)
    found: dict[str, Any] = {
        "type": type_name,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{type_name}",
        "interaction": _interactions(_TYPE_LEVEL),
        "versioning": "versioned-update",
        "readHistory": _routed("GET", "/{type}/{id}/_history/{version}"),
        "updateCreate": _routed("PUT", "/{type}/{id}"),
        "conditionalCreate": _routed("POST", "/{type}"),
        "conditionalRead": "full-support",
        "conditionalUpdate": _routed("PUT", "/{type}"),
        "conditionalDelete": "single" if _routed("DELETE", "/{type}") else "not-supported",
        "referencePolicy": ["literal", "logical", "local"],
        "searchInclude": _includes(type_name, known),
        "searchRevInclude": sorted(reverse),
        "searchParam": _parameters(known),
        "operation": _operations(one for one in operation_definition.all_of(api) if one.belongs(type_name)),
    }
    return {name: value for name, value in found.items() if value != []}


def _routed(method: str, path: str) -> bool:
    """Whether the routes have it."""
    from hub.api.routes import ROOT  # which lead to this interaction
    from hub.api.table import PATHS

    return method in (PATHS.get(path, {}) if path else ROOT)


def _interactions(level: Iterable[tuple[str, str, str]]) -> list[dict[str, str]]:
    return [{"code": code} for code, method, path in level if _routed(method, path)]


def _parameters(known: Iterable[r4.SearchParameter]) -> list[dict[str, Any]]:
    rows = {
        one.code: {"name": one.code, "definition": one.url, "type": one.type}
        for one in known
        if asking.is_offered(one)
    }
    return [rows[name] for name in sorted(rows)]


def _includes(type_name: str, known: Iterable[r4.SearchParameter]) -> list[str]:
    codes = [one.code for one in known if one.type == "reference" and asking.is_offered(one)]
    return ["*", *sorted(f"{type_name}:{code}" for code in codes)] if codes else []


def _reverse(api: Api) -> dict[str, list[str]]:
    """By type: `Source:code` of every reference parameter that leads to it."""
    found: dict[str, list[str]] = {type_name: [] for type_name in r4.TYPES}
    for source in sorted(r4.TYPES):
        for one in api.store.known.of(source):
            if one.type == "reference" and asking.is_offered(one):
                for target in one.targets or r4.TYPES:
                    if target in found:
                        found[target].append(f"{source}:{one.code}")
    return found


def _operations(found: Iterable[operation_definition.Named]) -> list[dict[str, str]]:
    return [
        {"name": one.name, "definition": one.url, "documentation": one.description}
        if one.description
        else {"name": one.name, "definition": one.url}
        for one in found
    ]


def _compartments() -> list[str]:
    if not _routed(*_COMPARTMENT):
        return []
    return [f"http://hl7.org/fhir/CompartmentDefinition/{name.lower()}" for name in sorted(r4.COMPARTMENTS)]


def _media() -> Iterator[str]:
    for one in (formats.FHIR_JSON, formats.FHIR_XML):
        yield one.partition(";")[0]


def _formats() -> list[str]:
    return [*_media(), "json", "xml"]


def _patch_formats() -> list[str]:
    return [*sorted(formats.JSON_PATCH), *_media()] if _routed("PATCH", "/{type}/{id}") else []


METADATA = Interaction("capabilities", "capabilities", capabilities)
