"""capabilities: what this hub really offers, http://hl7.org/fhir/R4/http.html#capabilities

The CapabilityStatement is made from the routes, the search parameters and the loaded operations.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import msgspec

from hub import clock, r4
from hub.api.exchange import Answer, Api, Ask, Interaction

TYPE_INTERACTIONS = (
    "read",
    "vread",
    "update",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)
SYSTEM_INTERACTIONS = ("transaction", "batch", "history-system")
EVERYWHERE = (
    ("_id", "token", "http://hl7.org/fhir/SearchParameter/Resource-id"),
    ("_lastUpdated", "date", "http://hl7.org/fhir/SearchParameter/Resource-lastUpdated"),
)


async def capabilities(api: Api, ask: Ask) -> Answer:
    """200 with the CapabilityStatement."""
    if api.capabilities is None or api.capabilities[0] is not api.store.known:
        api.capabilities = (api.store.known, msgspec.json.encode(_statement(api)))
    return Answer(body=api.capabilities[1])


def _statement(api: Api) -> dict[str, Any]:
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": clock.instant(api.now()),
        "kind": "instance",
        "software": {"name": api.name, "version": version("sanyi-hub")},
        "implementation": {"description": api.name, "url": api.base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "resource": [_resource(api, type_name) for type_name in sorted(r4.TYPES)],
                "interaction": [{"code": code} for code in SYSTEM_INTERACTIONS],
            }
        ],
    }


def _resource(api: Api, type_name: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": type_name,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{type_name}",
        "interaction": [{"code": code} for code in TYPE_INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "single",
        "referencePolicy": ["literal", "logical", "local"],
        "searchParam": _parameters(api, type_name),
    }
    includes = _includes(api, type_name)
    if includes:
        found["searchInclude"] = includes
    operations = [
        {
            "name": name,
            "definition": f"{api.base}/OperationDefinition/{type_name}-{name}",
            "documentation": one.description,
        }
        for (resource, name), one in sorted(api.operations.items())
        if resource == type_name
    ]
    if operations:
        found["operation"] = operations
    return found


def _parameters(api: Api, type_name: str) -> list[dict[str, Any]]:
    rows = {name: {"name": name, "definition": url, "type": kind} for name, kind, url in EVERYWHERE}
    for one in api.store.known.of(type_name):
        if offered(one):
            rows.setdefault(one.code, {"name": one.code, "definition": one.url, "type": one.type})
    return [rows[name] for name in sorted(rows)]


def _includes(api: Api, type_name: str) -> list[str]:
    return sorted(
        f"{type_name}:{one.code}"
        for one in api.store.known.of(type_name)
        if one.type == "reference" and offered(one)
    )


def offered(parameter: r4.SearchParameter) -> bool:
    """Whether the index knows this parameter and the search understands its type."""
    return parameter.plan is not None


METADATA = Interaction("capabilities", "capabilities", capabilities)
