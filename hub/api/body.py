"""The body of a request: read within bounds, and JSON in the strict sense.

Duplicate keys, lone surrogates, NUL and nesting beyond 200 levels are refused here, before any other
reader could choose an interpretation (http://hl7.org/fhir/R4/json.html).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import jiter
import msgspec

from hub.api.outcome import BadRequest, UnsupportedMediaType
from hub.errors import Issue, Retryable, TooLarge

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


class Disconnected(Exception):
    """The client went away before the body was complete; nobody is left to answer."""


class Head(msgspec.Struct, rename="camel"):
    """The two members that decide where a resource goes."""

    resource_type: str = ""
    id: str | None = None


_HEAD = msgspec.json.Decoder(Head)


class Room:
    """The bytes of bodies that are still coming in, of all requests together: at most `most`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0

    def take(self, size: int) -> None:
        """Hold so many more; Retryable when there is no room."""
        if self.held + size > self.most:
            raise Retryable("too many long requests are coming in at once; send this one again in a moment")
        self.held += size


async def read(receive: Receive, declared: str, limit: int, room: Room) -> bytes:
    """The whole body; TooLarge beyond `limit` bytes, by Content-Length or by what really comes."""
    if declared.isdigit() and int(declared[:20]) > limit:
        raise TooLarge(f"the body has more than {limit} bytes")
    chunks: list[bytes] = []
    size = held = 0
    try:
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise Disconnected
            chunk = event.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"the body has more than {limit} bytes")
            chunks.append(chunk)
            if not event.get("more_body"):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)
            room.take(len(chunk))
            held += len(chunk)
    finally:
        room.held -= held


def decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its Content-Encoding: gzip or none.

    Raises TooLarge as soon as more than `limit` bytes would come out, BadRequest for what is no gzip.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    if name not in ("gzip", "x-gzip"):
        raise UnsupportedMediaType("Content-Encoding: expected gzip or none")
    parts: list[bytes] = []
    size = 0
    rest = body
    try:
        while rest:  # a gzip file may have several members
            member = zlib.decompressobj(wbits=31)
            parts.append(member.decompress(rest, limit + 1 - size))
            size += len(parts[-1])
            if size > limit:
                raise TooLarge(f"the unpacked body has more than {limit} bytes")
            if not member.eof:
                raise BadRequest("Content-Encoding: the gzip stream ends too early")
            rest = member.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise BadRequest("Content-Encoding: the body is not gzip") from error
    return b"".join(parts)


def check(body: bytes) -> None:
    """Raise BadRequest unless the bytes are one strict JSON object."""
    if not body.strip():
        raise _malformed("expected a resource as JSON, found an empty body")
    try:
        value = jiter.from_json(
            body,
            allow_inf_nan=False,
            catch_duplicate_keys=True,
            float_mode="lossless-float",
            cache_mode="none",
        )
    except ValueError as error:
        raise _malformed(_reason(error)) from error
    if not isinstance(value, dict):
        raise _malformed("expected a JSON object")
    if b"\\u0000" in body and _NUL.search(body):
        raise _malformed("a string contains the character NUL, which FHIR does not allow")


def head(body: bytes) -> Head:
    """resourceType and id of a body that `check` accepted."""
    try:
        return _HEAD.decode(body)
    except msgspec.ValidationError as error:
        raise BadRequest(
            issues=[Issue(code="structure", diagnostics="resourceType and id must be strings")]
        ) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise _malformed("not valid JSON") from error


def of_any(body: bytes) -> Head:
    """Check the body and give its two deciding members."""
    check(body)
    return head(body)


def of_type(body: bytes, type_name: str) -> Head:
    """Check the body and that it is a resource of the type in the URL."""
    found = of_any(body)
    if found.resource_type != type_name:
        said = "has no resourceType" if not found.resource_type else "is of another type"
        issue = Issue(code="invalid", diagnostics=f"the URL says {type_name}, the body {said}")
        raise BadRequest(issues=[issue])
    return found


def is_id(text: str) -> bool:
    """Whether it can be a resource id (http://hl7.org/fhir/R4/datatypes.html#id)."""
    return _ID.fullmatch(text) is not None


def _malformed(text: str) -> BadRequest:
    return BadRequest(issues=[Issue(code="structure", diagnostics=text)])


def _reason(error: ValueError) -> str:
    """The parser's finding without the key it quotes."""
    text = re.sub(r'key ".*" at', "key at", str(error), flags=re.DOTALL)
    return f"not valid JSON: {text}"
