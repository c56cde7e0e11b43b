"""Storing resources and asking for them, in as few words as a search has."""

from __future__ import annotations

from typing import Any

from hub.store import Store, Tx
from hub.store.resources import put_all
from hub.store.search.across import parse_across, search_across
from hub.store.search.planner import Page, parse_query, search
from tests.integration.store.samples import any_draft


async def keep(store: Store, *bodies: dict[str, Any]) -> None:
    """Store resources in one unit."""
    drafts = [any_draft(store, body) for body in bodies]

    async def work(tx: Tx) -> None:
        await put_all(tx, drafts)

    await store.write(work)


async def page(store: Store, asked: str, **options: Any) -> Page:
    """One page of `Type?name=value&name=value`, or of several types where there is no type."""
    type_name, _, rest = asked.partition("?")
    pairs = [part.split("=", 1) for part in rest.split("&") if part]
    params = [(name, value) for name, value in pairs]
    if not type_name:
        return await search_across(store, parse_across(params, known=store.known, **options))
    return await search(store, parse_query(type_name, params, known=store.known, **options))


async def ids(store: Store, asked: str) -> str:
    """The ids of the matches, sorted, with a blank between them."""
    return " ".join(sorted(hit.id for hit in (await page(store, asked)).entries))


def patient(id: str, **members: Any) -> dict[str, Any]:
    """A Patient."""
    return {"resourceType": "Patient", "id": id, **members}


def observation(id: str, **members: Any) -> dict[str, Any]:
    """An Observation of systolic blood pressure unless it says otherwise."""
    code = {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}
    return {"resourceType": "Observation", "id": id, "status": "final", "code": code, **members}


def reference(to: str) -> dict[str, str]:
    """A Reference."""
    return {"reference": to}
