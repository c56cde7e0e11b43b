"""Whether the hub lives, is ready, and what it counts: `/health/live`, `/health/ready`, `/metrics`."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse, PlainTextResponse

from hub.api.admin import caller
from hub.api.desk import Desk
from hub.metrics import Reading
from hub.store import outbox, subscriptions

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def router(desk: Desk, *, admin: bool = True) -> APIRouter:
    """Health for everybody, metrics for those who may; `admin`: operators' routes are here too."""
    routes = APIRouter(tags=["health"])

    @routes.get("/health/live")
    async def live() -> dict[str, Any]:
        """The process answers."""
        return {
            "status": "live",
            "hub": desk.settings.name,
            "version": version("sanyi-hub"),
            "admin": admin,
        }

    @routes.get("/health/ready")
    async def ready() -> JSONResponse:
        """200 when the store is open and the channels run, else 503."""
        content: dict[str, Any] = {"status": "ready" if desk.ready else "not ready"}
        content["channels"] = {name: channel.state for name, channel in desk.channels.items()}
        return JSONResponse(content, 200 if desk.ready else 503)

    @routes.get("/metrics", dependencies=[Depends(caller)], response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        """Counters in Prometheus text."""
        return PlainTextResponse(desk.metrics.text(await _readings(desk)), media_type=CONTENT_TYPE)

    return routes


async def _readings(desk: Desk) -> list[Reading]:
    store = desk.store
    deliveries: dict[str, int] = {}
    for _, state, count in await outbox.counts(store):
        deliveries[state] = deliveries.get(state, 0) + count
    told = [row.failed for row in await subscriptions.listing(store)]
    states = [channel.state for channel in desk.channels.values()]
    return [
        *(("hub_deliveries", (state,), float(count)) for state, count in deliveries.items()),
        *(("hub_channels", (state,), float(states.count(state))) for state in set(states)),
        ("hub_subscriptions", ("active",), float(told.count(False))),
        ("hub_subscriptions", ("error",), float(told.count(True))),
        ("hub_store_commits_total", (), float(store.commits)),
        ("hub_store_writes_total", (), float(store.writes)),
        ("hub_ready", (), float(desk.ready)),
    ]
