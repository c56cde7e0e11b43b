"""The FHIR routes: plain Starlette routes that give stored bytes back."""

from __future__ import annotations

from typing import Any

from starlette.routing import BaseRoute, Match, NoMatchFound, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from hub import r4
from hub.api import body, outcome
from hub.api.bundles import BUNDLE
from hub.api.endpoint import Endpoint, refuse
from hub.api.exchange import Api
from hub.api.table import PATHS
from hub.errors import HubError, NotFound

PREFIX = "/fhir"

_TYPES = frozenset(r4.TYPES)


class Fhir:
    """Everything below the base, as one ASGI application; the path it sees starts after `/fhir`."""

    def __init__(self, api: Api) -> None:
        self._api = api
        routes = [Route(path, Checked(api, Endpoint(api, methods))) for path, methods in PATHS.items()]
        self._root = Endpoint(api, {"POST": BUNDLE})
        self._router = Router(routes, default=self._missing, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in ("", "/"):
            scope["path_params"] = {}
            await self._root(scope, receive, send)
        else:
            await self._router(scope, receive, send)

    async def _missing(self, scope: Scope, receive: Receive, send: Send) -> None:
        await refuse(self._api, scope, send, NotFound("there is nothing at this URL"))


class FhirRoute(BaseRoute):
    """`/fhir` and everything below it, with and without a slash at the end of the base."""

    def __init__(self, prefix: str, app: ASGIApp) -> None:
        self._prefix = prefix
        self._app = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path = scope["path"]
        if scope["type"] == "http" and (path == self._prefix or path.startswith(self._prefix + "/")):
            return Match.FULL, {}
        return Match.NONE, {}

    def url_path_for(self, name: str, /, **path_params: Any) -> Any:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "path": scope["path"][len(self._prefix) :], "root_path": ""}, receive, send)


class Checked:
    """Refuses a type that does not exist and an id that cannot be one, before anything is read."""

    def __init__(self, api: Api, endpoint: Endpoint) -> None:
        self._api = api
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = _check(scope["path_params"])
        if error is None:
            await self._endpoint(scope, receive, send)
        else:
            await refuse(self._api, scope, send, error)


def _check(parameters: dict[str, str]) -> HubError | None:
    type_name = parameters.get("type")
    if type_name is not None and type_name not in _TYPES:
        return NotFound("this is not a resource type of FHIR R4")
    if "id" in parameters and not body.is_id(parameters["id"]):
        return outcome.BadRequest("this cannot be an id: expected 1 to 64 letters, digits, - and .")
    return None
