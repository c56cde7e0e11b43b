"""`hub serve` and `hub worker`: the hub behind uvicorn, on loopback unless it is secured."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from hub import security
from hub import settings as settings_file
from hub.cli import logs
from hub.errors import Misconfigured
from hub.settings import Settings

log = logging.getLogger("hub.serve")


def serve(config: Path | None, *, fhir: bool = True) -> int:
    """Run until interrupted; Misconfigured when it cannot start, with the reason."""
    settings = settings_file.load(config)
    security.check_exposure(settings.host, settings.origin("host"))
    logs.configure("INFO")
    with _listen(settings) as listener:
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        if importlib.util.find_spec("uvloop"):
            import uvloop

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(_run(settings, listener, fhir=fhir))
        return asyncio.run(_run(settings, listener, fhir=fhir))


async def _run(settings: Settings, listener: socket.socket, *, fhir: bool) -> int:
    from hub.app import create_app  # settings that keep it from starting are told before this is read
    from hub.cli.connections import Bounded, sweep

    app = create_app(settings, fhir=fhir)
    server = _Server(
        uvicorn.Config(
            app,
            http=Bounded,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=settings.access_log,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=10,
        )
    )
    async with app.router.lifespan_context(app):
        _spare_collections()
        if settings.key_warning:
            log.warning(settings.key_warning)
        where = f"http://{settings.host}:{settings.port}"
        log.info("the hub answers at %s", where, extra={"database": _masked(settings.database_url)})
        sweeping = asyncio.create_task(sweep(server.server_state.connections), name="slow clients")
        try:
            await server.serve(sockets=[listener])
        finally:
            sweeping.cancel()
    return 0


def _spare_collections() -> None:
    """Definitions and mappings stay for good: the garbage collector need not look at them again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000)


class _Server(uvicorn.Server):
    """Ends on SIGINT and SIGTERM and then returns, so that the hub closes its store."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


def _listen(settings: Settings) -> socket.socket:
    """The listening socket, bound before anything is opened, so that a busy port is told at once."""
    try:
        return listen(settings.host, settings.port)
    except OSError as error:
        origin, where = settings.origin("port"), f"{settings.host}:{settings.port}"
        raise Misconfigured(
            f"{origin}: {where} cannot be used ({error.strerror}); choose another with HUB_PORT"
        ) from None


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; OSError when the address or the port cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _masked(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.split('://')[0]}://***@{tail}" if at else url
