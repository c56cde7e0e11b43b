"""A whole hub behind its ASGI application, on each database in turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from hub import content, plugins
from hub.app import Hub, create_app
from hub.settings import build

FHIR_JSON = {"Content-Type": "application/fhir+json"}
BASE = "http://127.0.0.1:8080/fhir"


@pytest.fixture(scope="session")
def installed() -> plugins.Plugins:
    """The installed plugins, looked for once."""
    return plugins.load()


@pytest.fixture
async def app(
    database_url: str, installed: plugins.Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FastAPI]:
    """An application whose hub is open, with no mappings (nothing here maps)."""
    monkeypatch.setattr(content, "mappings", lambda: tmp_path)
    settings = build({"database_url": database_url, "export_folder": str(tmp_path / "exports")})
    application = create_app(settings, hub=Hub(settings, found=installed))
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
def hub(app: FastAPI) -> Hub:
    """The hub behind it."""
    running: Hub = app.state.hub
    return running


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of it."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8080", headers=FHIR_JSON
    ) as one:
        yield one


def issue(answer: httpx.Response) -> dict[str, Any]:
    """The first issue of an OperationOutcome."""
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome", body
    found: dict[str, Any] = body["issue"][0]
    assert found["severity"] and found["code"] and found["diagnostics"]
    return found
