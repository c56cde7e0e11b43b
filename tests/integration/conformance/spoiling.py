"""A server that is deliberately wrong: the hub behind a transport that spoils one of its behaviours."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
from fastapi import FastAPI

Spoil = Callable[[httpx.Request, httpx.Response], httpx.Response]
"""Takes the request and the right response, gives what the wrong server answers."""


class Spoiled(httpx.AsyncBaseTransport):
    """Answers as the application does, spoiled."""

    def __init__(self, app: FastAPI, spoil: Spoil) -> None:
        self._inner = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._spoil = spoil

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask the application, spoil what it says."""
        right = await self._inner.handle_async_request(request)
        await right.aread()
        return self._spoil(request, right)


def changed(
    right: httpx.Response,
    *,
    status: int | None = None,
    body: Any = None,
    without: str = "",
    **headers: str,
) -> httpx.Response:
    """The same response with another status, body or headers (`media_type`, `location`)."""
    kept = [
        (name, value)
        for name, value in right.headers.multi_items()
        if name not in ("content-length", "content-encoding", without.lower())
    ]
    named = {"media_type": "content-type"}
    for name, value in headers.items():
        kept = [(one, text) for one, text in kept if one != named.get(name, name)] + [
            (named.get(name, name), value)
        ]
    content = right.content if body is None else json.dumps(body).encode()
    return httpx.Response(status or right.status_code, headers=kept, content=content)


def status(wrong: int, *, instead_of: int, method: str = "") -> Spoil:
    """Answers with another status."""

    def spoil(request: httpx.Request, right: httpx.Response) -> httpx.Response:
        if right.status_code == instead_of and method in ("", request.method):
            return changed(right, status=wrong)
        return right

    return spoil


def tree(change: Callable[[dict[str, Any]], object], *, kind: str, method: str = "GET") -> Spoil:
    """Answers with changed resources of one type, read or in Bundles; `change` works in place."""

    def spoil(request: httpx.Request, right: httpx.Response) -> httpx.Response:
        if request.method != method or "json" not in right.headers.get("content-type", ""):
            return right
        body = right.json()
        found = [body, *(one.get("resource", {}) for one in body.get("entry", []))]
        wanted = [one for one in found if one.get("resourceType") == kind]
        for one in wanted:
            change(one)
        return changed(right, body=body) if wanted else right

    return spoil
