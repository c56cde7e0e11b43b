"""Which Subscriptions are accepted, and with which status.

http://hl7.org/fhir/R4/subscription-definitions.html#Subscription.status: a client submits `requested` or
`off`, everything else is the server's to set. The hub checks at once, so what is accepted is stored as
`active`; what has ended already is stored as `off`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any

import msgspec

from hub import r4
from hub.clock import Clock
from hub.errors import Issue, RuleBroken
from hub.store.parameters import R4, Parameters
from hub.store.search.query import InvalidSearch
from hub.subscriptions.criteria import parse
from hub.subscriptions.endpoints import Endpoints
from hub.subscriptions.payload import PAYLOADS, offered

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]{0,7998}[\x21-\x7e])?")
_OURS = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "expect", "te", "trailer",
     "upgrade", "keep-alive", "proxy-connection", "content-encoding"}
)  # fmt: skip
MAX_HEADERS = 50


class Acceptance:
    """The rules of one hub: where it may send, which search parameters it knows, what its own base is."""

    def __init__(
        self,
        endpoints: Endpoints | None = None,
        *,
        known: Callable[[], Parameters] = lambda: R4,
        base: str = "",
        now: Clock,
    ) -> None:
        self.endpoints = endpoints or Endpoints(())
        self.known = known
        self.base = base
        self.now = now

    def settle(self, body: bytes) -> bytes:
        """A client's Subscription with the status the hub gives it.

        The body is valid R4. Raises RuleBroken (422) with every reason why it is not accepted.
        """
        tree = r4.tree(body)
        if tree.get("status") == "off":
            return body
        if 0 < ends(tree) <= self.now():
            return with_status(body, "off")
        found = list(self.issues(tree))
        if found:
            raise RuleBroken(issues=found)
        return with_status(body, "active")

    def issues(self, tree: dict[str, Any]) -> Iterator[Issue]:
        """Every reason why a Subscription cannot be told of anything."""
        channel = tree.get("channel", {})
        if channel.get("type") != "rest-hook":
            text = "expected rest-hook: the hub offers no other channel"
            yield _issue("not-supported", text, "Subscription.channel.type")
            return
        yield from self._criteria(tree.get("criteria", ""))
        yield from self._endpoint(channel)
        yield from _payload(channel.get("payload"))
        yield from _headers(channel.get("header", []))

    def _criteria(self, text: str) -> Iterator[Issue]:
        try:
            parse(text, self.known(), self.base)
        except InvalidSearch as error:
            for one in error.issues:
                yield _issue(one.code, one.diagnostics, "Subscription.criteria")

    def _endpoint(self, channel: dict[str, Any]) -> Iterator[Issue]:
        place = "Subscription.channel.endpoint"
        endpoint = channel.get("endpoint")
        if not endpoint:
            yield _issue("required", "a rest-hook needs the URL to notify", place)
            return
        why = self.endpoints.refusal(endpoint)
        if why:
            yield _issue("business-rule", why, place)
        elif channel.get("payload") and "?" in endpoint:
            text = "with a payload the endpoint is the base of a FHIR server: expected no query in it"
            yield _issue("value", text, place)


def _payload(payload: str | None) -> Iterator[Issue]:
    place = "Subscription.channel.payload"
    if payload is not None and payload not in PAYLOADS:
        yield _issue("not-supported", f"expected no payload, {' or '.join(sorted(PAYLOADS))}", place)
    elif payload is not None and not offered(payload):
        yield _issue("not-supported", "XML is not offered as a payload by this hub", place)


def _headers(headers: list[str | None]) -> Iterator[Issue]:
    """Their values may be secrets and are quoted nowhere."""
    if len(headers) > MAX_HEADERS:
        yield _issue("too-long", f"expected at most {MAX_HEADERS} headers", "Subscription.channel.header")
        return
    for number, line in enumerate(headers):
        place = f"Subscription.channel.header[{number}]"
        name, value = header(line or "")
        if not (_NAME.fullmatch(name) and (not value or _VALUE.fullmatch(value))):
            yield _issue("value", "expected one line of ASCII: Name: value", place)
        elif name.lower() in _OURS:
            yield _issue("business-rule", "this header is the hub's own to set", place)


def header(line: str) -> tuple[str, str]:
    """`Name: value` as its two parts; the name is empty where there is no colon."""
    name, colon, value = line.partition(":")
    return (name.strip(), value.strip(" \t")) if colon else ("", "")


def ends(tree: dict[str, Any]) -> int:
    """When a Subscription is turned off, in microseconds; 0: never."""
    text = tree.get("end")
    return int(r4.date_range(text, UTC)[0]) if text else 0


def with_status(body: bytes, status: str, error: str = "") -> bytes:
    """The same JSON with another status and the error note that belongs to it; all other text as it was."""
    members = _members.decode(body)
    members["status"] = msgspec.Raw(msgspec.json.encode(status))
    for name in ("error", "_error"):
        members.pop(name, None)
    if error:
        members["error"] = msgspec.Raw(msgspec.json.encode(error))
    return msgspec.json.encode(members)


def _issue(code: str, text: str, place: str) -> Issue:
    return Issue(code=code, diagnostics=text, expression=place)
