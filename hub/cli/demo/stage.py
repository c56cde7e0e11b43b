"""The stage of the demo: a hub in a fresh folder and three simulated systems, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from hub import app, plugins, settings
from hub.cli.serving import listen
from hub.errors import HubError
from hub.messages import json_line
from hub.settings import Settings

HOSPITAL, SECOND_HOSPITAL, INSURER, PLATFORM, MESSAGES = (
    "county-hospital",
    "second-hospital",
    "insurer",
    "procurement",
    "messages",
)
SETTLE_HORIZON_SECONDS = 2.0


class Stage:
    """Everything the demo plays with; `hub` is an HTTP client of the running hub."""

    def __init__(
        self, folder: Path, settings: Settings, simulators: dict[str, Any], hub: httpx.AsyncClient
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.simulators = simulators
        self.hub = hub

    def target(self, channel: str) -> str:
        """Where a channel listens, `host:port`."""
        return str(self.settings.channels[channel].adapter_settings["listen"])

    async def get(self, path: str, **query: Any) -> dict[str, Any]:
        """GET as JSON; a HubError with the hub's own words if it says no."""
        answer = await self.hub.get(path, params=query)
        return checked(answer)

    async def post(self, path: str, body: Any) -> dict[str, Any]:
        """POST a FHIR resource, JSON back."""
        headers = {"Content-Type": "application/fhir+json", "Prefer": "return=representation"}
        return checked(await self.hub.post(path, content=json_line(body), headers=headers))

    async def resources(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """Every resource a FHIR search finds, page by page."""
        found, page = [], await self.get(f"/fhir/{path}", **query)
        while True:
            found += [entry["resource"] for entry in page.get("entry", [])]
            following = [link["url"] for link in page.get("link", []) if link["relation"] == "next"]
            if not following:
                return found
            page = checked(await self.hub.get(following[0]))


def checked(answer: httpx.Response) -> dict[str, Any]:
    """The JSON of a good answer."""
    if answer.status_code >= 400:
        raise HubError(
            f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:500]}"
        )
    body: dict[str, Any] = answer.json()
    return body


@contextlib.asynccontextmanager
async def stage(port: int = 0, *, keep: bool = True) -> AsyncIterator[Stage]:
    """Set up, and take down again; the folder stays for a look if `keep` says so."""
    folder = Path(tempfile.mkdtemp(prefix="sanyi-hub-demo-"))
    installed = plugins.load()

    def simulator(kind: str, **options: Any) -> Any:
        return plugins.simulator(installed.adapter(kind))(**options)

    insurer = simulator("settlement-nhsa", auto_enroll=True)
    platform = simulator("procurement-zhejiang")
    await insurer.start()
    await platform.start()
    try:
        chosen = write_settings(folder, insurer.channel(), platform.channel(), port or free_port(8080))
        async with serving(chosen) as client:
            hospitals = {
                name: simulator("his-hl7v2", code=code, charset=charset, target=_listen(chosen, name))
                for name, code, charset in (
                    (HOSPITAL, "H37050200001", "UTF-8"),
                    (SECOND_HOSPITAL, "H37050200002", "GB18030"),
                )
            }
            for one in hospitals.values():
                await one.start()
            try:
                yield Stage(folder, chosen, {**hospitals, INSURER: insurer, PLATFORM: platform}, client)
            finally:
                for one in hospitals.values():
                    await one.stop()
    finally:
        await insurer.stop()
        await platform.stop()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def serving(chosen: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The hub behind its real HTTP server, and a client of it; HubError when its port cannot be used."""
    try:
        listener = listen(chosen.host, chosen.port)
    except OSError as error:
        where = f"{chosen.host}:{chosen.port}"
        raise HubError(f"{where} cannot be used ({error.strerror}); choose another with --port") from None
    config = uvicorn.Config(app.create_app(chosen), log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    running = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        if running.done():
            listener.close()
            await running
            raise HubError("the hub did not start; its log says why")
        await asyncio.sleep(0.02)
    try:
        async with httpx.AsyncClient(base_url=f"http://{chosen.host}:{chosen.port}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        await running


def write_settings(folder: Path, insurer: dict[str, Any], platform: dict[str, Any], port: int) -> Settings:
    """`hub.toml` in the folder, so that `hub --config` can look around later, read back as settings."""
    channels: dict[str, dict[str, Any]] = {
        HOSPITAL: {"adapter": "his-hl7v2", "listen": _free(), "mapping": "hl7v2"},
        SECOND_HOSPITAL: {"adapter": "his-hl7v2", "listen": _free(), "mapping": "hl7v2"},
        MESSAGES: {"adapter": "his-hl7v2", "listen": _free(), "mapping": "hl7v2", "key": "body"},
        INSURER: {
            "adapter": "settlement-nhsa",
            "mapping": "settlement-nhsa",
            "conversations": ["settlement-nhsa/settle"],
            "settle_horizon": SETTLE_HORIZON_SECONDS,
            "ask_interval": 0.5,
            **insurer,
        },
        PLATFORM: {
            "adapter": "procurement-zhejiang",
            "mapping": "procurement-zhejiang",
            "conversations": ["procurement-zhejiang/place-order", "procurement-zhejiang/receive-goods"],
            "poll_interval": 0.5,
            **platform,
        },
    }
    lines = [
        f"port = {port}",
        f"database_url = {_toml(os.environ.get('HUB_DATABASE_URL') or _sqlite(folder))}",
    ]
    for name, table in channels.items():
        lines += ["", f"[channels.{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
    file = folder / "hub.toml"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    file.chmod(0o600)
    environment = {key: value for key, value in os.environ.items() if key not in ("HUB_PORT", "HUB_CONFIG")}
    return settings.load(file, environment)


def free_port(wanted: int = 0) -> int:
    """`wanted` if nobody has it, else any free port of the loopback interface."""
    for port in dict.fromkeys((wanted, 0)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise HubError("no free port on 127.0.0.1")


def _free() -> str:
    return f"127.0.0.1:{free_port()}"


def _listen(chosen: Settings, channel: str) -> str:
    return str(chosen.channels[channel].adapter_settings["listen"])


def _sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'hub.db'}"


def _toml(value: Any) -> str:
    """A TOML value; JSON's strings, numbers, booleans and lists are TOML's too."""
    return json_line(value)
