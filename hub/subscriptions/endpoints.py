"""Where notifications may go: the URL prefixes that the operator allows.

A Subscription makes the hub send requests, so an endpoint is compared part by part with each prefix, read by
the same parser that the client uses to send.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    import httpx

_PORTS = {"http": 80, "https": 443}


class Endpoints:
    """`allowed` are prefixes such as `https://his.example.org:8443/fhir`; one without a port means every port
    of the host. `own` is our own address, which is never an endpoint (empty: not known).
    """

    def __init__(self, allowed: Iterable[str], own: str = "") -> None:
        self._texts = tuple(allowed)
        self._own_text = own

    @cached_property
    def _allowed(self) -> list[httpx.URL]:
        return [_url(text) for text in self._texts]

    @cached_property
    def _own(self) -> httpx.URL | None:
        return _url(self._own_text) if self._own_text else None

    def refusal(self, endpoint: str) -> str:
        """Why nothing is sent there; empty when it is allowed. Never quotes the URL."""
        try:
            url = _url(endpoint)
        except ValueError:
            return "expected an absolute http or https URL"
        if url.scheme not in _PORTS or not url.host:
            return "expected an absolute http or https URL"
        if url.userinfo or url.fragment:
            return "a user name, password or fragment has no place in it; use channel.header to authenticate"
        if any(unquote(part) in (".", "..") for part in url.path.split("/")):
            return "expected a path without . and .. in it"
        if self._own is not None and (url.host, _port(url)) == (self._own.host, _port(self._own)):
            return "this is the hub itself"
        if not any(_within(url, prefix) for prefix in self._allowed):
            return "the operator of this hub does not allow this endpoint (setting subscriptions_allow)"
        return ""


def _url(text: str) -> httpx.URL:
    import httpx  # loaded when the first Subscription comes

    try:
        return httpx.URL(text)
    except (httpx.InvalidURL, TypeError) as error:
        raise ValueError("expected a URL") from error


def _port(url: httpx.URL) -> int:
    return url.port or _PORTS[url.scheme]


def _within(url: httpx.URL, prefix: httpx.URL) -> bool:
    if (url.scheme, url.host) != (prefix.scheme, prefix.host):
        return False
    if prefix.port is not None and _port(url) != prefix.port:
        return False
    path = prefix.path.rstrip("/")
    return url.path == path or url.path.startswith(path + "/")
