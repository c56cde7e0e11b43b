"""From an HTTP request to an interaction and back: one ASGI endpoint per path of `hub.api.routes`.

Every request gets a Caller, one `authorize`, an audit row, a metric, and on every failure an
OperationOutcome; a failure of the hub itself is logged and told without its inside.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from uuid import uuid4

import msgspec

from hub import security
from hub.api import auditing, body, negotiation, outcome
from hub.api.exchange import Answer, Api, Ask, Interaction
from hub.api.negotiation import Headers
from hub.errors import HubError, Issue

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger("hub.api")

BODIES = frozenset({"POST", "PUT", "PATCH"})


class Endpoint:
    """All methods of one path; an ASGI application."""

    def __init__(self, api: Api, interactions: Mapping[str, Interaction]) -> None:
        self._api = api
        self._interactions = interactions
        self._allow = ", ".join(
            sorted({*interactions, *(["HEAD"] if "GET" in interactions else []), "OPTIONS"})
        )

    async def __call__(self, scope: Scope, receive: body.Receive, send: Send) -> None:
        began = time.perf_counter()
        method = scope["method"]
        interaction = self._interactions.get("GET" if method == "HEAD" else method)
        headers: list[tuple[bytes, bytes]] = []
        try:
            answer = await self._answer(scope, receive, interaction)
        except body.Disconnected:
            return
        except HubError as error:
            status = outcome.http_status(error)
            answer = Answer(status=status, body=outcome.render(error.issues))
            if isinstance(error, outcome.MethodNotAllowed):
                headers.append((b"allow", error.allow.encode()))
            if status == 503:
                headers.append((b"retry-after", b"1"))
        except Exception:
            reference = uuid4().hex
            log.exception("request failed", extra={"reference": reference, "path": scope["path"]})
            answer = Answer(status=500, body=outcome.render([outcome.unexpected(reference)]))
        if method == "OPTIONS" and answer.status == 204:
            headers.append((b"allow", self._allow.encode()))
        await _reply(self._api, scope, send, answer, headers)
        name = interaction.name if interaction else method.lower()
        self._api.metrics.count("hub_http_requests_total", name, str(answer.status))
        self._api.metrics.observe("hub_http_seconds", name, seconds=time.perf_counter() - began)

    async def _answer(self, scope: Scope, receive: body.Receive, interaction: Interaction | None) -> Answer:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        caller = security.caller_of(scope["headers"], scope.get("client"))
        if method == "OPTIONS":
            return Answer(status=204)
        if interaction is None:
            text = f"{method} is not offered here; Allow names what is"
            raise outcome.MethodNotAllowed(text, self._allow)
        ask = Ask(caller=caller, method=method, **scope["path_params"])
        await self._read(ask, scope, receive)
        return await run(self._api, interaction, ask)

    async def _read(self, ask: Ask, scope: Scope, receive: body.Receive) -> None:
        headers = negotiation.headers_of(scope["headers"])
        ask.query = negotiation.query_of(scope["query_string"])
        if ask.method in BODIES:
            ask.body = await body.read(receive, headers.get("content-length", ""), self._api.max_body)
        negotiation.conditions(ask, headers)
        if ask.method in BODIES:
            _check_content(ask, headers, form=scope["path"].endswith("/_search"))
        negotiation.check_accept(headers, ask.query)


def _check_content(ask: Ask, headers: Headers, *, form: bool) -> None:
    if not form:
        if ask.body or not ask.name:
            negotiation.check_content(
                headers, negotiation.PATCH if ask.method == "PATCH" else negotiation.JSON
            )
        return
    if ask.body:
        negotiation.check_content(headers, (negotiation.FORM,))
        ask.query = ask.query + negotiation.query_of(ask.body)


async def run(api: Api, interaction: Interaction, ask: Ask) -> Answer:
    """Authorise and run; what only reads, or was refused, is noted for the audit (a write records itself)."""
    target = "/".join(part for part in (ask.type, ask.id, f"${ask.name}" if ask.name else "") if part)
    status = 500
    answer: Answer | None = None
    try:
        security.authorize(ask.caller, interaction.action, ask.type)
        answer = await interaction.run(api, ask)
        status = answer.status
        return answer
    except HubError as error:
        status = outcome.http_status(error)
        raise
    finally:
        if answer is None or not interaction.writes:
            detail = answer.about if answer is not None else ""
            api.auditor.note(
                auditing.row(
                    ask.caller, interaction.action, target, at=api.now(), detail=detail, status=status
                )
            )


async def refuse(api: Api, scope: Scope, send: Send, error: HubError) -> None:
    """Answer a request for which there is no interaction."""
    status = outcome.http_status(error)
    await _reply(api, scope, send, Answer(status=status, body=outcome.render(error.issues)), [])
    api.metrics.count("hub_http_requests_total", "none", str(status))


async def unavailable(scope: Scope, send: Send) -> None:
    """503 while the hub starts or stops."""
    issue = Issue(code="transient", diagnostics="the hub is starting; try again in a moment")
    content = outcome.render([issue])
    headers = [
        (b"content-type", negotiation.FHIR_JSON.encode()),
        (b"content-length", str(len(content)).encode()),
        (b"retry-after", b"1"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _reply(
    api: Api, scope: Scope, send: Send, answer: Answer, headers: list[tuple[bytes, bytes]]
) -> None:
    content = answer.body
    if content and not answer.media and b"_pretty=true" in scope["query_string"]:
        content = msgspec.json.format(content, indent=2)
    if content:
        headers.append((b"content-type", (answer.media or negotiation.FHIR_JSON).encode()))
    if answer.status not in (204, 304):
        headers.append((b"content-length", str(len(content)).encode()))
    if answer.version:
        headers.append((b"etag", b'W/"%d"' % answer.version))
    if answer.updated:
        headers.append((b"last-modified", negotiation.http_date(answer.updated).encode()))
    headers += [(name.encode(), value.encode()) for name, value in answer.headers]
    if answer.location:
        headers.append((b"location", f"{api.base}/{answer.location}".encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})
