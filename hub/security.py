"""Who may do what: a Caller for every request and one `authorize` for every action.

Without security settings the hub is open, for development, and only on loopback: it refuses to start
on another address, and it refuses requests that came through a proxy or from a page of another site
(a listener that forwards to loopback is exposed, whatever it is bound to).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import urlsplit

from hub.audit import Action
from hub.errors import Forbidden, Misconfigured
from hub.messages import Caller

OPEN = Caller(organisation="api", via="http")
"""Everybody, while the hub is open."""

_FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip")


@lru_cache(1024)
def is_loopback(host: str) -> bool:
    """Whether an address or name means this machine only."""
    if host in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_exposure(host: str, origin: str = "host") -> None:
    """Raise Misconfigured unless the open hub would listen on loopback only; `origin`: where it was set."""
    if not is_loopback(host):
        raise Misconfigured(
            f"{origin}: expected a loopback address such as 127.0.0.1, found {host!r}: without security "
            "settings the hub is open to everybody who reaches it, so it does not listen elsewhere"
        )


def caller_of(headers: Iterable[tuple[bytes, bytes]], client: tuple[str, int] | None) -> Caller:
    """The caller of an HTTP request (ASGI headers and peer); Forbidden if it is from elsewhere."""
    if client is not None and client[0] and not is_loopback(client[0]):
        raise Forbidden("this hub is open on loopback only: requests from other machines are refused")
    for name, value in headers:
        if name in _FORWARDED:
            raise Forbidden("this hub has no security settings: forwarded requests are refused")
        if name == b"host" and not is_loopback(_host(b"//" + value)):
            raise Forbidden("this hub has no security settings: only loopback host names are answered")
        if name == b"origin" and not is_loopback(_host(value)):
            raise Forbidden("this hub has no security settings: pages of other sites are refused")
    return OPEN


def authorize(caller: Caller, action: Action, type_name: str = "") -> None:
    """Return if `caller` may do `action` on `type_name` ("": the whole system), else raise Forbidden."""
    if not caller.organisation:
        raise Forbidden(f"a caller without an organisation may not {action} {type_name}".rstrip())


def _host(url: bytes) -> str:
    try:
        return urlsplit(url.decode("latin-1")).hostname or ""
    except ValueError:
        return ""
