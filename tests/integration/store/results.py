"""Searching in tests: resources in, ids out, page after page."""

from __future__ import annotations

from typing import Any

from hub.store import Store, Tx
from hub.store.resources import delete, put_all
from hub.store.search.planner import Page, parse_query, search
from tests.integration.store.samples import any_draft


async def stored(store: Store, *bodies: dict[str, Any]) -> None:
    """Store resources in one unit."""
    drafts = [any_draft(store, body) for body in bodies]

    async def work(tx: Tx) -> None:
        await put_all(tx, drafts)

    await store.write(work)


async def deleted(store: Store, type_name: str, id: str) -> None:
    """Delete a resource."""

    async def work(tx: Tx) -> None:
        await delete(tx, type_name, id, owner="county-hospital")

    await store.write(work)


async def asked(store: Store, text: str, cursor: str | None = None) -> Page:
    """The page of a search, written as its URL."""
    type_name, _, rest = text.partition("?")
    params = [(name, value) for name, _, value in (part.partition("=") for part in rest.split("&") if part)]
    if cursor:
        params.append(("_cursor", cursor))
    return await search(store, parse_query(type_name, params))


async def pages(store: Store, text: str) -> list[list[str]]:
    """The ids of every page to the end."""
    found: list[list[str]] = []
    cursor: str | None = None
    while True:
        page = await asked(store, text, cursor)
        found.append([hit.id for hit in page.entries if hit.mode == "match"])
        cursor = page.next
        if cursor is None:
            return found
        assert len(found) < 500


async def ids(store: Store, text: str) -> list[str]:
    """The ids of the matches of the first page, in their order."""
    return [hit.id for hit in (await asked(store, text)).entries if hit.mode == "match"]
