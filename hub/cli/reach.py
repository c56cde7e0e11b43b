"""The way to the hub's data: always its admin routes.

Over HTTP when a hub runs (the lock file of a SQLite database names it; on PostgreSQL it answers at host and
port), otherwise to the same application inside this process, with its channels not started.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from hub import settings as settings_file
from hub.cli.commands import NotReachable
from hub.errors import Conflict, HubError, InvalidMessage, NotFound
from hub.settings import Settings
from hub.store import lock

_ERRORS: dict[int, type[HubError]] = {400: InvalidMessage, 404: NotFound, 409: Conflict}
TIMEOUT_SECONDS = 60.0


class Admin:
    """The admin routes, wherever the hub is."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def get(self, path: str, query: dict[str, Any] | None = None) -> Any:
        """GET /admin/{path} as JSON."""
        return await self._send("GET", path, params={k: v for k, v in (query or {}).items() if v})

    async def post(self, path: str, body: Any = None) -> Any:
        """POST /admin/{path} as JSON."""
        return await self._send("POST", path, json=body)

    async def _send(self, method: str, path: str, **content: Any) -> Any:
        try:
            answer = await self._client.request(method, f"/admin/{path}", **content)
        except httpx.TransportError as error:
            where = self._client.base_url
            raise NotReachable(f"the hub at {where} does not answer: {type(error).__name__}") from error
        if answer.is_success:
            return answer.json()
        raise _ERRORS.get(answer.status_code, HubError)(_reason(answer))


@asynccontextmanager
async def admin(config: Path | None) -> AsyncIterator[Admin]:
    """The hub these settings name, running or not."""
    settings = settings_file.load(config)
    url = await running(settings)
    if url:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=TIMEOUT_SECONDS) as client:
            yield Admin(client)
        return
    from hub.app import create_app  # most commands find a hub that runs, and need none of this

    app = create_app(settings, run_channels=False)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield Admin(client)


async def running(settings: Settings) -> str:
    """The base URL of the hub that has this database open, or "" if none runs here."""
    url = settings.database_url
    if url.startswith("sqlite:///"):
        owner = lock.owner_of(Path(url.removeprefix("sqlite:///")))
        if owner is None:
            return ""
        if not owner.url:
            raise NotReachable(
                f"the database is open in process {owner.pid}, which does not say where it answers"
            )
        if (await _live(owner.url)).get("admin") is False:
            raise NotReachable(
                f"the database is open in the worker with pid {owner.pid}, which has no operators' routes; "
                "run hub serve instead: on SQLite it delivers by itself"
            )
        return owner.url
    from hub.app import address

    url = address(settings)
    return url if (await _live(url)).get("admin") else ""


async def _live(url: str) -> dict[str, Any]:
    """What a hub says of itself; empty if none answers there."""
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=2) as client:
            answer = await client.get("/health/live")
        found = answer.json() if answer.is_success else {}
        return found if isinstance(found, dict) and "hub" in found else {}
    except (httpx.HTTPError, ValueError):
        return {}


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"the hub answered {answer.status_code}"
