"""From an HTTP request to an interaction and back: one endpoint per path of `hub.api.table`.

Every request gets a Caller, one `authorize`, an audit row, a metric, and on every failure an
OperationOutcome; a failure of the hub itself is logged and told without its inside.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from uuid import uuid4

from hub import security
from hub.api import auditing, binary, body, formats, negotiation, outcome, replying
from hub.api.exchange import Answer, Api, Ask, Interaction
from hub.api.negotiation import Headers
from hub.api.replying import Wish
from hub.errors import HubError, InvalidResource, Issue

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger("hub.api")

BOM = b"\xef\xbb\xbf"
"""What .NET writes before UTF-8; a reader of JSON may pass over it (RFC 8259, 8.1)."""
BODIES = frozenset({"POST", "PUT", "PATCH"})
_RESOURCE = formats.JSON | formats.XML
_CHANGE = _RESOURCE | formats.JSON_PATCH


class Endpoint:
    """All methods of one path."""

    def __init__(self, api: Api, path: str, interactions: Mapping[str, Interaction]) -> None:
        self._api = api
        self._interactions = interactions
        self._form = path.endswith("/_search")
        operation = path.endswith("/${name}")  # one may begin something, and no HEAD should
        self._heads = not operation
        self._allow = ", ".join(
            sorted({*interactions, *(["HEAD"] if "GET" in interactions and not operation else []), "OPTIONS"})
        )

    async def answer(
        self, scope: Scope, receive: body.Receive, send: Send, names: dict[str, Any], refusal: HubError | None
    ) -> None:
        """Answer a request; `names` are the parts of its path, `refusal` is what is wrong with them."""
        began = time.perf_counter()
        method = scope["method"]
        interaction = self._interactions.get("GET" if method == "HEAD" and self._heads else method)
        wish = Wish(head=method == "HEAD")
        try:
            answer = await self._answer(scope, receive, interaction, names, refusal, wish)
            content = await replying.content(self._api, answer, wish)
        except body.Disconnected:
            return
        except Exception as error:
            answer = _failed(error, scope)
            content = await replying.told(self._api, answer, wish)
        await replying.send_answer(self._api, send, answer, content, wish)
        name = interaction.name if interaction else "none"
        self._api.metrics.count("hub_http_requests_total", name, str(answer.status))
        self._api.metrics.observe("hub_http_seconds", name, seconds=time.perf_counter() - began)

    async def _answer(
        self,
        scope: Scope,
        receive: body.Receive,
        interaction: Interaction | None,
        names: dict[str, Any],
        refusal: HubError | None,
        wish: Wish,
    ) -> Answer:
        headers = negotiation.headers_of(scope["headers"])
        wish.read(headers)
        caller = security.caller_of(scope["headers"], scope.get("client"))
        method = "GET" if wish.head else scope["method"]
        if method == "OPTIONS" and refusal is None:
            return Answer(status=204, headers=(("allow", self._allow),))
        query = negotiation.query_of(scope["query_string"])
        bare = names.get("type") == "Binary" and method == "GET" and _reads(interaction)
        bare = bare and binary.asks_for_content(headers, query)
        if not bare:
            wish.choose(headers, query, ndjson="name" in names)
        if refusal is not None:
            raise refusal
        if interaction is None:
            text = f"{method} is not offered here; Allow names what is"
            raise outcome.MethodNotAllowed(text, self._allow)
        ask = Ask(caller=caller, method=method, query=query, **names)
        if method in BODIES:
            try:
                await self._read(ask, receive, headers)
            except InvalidResource as invalid:
                return _judged(ask, invalid)
            if self._form:
                wish.choose(headers, ask.query)
        negotiation.conditions(ask, headers, self._api.base)
        answer = await run(self._api, interaction, ask)
        return binary.content_of(answer, headers.get("accept", "")) if bare else answer

    async def _read(self, ask: Ask, receive: body.Receive, headers: Headers) -> None:
        """The body, as JSON; of a form, its parameters."""
        limit = self._api.max_body
        content = await body.read(receive, headers.get("content-length", ""), limit, self._api.room)
        if not content and (ask.name or self._form):
            return
        declared = headers.get("content-type", "")
        if self._form:
            formats.of_body(declared, frozenset({formats.FORM}))
            ask.query = ask.query + negotiation.query_of(_decoded(content, headers, limit))
            return
        if ask.type == "Binary" and ask.method != "PATCH" and not (ask.name or ask.inside):
            plain = _decoded(content, headers, limit)
            if binary.is_content(ask, declared, plain):
                ask.body = binary.wrapped(ask, declared, headers.get("x-security-context", ""), plain)
                return
        found = formats.of_body(declared, _CHANGE if ask.method == "PATCH" else _RESOURCE)
        content = _decoded(content, headers, limit)
        ask.body = await self._api.converter.read(content) if found == "xml" else content.removeprefix(BOM)


def _reads(interaction: Interaction | None) -> bool:
    return interaction is not None and interaction.name in ("read", "vread")


def _decoded(content: bytes, headers: Headers, limit: int) -> bytes:
    encoding = headers.get("content-encoding", "")
    return body.decoded(content, encoding, limit) if encoding else content


def _judged(ask: Ask, invalid: InvalidResource) -> Answer:
    """`$validate` answers about XML that no resource has; anything else refuses it."""
    if ask.name != "validate" or isinstance(invalid, outcome.BadRequest):
        raise invalid
    return Answer(body=outcome.render(invalid.issues))


def _failed(error: Exception, scope: Scope) -> Answer:
    """An OperationOutcome about whatever went wrong."""
    if not isinstance(error, HubError):
        reference = uuid4().hex
        log.error("request failed", exc_info=error, extra={"reference": reference, "path": scope["path"]})
        return Answer(status=500, body=outcome.render([outcome.unexpected(reference)]))
    status = outcome.http_status(error)
    headers: list[tuple[str, str]] = []
    if isinstance(error, outcome.MethodNotAllowed):
        headers.append(("allow", error.allow))
    if status == 503:
        headers.append(("retry-after", "1"))
    if isinstance(error, outcome.UnsupportedMediaType):
        headers.append(("accept-encoding", "gzip"))
    return Answer(status=status, body=outcome.render(error.issues), headers=tuple(headers))


async def run(api: Api, interaction: Interaction, ask: Ask) -> Answer:
    """Authorise and run; what only reads, or was refused, is noted for the audit (a write records itself)."""
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
            about = answer.about if answer is not None else ""
            api.auditor.note(
                auditing.row(
                    ask.caller, interaction.action, _target(ask), at=api.now(), detail=about, status=status
                )
            )


def _target(ask: Ask) -> str:
    if ask.id and not ask.name:
        return f"{ask.type}/{ask.id}"
    return "/".join(part for part in (ask.type, ask.id, f"${ask.name}" if ask.name else "") if part)


async def unavailable(scope: Scope, send: Send) -> None:
    """503 while the hub starts or stops."""
    issue = Issue(code="transient", diagnostics="the hub is starting; try again in a moment")
    content = outcome.render([issue])
    headers = [
        (b"content-type", formats.FHIR_JSON.encode()),
        (b"content-length", str(len(content)).encode()),
        (b"retry-after", b"1"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})
