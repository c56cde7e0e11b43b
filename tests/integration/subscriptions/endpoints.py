"""A real endpoint for notifications on a loopback socket, which can fail, be late, cut and go down."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, ClassVar

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from hub.testing.http import HttpSimulator


class Got(msgspec.Struct, frozen=True):
    """One request that took effect."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Endpoint(HttpSimulator):
    """Keeps what it is told. `says` is the status it answers with; below 300 it also keeps the request."""

    kind: ClassVar[str] = "endpoint"

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Got] = []
        self.asked = 0
        self.says = 200
        self.redirect = ""

    def routes(self) -> list[Route]:
        return [Route("/{path:path}", self.notified, methods=["GET", "POST", "PUT", "DELETE"])]

    async def notified(self, request: Request) -> Response:
        body = await request.body()
        return await self.answer("notice", partial(self.keep, request, body))

    async def keep(self, request: Request, body: bytes) -> Response:
        self.asked += 1
        if self.redirect:
            return RedirectResponse(self.redirect, 307)
        if self.says < 300:
            self.got.append(Got(request.method, request.url.path, dict(request.headers), body))
        return PlainTextResponse("the answer of an endpoint", self.says)

    def books(self) -> dict[str, list[Any]]:
        return {"got": list(self.got)}

    @property
    def paths(self) -> list[str]:
        """Where the requests went, in their order."""
        return [one.path for one in self.got]

    async def until(self, count: int, seconds: float = 30.0) -> None:
        """Wait for so many requests; AssertionError with what came instead."""
        end = asyncio.get_running_loop().time() + seconds
        while len(self.got) < count:
            assert asyncio.get_running_loop().time() < end, f"{len(self.got)} of {count} came"
            await asyncio.sleep(0.01)
