"""docs/reference names every route and every command."""

from __future__ import annotations

from pathlib import Path

import httpx
from typer.main import get_command

from hub.api.table import PATHS
from hub.cli.commands import app as commands

DOCS = Path(__file__).parents[3] / "docs" / "reference"


async def test_every_route_is_documented(client: httpx.AsyncClient) -> None:
    text = (DOCS / "http.md").read_text("utf-8")
    for path in PATHS:
        assert f"/fhir{path}" in text, path
    for path in (await client.get("/openapi.json")).json()["paths"]:
        assert path in text or path.endswith("/resume"), path


def test_every_command_is_documented() -> None:
    text = (DOCS / "commands.md").read_text("utf-8")
    for name, one in get_command(commands).commands.items():  # type: ignore[attr-defined]
        for inner in getattr(one, "commands", {"": one}):
            assert f"`hub {name} {inner}".rstrip() in text, (name, inner)
