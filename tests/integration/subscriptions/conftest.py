"""A whole hub behind its ASGI application, on each database in turn, and an endpoint it may notify."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub import content, plugins
from hub.app import Hub, create_app
from hub.settings import ChannelSettings, build
from tests.integration.subscriptions.endpoints import Endpoint
from tests.integration.subscriptions.scene import Scene

QUICK = ChannelSettings.model_validate(
    {"adapter": "rest-hook", "attempts": 4, "retry_seconds": 0.02, "retry_seconds_max": 0.05}
)


@pytest.fixture(scope="session")
def installed() -> plugins.Plugins:
    """The installed plugins, looked for once."""
    return plugins.load()


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    """A listening endpoint."""
    made = Endpoint()
    await made.start()
    yield made
    await made.stop()


@asynccontextmanager
async def opened(settings: dict[str, Any], installed: plugins.Plugins) -> AsyncIterator[Scene]:
    """A running hub that tries again quickly."""
    checked = build(settings)
    hub = Hub(checked, found=installed)
    app = create_app(checked, hub=hub)
    async with app.router.lifespan_context(app):
        hub.channels["subscriptions"].settings = QUICK
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            yield Scene(hub, client)


@pytest.fixture
def settings(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Those of a hub without channels and mappings."""
    monkeypatch.setattr(content, "mappings", lambda: tmp_path)
    return {"database_url": database_url}


@pytest.fixture
async def scene(settings: dict[str, Any], installed: plugins.Plugins) -> AsyncIterator[Scene]:
    """A running hub."""
    async with opened(settings, installed) as made:
        yield made
