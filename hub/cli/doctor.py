"""`hub doctor`: settings, plugins, mappings, database, ports and systems, each checked by itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from hub import channels, conversations, mapping, plugins, security
from hub import settings as settings_file
from hub.app import Hub, mapping_folders
from hub.cli import logs, show
from hub.cli.commands import exit_code
from hub.cli.reach import Admin, admin, running
from hub.errors import HubError, Misconfigured
from hub.plugins import Plugins
from hub.settings import Settings

PATIENCE_SECONDS = 10.0


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check: `code` is 0 when it is good, else how bad it is as an exit code."""

    check: str
    ok: bool
    detail: str
    code: int = 0


def doctor(config: Path | None, *, as_json: bool) -> int:
    """Print every finding; 0 if all are good, else the exit code of the worst: 2 before 1 before 3."""
    logs.configure("ERROR")
    found = asyncio.run(_examine(config))
    rows = [{"check": one.check, "ok": one.ok, "detail": one.detail} for one in found]
    show.rows(rows, ("check", "ok", "detail"), as_json=as_json)
    codes = {one.code for one in found}
    return next((code for code in (2, 1, 3) if code in codes), 0)


async def _examine(config: Path | None) -> list[Finding]:
    found: list[Finding] = []
    try:
        settings = settings_file.load(config)
        security.check_exposure(settings.host, settings.origin("host"))
    except HubError as error:
        return [Finding(check="settings", ok=False, detail=str(error), code=2)]
    found.append(Finding(check="settings", ok=True, detail=str(settings.file or "defaults")))
    warned = settings.key_warning
    found.append(Finding(check="hub_key", ok=True, detail=f"warning: {warned}" if warned else "your own"))
    installed = plugins.load()
    found += _plugins(installed)
    found.append(await _try("channels", lambda: _channels(settings, installed)))
    found.append(await _try("mappings", lambda: _mappings(settings)))
    url = ""
    try:
        url = await running(settings)
    except HubError as error:
        found.append(Finding(check="hub", ok=False, detail=str(error), code=3))
        return found
    if url:
        found += await _running(config, settings, url)
    else:
        found.append(Finding(check="hub", ok=True, detail="not running"))
        found.append(await _try("database", lambda: _database(settings)))
        found.append(_port(settings))
        found += await _systems(settings, installed)
    return found


def _plugins(installed: Plugins) -> list[Finding]:
    """Every plugin; two adapters of one kind show as FAILED with both names."""
    return [
        Finding(
            check=f"plugin {one.name}",
            ok=not one.failed,
            detail=one.failed or ", ".join(one.adapters) or "no adapter",
            code=1 if one.failed else 0,
        )
        for one in installed.loaded
    ]


async def _channels(settings: Settings, installed: Plugins) -> str:
    return ", ".join(channels.build(settings, installed)) or "none"


async def _mappings(settings: Settings) -> str:
    folders = mapping_folders(settings)
    found = mapping.load(folders)
    found.check()
    documents = conversations.load(folders)
    channels.check_names(settings, found.sets, documents)
    for document in documents.values():
        for step in document.every_step():
            found.named(step.send)
            if step.reply:
                found.named(step.reply)
    return f"{len(list(found))} documents, {len(documents)} conversations"


async def _database(settings: Settings) -> str:
    """Opened by itself: what is wrong with a channel is another finding."""
    await (await Hub(settings).open_store()).close()
    return settings.database_url.partition("://")[0]


async def _running(config: Path | None, settings: Settings, url: str) -> list[Finding]:
    """The running hub, the database through it, which has it open, and its channels."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), admin(config) as hub:
            rows = (await hub.get("channels"))["channels"]
            database = await _try("database", lambda: _counted(hub, settings))
    except HubError as error:
        return [Finding(check="hub", ok=False, detail=str(error), code=exit_code(error))]
    except TimeoutError:
        detail = f"{url}: no answer within {PATIENCE_SECONDS:.0f} s"
        return [Finding(check="hub", ok=False, detail=detail, code=3)]
    return [
        Finding(check="hub", ok=True, detail=f"running at {url}"),
        database,
        *(
            Finding(
                check=f"channel {row['name']}",
                ok=row["state"] in ("running", "paused"),
                detail=f"{row['state']} {row['reason']}".strip(),
                code=0 if row["state"] in ("running", "paused") else 1,
            )
            for row in rows
        ),
    ]


async def _counted(hub: Admin, settings: Settings) -> str:
    await hub.get("messages/counts")
    return settings.database_url.partition("://")[0]


def _port(settings: Settings) -> Finding:
    where = f"{settings.host}:{settings.port}"
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            detail = f"{where} is taken by another program ({error.strerror})"
            return Finding(check="port", ok=False, detail=detail, code=1)
    return Finding(check="port", ok=True, detail=f"{where} is free")


async def _systems(settings: Settings, installed: Plugins) -> list[Finding]:
    """Whether each channel's system can be reached, or its own port be used."""
    try:
        built = channels.build(settings, installed)
    except HubError:
        return []
    return [await _try(f"channel {name}", _check(one.adapter), bad=3) for name, one in built.items()]


def _check(adapter: Any) -> Callable[[], Awaitable[str]]:
    async def check() -> str:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await adapter.check()
        except BaseException:
            with contextlib.suppress(Exception):
                await adapter.close()
            raise
        await adapter.close()
        return f"{adapter.kind} answers"

    return check


async def _try(check: str, examine: Callable[[], Awaitable[str]], *, bad: int = 1) -> Finding:
    try:
        return Finding(check=check, ok=True, detail=await examine())
    except Misconfigured as error:
        return Finding(check=check, ok=False, detail=str(error), code=exit_code(error))
    except TimeoutError:
        return Finding(check=check, ok=False, detail=f"no answer within {PATIENCE_SECONDS:.0f} s", code=3)
    except (HubError, OSError) as error:
        return Finding(check=check, ok=False, detail=str(error), code=bad)
    except Exception as error:  # of an adapter that somebody else wrote
        return Finding(check=check, ok=False, detail=f"{type(error).__name__}: {error}", code=1)
