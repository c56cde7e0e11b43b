"""The FHIR routes as an OpenAPI document, made from the hub's own table for schemathesis to ask from.

It says what is likely, not what is allowed: types and ids that exist, bodies that are nearly resources. What
breaks these rules is for schemathesis to invent.
"""

from __future__ import annotations

import random
import re
from typing import Any

from hub import r4
from hub.api.table import PATHS
from tests.fuzz import bundles, queries, resources, words

Json = dict[str, Any]

TYPES = ["Patient", "Observation", "Claim", "ValueSet", "SearchParameter", "Subscription", "Bundle", "Binary"]
_IN_PATH: dict[str, Json] = {
    "type": {"type": "string", "enum": TYPES},
    "inside": {"type": "string", "enum": ["*", "Observation", "Patient"]},
    "id": {"anyOf": [{"enum": ["p0", "p1", "none"]}, {"type": "string", "minLength": 1, "maxLength": 80}]},
    "version": {"anyOf": [{"enum": ["1", "2"]}, {"type": "string", "minLength": 1}]},
    "name": {"type": "string", "enum": list(bundles.NAMES)},
}
_HEADERS: dict[str, list[str]] = {
    "If-Match": ['W/"1"', 'W/"2"', "*"],
    "If-None-Match": ['W/"1"', "*"],
    "If-None-Exist": ["identifier=a|b", "name=Wang"],
    "Prefer": ["return=minimal", "return=OperationOutcome", "handling=lenient"],
    "Accept": ["application/fhir+json", "application/fhir+xml", "*/*"],
}
_CONTROLS = (
    "_count",
    "_sort",
    "_include",
    "_revinclude",
    "_summary",
    "_elements",
    "_total",
    "_cursor",
    "_has",
)
_READS = frozenset({"GET", "HEAD"})


def document() -> Json:
    """All paths below the FHIR base, with a server at `/fhir`."""
    paths: Json = {"/": {"post": _operation("/", "POST"), "get": _operation("/", "GET")}}
    for path, methods in PATHS.items():
        paths[path] = {method.lower(): _operation(path, method) for method in methods}
    return {
        "openapi": "3.0.3",
        "info": {"title": "FHIR", "version": "4.0.1"},
        "servers": [{"url": "/fhir"}],
        "paths": paths,
    }


def _operation(path: str, method: str) -> Json:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _IN_PATH[name]}
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    parameters += [
        {"name": name, "in": "header", "schema": {"anyOf": [{"enum": likely}, {"type": "string"}]}}
        for name, likely in _HEADERS.items()
    ]
    if method in _READS or path == "/{type}":
        parameters += _searched()
    made: Json = {"parameters": parameters, "responses": {"default": {"description": "any answer"}}}
    if method in ("POST", "PUT", "PATCH"):
        made["requestBody"] = {"required": True, "content": _bodies(path, method)}
    return made


def _searched() -> list[Json]:
    """What a Patient can be searched by, with values of the right kind and others."""
    found = [
        _parameter(one.code, one.type) for one in r4.search_parameters("Patient") if one.type in queries.SOUND
    ]
    return found + [_parameter(name, "string") for name in _CONTROLS]


def _parameter(name: str, kind: str) -> Json:
    likely = [*queries.SOUND[kind], *(words.DATES if kind == "date" else ())]
    return {"name": name, "in": "query", "schema": {"anyOf": [{"enum": likely}, {"type": "string"}]}}


def _bodies(path: str, method: str) -> Json:
    """Bodies by media type, each with examples of its own."""
    rng = random.Random(path + method)
    if path.endswith("/_search"):
        form = {"type": "object", "properties": {one["name"]: one["schema"] for one in _searched()}}
        return {"application/x-www-form-urlencoded": {"schema": form}}
    if method == "PATCH":
        operation = {
            "type": "object",
            "properties": {"op": _enum("add", "remove", "copy"), "path": _pointer()},
        }
        patch = {"type": "array", "items": operation}
        return {
            "application/json-patch+json": {"schema": patch},
            "application/fhir+json": _described(_resource("Parameters"), bundles.patch_parameters(rng)),
        }
    kind = "Bundle" if path == "/" else "Parameters" if "$" in path else "Patient"
    example = {"Bundle": bundles.bundle, "Parameters": bundles.parameters}.get(kind, resources.resource)(rng)
    xml = {"type": "string", "example": f'<{kind} xmlns="http://hl7.org/fhir"><id value="a"/></{kind}>'}
    return {
        "application/fhir+json": _described(_resource(kind), example),
        "application/fhir+xml": {"schema": xml},
    }


def _described(schema: Json, example: Json) -> Json:
    return {"schema": schema, "examples": {"one": {"value": example}}}


def _resource(type_name: str) -> Json:
    """A resource with the elements of its type, each of any JSON type."""
    elements: Json = {name: {} for name, element in r4.members(type_name).items() if not element.choice}
    properties = {**elements, "resourceType": _enum(type_name), "id": {"type": "string"}}
    return {"type": "object", "required": ["resourceType"], "properties": properties}


def _enum(*values: str) -> Json:
    return {"type": "string", "enum": list(values)}


def _pointer() -> Json:
    return {"anyOf": [{"enum": list(bundles.POINTERS)}, {"type": "string"}]}
