"""Binary as bare content: what is no FHIR goes in and out as itself, http://hl7.org/fhir/R4/binary.html#rest

A read that does not name a FHIR format gets the content under its own type; what is written under another
type, or as FHIR that is no Binary, becomes the content of one.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Any

import msgspec

from hub.api import formats
from hub.api.exchange import Answer, Ask, Parameters
from hub.api.negotiation import Headers
from hub.api.outcome import BadRequest, NotAcceptable, UnsupportedMediaType
from hub.errors import Issue

_MEDIA = re.compile(
    r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?: *; *[\w-]+=(?:[\w!#$&^.+:/-]+|\"[^\"\\\r\n]*\"))*", re.ASCII
)
_ROOT = re.compile(rb"<(?:[\w.-]+:)?([A-Za-z][\w.-]*)[\s/>]")
_SAFE = (("x-content-type-options", "nosniff"), ("content-security-policy", "sandbox; default-src 'none'"))
"""Content that somebody stored is no page of this hub, whatever it calls itself."""


class _Binary(msgspec.Struct, rename="camel"):
    content_type: str = ""
    data: str = ""


class _Typed(msgspec.Struct, rename="camel"):
    resource_type: Any = ""


_binary = msgspec.json.Decoder(_Binary)
_typed = msgspec.json.Decoder(_Typed)


def asks_for_content(headers: Headers, query: Parameters) -> bool:
    """Whether a read names no FHIR format."""
    if any(name in ("_format", "_summary", "_elements") for name, _ in query):
        return False
    named = {formats.media_of(one)[0] for one in headers.get("accept", "").split(",")}
    return not named & (formats.JSON | formats.XML)


def content_of(answer: Answer, accept: str) -> Answer:
    """The content in the answer of a read, under its own type; NotAcceptable where others are asked for."""
    if answer.status != 200:
        return answer
    found = _binary.decode(answer.body)
    media = found.content_type if _MEDIA.fullmatch(found.content_type) else "application/octet-stream"
    if not _takes(accept, formats.media_of(media)[0]):
        raise NotAcceptable(
            "Accept: the content of this Binary has another type; application/fhir+json always works"
        )
    answer.body = b64decode(found.data)
    answer.media = media
    answer.headers += _SAFE
    return answer


def is_content(ask: Ask, declared: str, content: bytes) -> bool:
    """Whether a body that is written is content, and not a Binary resource."""
    media = formats.media_of(declared)[0]
    if media in formats.JSON:
        try:
            return bool(_typed.decode(content).resource_type != "Binary")
        except (msgspec.DecodeError, RecursionError):
            return media not in ("application/fhir+json", "json")
    if media in formats.XML:
        found = _ROOT.search(content)
        return found is None or found[1] != b"Binary"
    return True


def wrapped(ask: Ask, declared: str, security_context: str, content: bytes) -> bytes:
    """A Binary with this content; 415 without a type, 400 for a security context that is no reference."""
    if not _MEDIA.fullmatch(declared.strip()):
        raise UnsupportedMediaType("Content-Type: expected the type of the content, such as application/pdf")
    made: dict[str, Any] = {"resourceType": "Binary"}
    if ask.id:
        made["id"] = ask.id
    made["contentType"] = declared.strip()
    if security_context:
        if not re.fullmatch(r"[A-Za-z]+/[A-Za-z0-9.-]{1,64}", security_context):
            text = "X-Security-Context: expected a reference such as Patient/1"
            raise BadRequest(issues=[Issue(code="value", diagnostics=text)])
        made["securityContext"] = {"reference": security_context}
    if content:
        made["data"] = b64encode(content).decode()
    return msgspec.json.encode(made)


def _takes(accept: str, media: str) -> bool:
    """Whether an Accept header allows a type; an absent one does."""
    ranges = [formats.media_of(one) for one in accept.split(",") if one.strip()]
    family = media.partition("/")[0] + "/*"
    taken = [parameters.get("q", "1") for name, parameters in ranges if name in (media, family, "*/*")]
    return not ranges or any(quality.strip("0.") for quality in taken)
