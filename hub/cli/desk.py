"""Listings and actions on a hub's data, through its admin routes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from hub.cli import show as printed
from hub.cli.logs import configure
from hub.cli.reach import admin

COLUMNS: dict[str, tuple[str, ...]] = {
    "channels": ("name", "adapter", "state", "mapping", "acknowledge", "received", "reason"),
    "messages": ("id", "channel", "kind", "state", "received", "size", "issues"),
    "conversations": ("id", "document", "key", "channel", "state", "step", "changed", "reason"),
    "dead-letters": ("id", "channel", "kind", "step", "attempts", "business_id", "opened", "error"),
}

BAD_OUTCOMES = frozenset({"invalid", "conflict", "rejected", "unavailable"})


def listing(config: Path | None, path: str, query: dict[str, Any], *, as_json: bool) -> int:
    """Print the rows of a listing."""
    found = asyncio.run(_get(config, path, query))
    printed.rows(found[path.replace("-", "_")], COLUMNS[path], as_json=as_json)
    return 0


def show(config: Path | None, path: str, *, as_json: bool) -> int:
    """Print one thing with its body."""
    printed.one(asyncio.run(_get(config, path, {})), as_json=as_json)
    return 0


def act(config: Path | None, path: str, body: Any, *, as_json: bool) -> int:
    """Do something and print what came of it; 1 if the outcome is a bad one."""
    found = asyncio.run(_post(config, path, body))
    printed.one(found, as_json=as_json)
    return 1 if found.get("outcome") in BAD_OUTCOMES or found.get("state") == "failed" else 0


async def _get(config: Path | None, path: str, query: dict[str, Any]) -> Any:
    configure("WARNING")
    async with admin(config) as hub:
        return await hub.get(path, query)


async def _post(config: Path | None, path: str, body: Any) -> Any:
    configure("WARNING")
    async with admin(config) as hub:
        return await hub.post(path, body)
