"""The ASGI application of a hub: FHIR goes straight to it, operators' routes through FastAPI."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from hub.api import admin, described, health, outcome
from hub.api.routes import is_fhir
from hub.app.hub import Hub
from hub.errors import HubError
from hub.settings import Settings


class Application(FastAPI):
    """FHIR requests go straight to the hub, all others through FastAPI."""

    fhir: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.fhir is not None and scope["type"] == "http" and is_fhir(scope["path"]):
            await self.fhir(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(
    settings: Settings, *, run_channels: bool = True, fhir: bool = True, hub: Hub | None = None
) -> FastAPI:
    """The application of one hub; it opens and closes the hub with its lifespan (`app.state.hub`).

    `fhir=False` leaves only health and metrics, for a worker, which delivers and polls but does not listen.
    """
    running = hub or Hub(settings, run_channels=run_channels, listens=fhir)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await running.open()
        try:
            yield
        finally:
            await running.close()

    app = Application(
        title=settings.name,
        description="Operators' and plugin routes. FHIR R4 is at /fhir; /fhir/metadata describes it.",
        version=version("sanyi-hub"),
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.hub = running
    app.include_router(described.router(app))
    app.include_router(health.router(running, admin=fhir))
    if fhir:
        app.include_router(admin.router(running))
        app.fhir = running.answer
    app.add_exception_handler(HubError, _told)
    app.add_exception_handler(RequestValidationError, _refused)
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(Exception, _failed)
    return app


async def _told(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HubError)
    issues = [{"code": one.code, "diagnostics": one.diagnostics} for one in error.issues]
    return JSONResponse({"error": str(error), "issues": issues}, outcome.http_status(error))


async def _refused(request: Request, error: Exception) -> JSONResponse:
    """Where and what was expected; the value itself is not repeated."""
    assert isinstance(error, RequestValidationError)
    found = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
    return JSONResponse({"error": "; ".join(found)}, 400)


async def _plain(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _failed(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": "the hub failed on this request; its log names the reason"}, 500)
