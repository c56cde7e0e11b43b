"""A hub on a real port, for clients that other people wrote."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn

from hub import content
from hub.app import Hub, create_app
from hub.plugins import Plugins
from hub.settings import build


@pytest.fixture
async def base(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The FHIR base of a running hub, on each database in turn."""
    monkeypatch.setattr(content, "mappings", lambda: tmp_path)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    settings = build({"database_url": database_url, "port": port})
    application = create_app(settings, hub=Hub(settings, found=Plugins()))
    async with application.router.lifespan_context(application):
        config = uvicorn.Config(application, lifespan="off", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        yield settings.fhir_base
        server.should_exit = True
        await task
