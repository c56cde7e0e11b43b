"""Which preference, which condition: the headers and `_` parameters of a request.

http://hl7.org/fhir/R4/http.html#ops (Prefer), #concurrency (If-Match), #cread (If-None-Match). The formats
are in `hub.api.formats`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import gmtime
from typing import cast
from urllib.parse import parse_qsl

from hub import clock
from hub.api.exchange import Ask, Parameters, Return
from hub.api.outcome import BadRequest
from hub.errors import Issue
from hub.store.names import ANY_VERSION

MAX_PARAMETERS = 1000

_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})").search
_TAG = r'(?:W/)?"[\x21\x23-\x7e]*"|[0-9]{1,18}'
_ETAG = re.compile(_TAG).fullmatch
_ETAGS = re.compile(rf"(?:{_TAG})(?:\s*,\s*(?:{_TAG}))*").fullmatch
_VERSION = re.compile(r'(?:W/)?"?([1-9][0-9]{0,17})"?').fullmatch
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}").fullmatch
_READ = frozenset(
    {
        b"accept", b"accept-encoding", b"content-type", b"content-length", b"content-encoding", b"prefer",
        b"if-match", b"if-none-match", b"if-none-exist", b"if-modified-since", b"x-request-id",
        b"x-security-context",
    }
)  # fmt: skip
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_RETURNS = ("minimal", "representation", "OperationOutcome")

Headers = dict[str, str]


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers that say what is asked, by lower-case name; repeated ones are joined by commas."""
    found: Headers = {}
    for name, value in raw:  # ASGI promises lower case
        if name in _READ:
            key, text = name.decode(), value.decode("latin-1")
            found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def query_of(raw: bytes) -> Parameters:
    """Decoded parameters in their order; 400 when they are not UTF-8 or hold control characters."""
    if not raw:
        return []
    if b"%" in raw:
        check_escapes(raw)
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise BadRequest(
            "the parameters are not percent-encoded UTF-8, or there are more than 1000"
        ) from error
    for name, value in pairs:
        if "\x00" in name or "\x00" in value:
            raise BadRequest("a parameter contains the character NUL")
    return pairs


def check_escapes(raw: bytes) -> None:
    """BadRequest for a `%` without two hexadecimal digits behind it."""
    if _ESCAPE(raw):
        raise BadRequest("the URL has a % that is not followed by two hexadecimal digits; write %25")


def request_id(headers: Headers) -> str:
    """X-Request-Id as the client gave it, or empty where it is none that may stand in a header or a log."""
    given = headers.get("x-request-id", "")
    return given if given and _REQUEST_ID(given) else ""


def pretty(query: Parameters) -> bool:
    """Whether `_pretty=true` stands in the query."""
    return any(name == "_pretty" and value == "true" for name, value in query)


def conditions(ask: Ask, headers: Headers, base: str) -> None:
    """Read Prefer, If-Match, If-None-Match, If-None-Exist and If-Modified-Since into `ask`."""
    if "prefer" in headers:
        prefer(ask, headers["prefer"])
    if "if-match" in headers:
        ask.if_match = etag(headers["if-match"], "If-Match")
    if "if-none-match" in headers:
        ask.if_none_match = none_match(headers["if-none-match"])
    if "if-none-exist" in headers:
        ask.if_none_exist = none_exist(headers["if-none-exist"], ask.type, base, "If-None-Exist")
    if "if-modified-since" in headers:
        ask.if_modified_since = _moment(headers["if-modified-since"])


def prefer(ask: Ask, header: str) -> None:
    """`Prefer: return=minimal, handling=lenient`; what is not known is ignored (RFC 7240)."""
    for part in re.split(r"[,;]", header):
        name, _, value = part.strip().partition("=")
        name, value = name.rstrip().lower(), value.strip().strip('"')
        if name == "return" and value in _RETURNS:
            ask.returns = cast(Return, value)
        elif name == "handling":
            ask.lenient = value == "lenient"
        elif name == "respond-async":
            ask.asynchronous = True


def etag(value: str, header: str) -> int:
    """`W/"3"` → 3; `*` → ANY_VERSION; a tag that is none of ours → 0, which no version has.

    BadRequest for what is no ETag, or several.
    """
    text = value.strip()
    if text == "*":
        return ANY_VERSION
    if _ETAG(text) is None:
        raise _no_etag(header, 'one ETag such as W/"3"')
    found = _VERSION(text)
    return int(found[1]) if found else 0


def none_match(value: str, header: str = "If-None-Match") -> str:
    """`*`, or the versions of the ETags, joined by commas; `0` stands for a tag that is none of ours."""
    text = value.strip()
    if text == "*":
        return "*"
    if _ETAGS(text) is None:
        raise _no_etag(header, 'ETags such as W/"3"')
    versions = (_VERSION(one.strip()) for one in text.split(","))
    return ",".join(one[1] if one else "0" for one in versions)


def none_exist(value: str, type_name: str, base: str, where: str) -> str:
    """The criteria of a conditional create, without what may stand before them: `?`, `Patient?`, or the whole
    URL of the search.

    BadRequest where there are none, or where they are asked of another type: who ignored them would create
    the resource twice.
    """
    path, mark, criteria = value.strip().partition("?")
    if not mark or "=" in path:
        path, criteria = "", value.strip()
    if path.removeprefix(base).strip("/") not in ("", type_name):
        text = f"{where}: expected search criteria for {type_name or 'a type'}, found another URL before them"
        raise BadRequest(issues=[Issue(code="value", diagnostics=text)])
    if not criteria:
        text = f"{where}: expected search criteria such as identifier=system|value, found none"
        raise BadRequest(issues=[Issue(code="required", diagnostics=text)])
    return criteria


def _no_etag(header: str, expected: str) -> BadRequest:
    return BadRequest(issues=[Issue(code="value", diagnostics=f"{header}: expected {expected}")])


def http_date(micros: int) -> bytes:
    """`Last-Modified` of a moment."""
    return _http_date(micros // 1_000_000)


@lru_cache(4096)
def _http_date(seconds: int) -> bytes:
    year, month, day, hour, minute, second, weekday, *_ = gmtime(seconds)
    name = f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04}"
    return f"{name} {hour:02}:{minute:02}:{second:02} GMT".encode()


def _moment(value: str) -> int:
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return 0
    return clock.to_micros(moment) if moment.tzinfo is not None else 0
