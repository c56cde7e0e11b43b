"""$status of Subscriptions: whether each is told, how often it was, and what went wrong last.

R4 itself defines no such operation; this is the one of the Subscriptions backport, which returns a searchset
of Parameters: http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-status
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import msgspec

from hub import r4
from hub.api import parameters
from hub.api.exchange import Answer, Api, Ask, Offered
from hub.api.parameters import Given
from hub.api.read import read
from hub.store import notices
from hub.store import subscriptions as table
from hub.store.search.planner import parse_query, search
from hub.subscriptions import CHANNEL

URL = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-status"
PROFILE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-status-r4"
TYPE = "Subscription"
PAGE = "500"


async def status(api: Api, ask: Ask) -> Answer:
    """200 with one Parameters per Subscription: of the one that is named, or of those asked for."""
    if ask.id:
        found = [(ask.id, (await read(api, Ask(caller=ask.caller, type=TYPE, id=ask.id))).body)]
    else:
        found = [one async for one in _chosen(api, parameters.given(ask))]
    entries = [
        {
            "fullUrl": f"urn:uuid:{uuid4()}",
            "resource": await _status(api, id, r4.tree(body)),
            "search": {"mode": "match"},
        }
        for id, body in found
    ]
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    link = f"{api.base}/{TYPE}/{ask.id}/$status" if ask.id else f"{api.base}/{TYPE}/$status"
    bundle["link"] = [{"relation": "self", "url": link}]
    if entries:
        bundle["entry"] = entries
    return Answer(body=msgspec.json.encode(bundle))


async def _chosen(api: Api, given: Given) -> AsyncIterator[tuple[str, bytes]]:
    """Those of the given ids and statuses; without any, all."""
    wanted = [("_count", PAGE)]
    for name, values in (("_id", given.all("id")), ("status", given.all("status"))):
        if values:
            wanted.append((name, ",".join(str(value) for value in values)))
    cursor: str | None = ""
    while cursor is not None:
        more = [("_cursor", cursor)] if cursor else []
        page = await search(api.reader, parse_query(TYPE, wanted + more))
        for hit in page.entries:
            yield hit.id, hit.body
        cursor = page.next


async def _status(api: Api, id: str, tree: dict[str, Any]) -> dict[str, Any]:
    row = await table.load(api.reader, id)
    waiting = await notices.waiting(api.reader, CHANNEL, f"{TYPE}/{id}")
    events = (row.delivered if row is not None else 0) + sum(waiting.values())
    values: list[dict[str, Any]] = [
        {"name": "subscription", "valueReference": {"reference": f"{api.base}/{TYPE}/{id}"}},
        {"name": "status", "valueCode": tree["status"]},
        {"name": "type", "valueCode": "query-status"},
        {"name": "events-since-subscription-start", "valueString": str(events)},
    ]
    error = row.error if row is not None else tree.get("error", "")
    if error:
        values.append({"name": "error", "valueCodeableConcept": {"text": error}})
    return {"resourceType": "Parameters", "meta": {"profile": [PROFILE]}, "parameter": values}


STATUS = Offered(
    name="status",
    url=URL,
    run=status,
    on=frozenset({"type", "instance"}),
    types=frozenset({TYPE}),
    description="Whether Subscriptions are told, of how many changes so far, and what went wrong last",
)
"""http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-status"""
