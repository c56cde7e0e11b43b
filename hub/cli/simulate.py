"""`hub simulate KIND`: the simulator that an adapter ships, by itself, until it is interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from typing import Any

from hub import plugins
from hub.cli import logs, show
from hub.cli.commands import NotReachable
from hub.errors import Misconfigured


def simulate(
    kind: str, options: list[str], listen: str, scene: str, scene_options: list[str], *, as_json: bool
) -> int:
    """Start it, print where it listens, play the scene or wait, print its books."""
    logs.configure("WARNING")
    given = _options(options)
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise Misconfigured(f"--listen: expected host:port, found {listen!r}")
    simulator = plugins.simulator(plugins.load().adapter(kind))
    try:
        made = simulator(**given)
    except TypeError as error:
        raise Misconfigured(f"simulator {kind!r}: {error}") from error
    return asyncio.run(_run(made, host.strip("[]"), int(port), scene, _options(scene_options), as_json))


async def _run(simulator: Any, host: str, port: int, scene: str, given: dict[str, Any], as_json: bool) -> int:
    stop = _interrupted()
    try:
        address = await simulator.start(host, port)
    except OSError as error:
        raise Misconfigured(f"--listen: {host}:{port} cannot be used ({error.strerror or error})") from None
    try:
        show.one({"kind": simulator.kind, "address": address}, as_json=as_json)
        if scene:
            try:
                result = await simulator.act(scene, **given)
            except (ValueError, TypeError) as error:
                raise Misconfigured(str(error)) from error
            except (OSError, EOFError) as error:
                raise NotReachable(f"{scene}: nobody answers: {error or type(error).__name__}") from error
            print(json.dumps({"scene": scene, "result": result}, default=str, ensure_ascii=False))
        else:
            await stop.wait()
    finally:
        await simulator.stop()
    return 0


def _interrupted() -> asyncio.Event:
    """Set by SIGINT and SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    return stop


def _options(options: list[str]) -> dict[str, Any]:
    """`name=value` pairs; a value that is JSON counts as such (`true`, `3`, `[1]`)."""
    found: dict[str, Any] = {}
    for one in options:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise Misconfigured(f"expected name=value, found {one!r}")
        try:
            found[name.replace("-", "_")] = json.loads(value)
        except ValueError:
            found[name.replace("-", "_")] = value
    return found
