"""Bundles (http://hl7.org/fhir/R4/bundle.html): read with their resources left as raw text, and written
by joining stored bytes."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import urlencode
from uuid import uuid4

import msgspec

from hub import clock
from hub.api import outcome
from hub.api.exchange import Parameters
from hub.errors import Issue


class Request(msgspec.Struct, kw_only=True, rename="camel"):
    """Bundle.entry.request."""

    method: str = ""
    url: str = ""
    if_none_match: str = ""
    if_modified_since: str = ""
    if_match: str = ""
    if_none_exist: str = ""


class Entry(msgspec.Struct, kw_only=True, rename="camel"):
    """Bundle.entry of a request bundle; the resource is its text as it came."""

    full_url: str = ""
    resource: msgspec.Raw = msgspec.Raw(b"")
    request: Request | None = None


class Bundle(msgspec.Struct, kw_only=True, rename="camel"):
    """A batch or transaction as it comes in."""

    resource_type: str = ""
    type: str = ""
    entry: list[Entry] = []


class Reply(msgspec.Struct, kw_only=True):
    """Bundle.entry of a response bundle, also of a history.

    `resource` and `outcome` are FHIR JSON; `location` is relative to the base.
    """

    status: str = ""
    full_url: str = ""
    resource: bytes = b""
    location: str = ""
    version: int = 0
    updated: int = 0
    outcome: bytes = b""
    mode: str = ""
    method: str = ""
    url: str = ""


_json = msgspec.json.Encoder()


def document(
    kind: str, entries: Iterable[bytes], *, links: Iterable[tuple[str, str]] = (), total: int | None = None
) -> bytes:
    """A Bundle of rendered entries."""
    parts = [b'{"resourceType":"Bundle","type":', _json.encode(kind)]
    if total is not None:
        parts.append(b',"total":%d' % total)
    shown = [{"relation": relation, "url": url} for relation, url in links]
    if shown:
        parts += (b',"link":', _json.encode(shown))
    joined = b",".join(entries)
    if joined:
        parts += (b',"entry":[', joined, b"]")
    parts.append(b"}")
    return b"".join(parts)


def hit(base: str, type_name: str, id: str, resource: bytes, mode: str) -> bytes:
    """An entry of a search set."""
    return b'{"fullUrl":"%b/%b/%b","resource":%b,"search":{"mode":"%b"}}' % (
        base.encode(),
        type_name.encode(),
        id.encode(),
        resource,
        mode.encode(),
    )


def told(issues: Iterable[Issue]) -> bytes:
    """The entry of a search set that says something about the search.

    It has no URL of its own, and every entry but that of a POST needs a fullUrl: hence a urn
    (http://hl7.org/fhir/R4/bundle-definitions.html#Bundle.entry.fullUrl).
    """
    return b'{"fullUrl":"urn:uuid:%b","resource":%b,"search":{"mode":"outcome"}}' % (
        str(uuid4()).encode(),
        outcome.render(issues),
    )


def replies(base: str, entries: Iterable[Reply]) -> list[bytes]:
    """The entries of a response bundle. No fullUrl stands there twice for one version (bdl-7): a later
    entry about the same resource says it by its location."""
    seen: set[tuple[str, int]] = set()
    rendered: list[bytes] = []
    for one in entries:
        key = one.full_url, one.version if one.resource else 0
        rendered.append(reply(base, msgspec.structs.replace(one, full_url="") if key in seen else one))
        seen.add(key)
    return rendered


def reply(base: str, entry: Reply) -> bytes:
    """An entry of a response bundle or a history."""
    parts: list[bytes] = []
    if entry.full_url:
        parts.append(b'"fullUrl":' + _json.encode(f"{base}/{entry.full_url}"))
    if entry.resource:
        parts.append(b'"resource":' + entry.resource)
    if entry.method:
        parts.append(b'"request":' + _json.encode({"method": entry.method, "url": entry.url}))
    response: list[bytes] = [b'"status":' + _json.encode(entry.status)]
    if entry.location:
        response.append(b'"location":' + _json.encode(f"{base}/{entry.location}"))
    if entry.version:
        response.append(b'"etag":' + _json.encode(f'W/"{entry.version}"'))
    if entry.updated:
        response.append(b'"lastModified":' + _json.encode(clock.instant(entry.updated)))
    if entry.outcome:
        response.append(b'"outcome":' + entry.outcome)
    parts.append(b'"response":{' + b",".join(response) + b"}")
    return b"{" + b",".join(parts) + b"}"


def link(base: str, path: str, parameters: Parameters) -> str:
    """An absolute link with encoded parameters."""
    query = urlencode(parameters, safe=":,/$*")
    return f"{base}/{path}?{query}" if query else f"{base}/{path}"


def phrase(status: int) -> str:
    """A status line as responses in a Bundle carry it: `201 Created`."""
    return f"{status} {HTTPStatus(status).phrase}"
