"""A whole hub, and ways to it: in this process, and over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from hub import content, plugins
from hub.app import Hub, create_app
from hub.settings import build


@pytest.fixture(scope="session")
def installed() -> plugins.Plugins:
    """The installed plugins, looked for once."""
    return plugins.load()


@pytest.fixture
def port() -> int:
    """A port of the loopback interface that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def opened(database_url: str, installed: plugins.Plugins, port: int) -> AsyncIterator[FastAPI]:
    settings = build({"database_url": database_url, "port": port})
    application = create_app(settings, hub=Hub(settings, found=installed))
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
async def app(
    database_url: str,
    installed: plugins.Plugins,
    port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[FastAPI]:
    """An application on each database in turn, with no mappings (nothing here maps)."""
    monkeypatch.setattr(content, "mappings", lambda: tmp_path)
    async for application in opened(database_url, installed, port):
        yield application


@pytest.fixture
async def one_app(
    sqlite_url: str, installed: plugins.Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FastAPI]:
    """The same on SQLite alone, where the database is not what is tested."""
    monkeypatch.setattr(content, "mappings", lambda: tmp_path)
    async for application in opened(sqlite_url, installed, 8080):
        yield application


@contextlib.asynccontextmanager
async def listening(app: FastAPI, port: int) -> AsyncIterator[str]:
    """The FHIR base URL of an application behind a real socket."""
    config = uvicorn.Config(app, port=port, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}/fhir"
    finally:
        server.should_exit = True
        await task
