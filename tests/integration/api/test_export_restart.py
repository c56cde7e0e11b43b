"""An export over real sockets, begun at one hub and finished by the next one on the same database."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

from hub import content, plugins
from hub.app import Hub, create_app
from hub.exports import job
from hub.settings import build

COUNT = 60


@asynccontextmanager
async def served(database_url: str, folder: Path, found: plugins.Plugins) -> AsyncIterator[tuple[Hub, str]]:
    """A hub and the address it answers at."""
    settings = build({"database_url": database_url, "export_folder": str(folder), "export_lines": 25})
    hub = Hub(settings, found=found)
    config = uvicorn.Config(create_app(settings, hub=hub), port=0, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment, method-assign]
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    yield hub, f"http://{host}:{port}"
    server.should_exit = True
    await task


async def test_an_export_is_finished_after_a_restart_of_the_hub(
    database_url: str, installed: plugins.Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "mappings", lambda: tmp_path)
    monkeypatch.setattr(job, "CHUNK", 10)
    folder = tmp_path / "exports"
    async with served(database_url, folder, installed) as (hub, address), httpx.AsyncClient() as client:
        await hub.exports.stop()  # so that the test says how far it comes
        entries = [
            {
                "resource": {"resourceType": "Patient", "id": f"p{number:02}"},
                "request": {"method": "PUT", "url": f"Patient/p{number:02}"},
            }
            for number in range(COUNT)
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        headers = {"Content-Type": "application/fhir+json"}
        stored = await client.post(f"{address}/fhir", content=json.dumps(bundle), headers=headers)
        assert stored.status_code == 200
        answer = await client.get(f"{address}/fhir/Patient/$export", headers={"Prefer": "respond-async"})
        assert answer.status_code == 202
        status = httpx.URL(answer.headers["content-location"]).raw_path.decode()
        begun = await hub.exports.claim()
        assert begun is not None
        while begun.progress.resources < 30:
            assert await begun.step()
        running = await client.get(address + status)
        assert running.status_code == 202 and running.headers["x-progress"].startswith("30 written")
        if hub.store.postgres:
            await hub.exports.start()  # whoever stops gives back what it had claimed
            await hub.exports.stop()
    async with served(database_url, folder, installed) as (hub, address), httpx.AsyncClient() as client:
        for _ in range(600):
            answer = await client.get(address + status)
            if answer.status_code != 202:
                break
            await asyncio.sleep(0.05)
        assert answer.status_code == 200
        names = []
        for file in answer.json()["output"]:
            url = address + httpx.URL(file["url"]).raw_path.decode()
            names += [json.loads(line)["id"] for line in (await client.get(url)).text.splitlines()]
        assert names == [f"p{number:02}" for number in range(COUNT)]
