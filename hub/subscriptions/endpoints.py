"""Where notifications may go: the URL prefixes that the operator allows.

A Subscription makes the hub send requests, so an endpoint is compared part by part with each prefix, read by
the same parser that the client uses to send.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

import httpx

_PORTS = {"http": 80, "https": 443}


class Endpoints:
    """`allowed` are prefixes such as `https://his.example.org:8443/fhir`; one without a port means every port
    of the host. `own` is our own address, which is never an endpoint (empty: not known).

    Raises ValueError for a prefix that is no http or https URL.
    """

    def __init__(self, allowed: Iterable[str], own: str = "") -> None:
        self._allowed = [_prefix(text) for text in allowed]
        self._own = _prefix(own) if own else None

    def refusal(self, endpoint: str) -> str:
        """Why nothing is sent there; empty when it is allowed. Never quotes the URL."""
        try:
            url = httpx.URL(endpoint)
        except (httpx.InvalidURL, TypeError, ValueError):
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


def _prefix(text: str) -> httpx.URL:
    url = httpx.URL(text)
    if url.scheme not in _PORTS or not url.host or url.userinfo or url.query or url.fragment:
        raise ValueError("expected a URL prefix such as https://his.example.org/fhir")
    return url


def _port(url: httpx.URL) -> int:
    return url.port or _PORTS[url.scheme]


def _within(url: httpx.URL, prefix: httpx.URL) -> bool:
    if (url.scheme, url.host) != (prefix.scheme, prefix.host):
        return False
    if prefix.port is not None and _port(url) != prefix.port:
        return False
    path = prefix.path.rstrip("/")
    return url.path == path or url.path.startswith(path + "/")
