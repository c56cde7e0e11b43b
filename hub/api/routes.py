"""The FHIR base as one ASGI application: a table of paths, and stored bytes given back."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from hub import r4
from hub.api import body, negotiation, outcome
from hub.api.bundles import BUNDLE
from hub.api.dispatch import Dispatch
from hub.api.endpoint import Endpoint
from hub.api.exchange import Api
from hub.api.search import SEARCH_SYSTEM
from hub.api.table import ASIDE, PATHS
from hub.errors import HubError, NotFound

PREFIX = "/fhir"

ROOT = {"GET": SEARCH_SYSTEM, "POST": BUNDLE}
"""What each method does at the base itself."""

_TYPES = frozenset(r4.TYPES)
_INSIDE = _TYPES | {"*"}


class Fhir:
    """Everything at and below `/fhir`, with and without a slash at the end."""

    def __init__(self, api: Api) -> None:
        self._root = Endpoint(api, "/", ROOT)
        self._nothing = Endpoint(api, "", {})
        paths = {**PATHS, **ASIDE}
        self._paths = Dispatch({path: Endpoint(api, path, methods) for path, methods in paths.items()})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        # some clients join a base with a slash at its end and a path with one before it
        segments = path[len(PREFIX) + 1 :].lstrip("/").removesuffix("/").split("/")
        refusal = _escapes(scope)
        names: dict[str, str] = {}
        if segments == [""]:
            endpoint = self._root
        else:
            found = self._paths.find(segments)
            if found is None:
                endpoint = self._nothing
                refusal = refusal or NotFound("there is nothing at this URL")
            else:
                endpoint, names = found
                refusal = refusal or _check(names)
        await endpoint.answer(scope, receive, send, names, refusal)


def is_fhir(path: str) -> bool:
    """Whether a path belongs here."""
    return path.startswith(PREFIX) and (len(path) == len(PREFIX) or path[len(PREFIX)] == "/")


def _escapes(scope: Scope) -> HubError | None:
    raw = scope.get("raw_path") or b""
    if b"%" in raw:
        try:
            negotiation.check_escapes(raw)
        except HubError as error:
            return error
    return None


def _check(names: dict[str, str]) -> HubError | None:
    """A type that does not exist, an id that cannot be one: told before anything is read."""
    type_name = names.get("type")
    if type_name is not None and type_name not in _TYPES:
        return NotFound("this is not a resource type of FHIR R4")
    if names.get("inside", "*") not in _INSIDE:
        return NotFound("there is nothing at this URL")
    if "id" in names and not body.is_id(names["id"]):
        return outcome.BadRequest("this cannot be an id: expected 1 to 64 letters, digits, - and .")
    return None
