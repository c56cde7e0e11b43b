"""What format, which preference, which condition: the headers and `_` parameters of a request.

http://hl7.org/fhir/R4/http.html#mime-type, #ops (Prefer), #concurrency (If-Match), #cread (If-None-Match).
JSON is what this hub speaks; XML is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.utils import formatdate, parsedate_to_datetime
from typing import cast
from urllib.parse import parse_qsl

from hub import clock
from hub.api.exchange import Ask, Parameters, Return
from hub.api.outcome import BadRequest, NotAcceptable, UnsupportedMediaType
from hub.errors import Issue

FHIR_JSON = "application/fhir+json; charset=utf-8"
JSON = frozenset({"application/fhir+json", "application/json", "text/json", "json", "application/json+fhir"})
PATCH = JSON | {"application/json-patch+json"}  # and FHIRPath Patch, which is a Parameters resource
FORM = "application/x-www-form-urlencoded"
MAX_PARAMETERS = 1000

_ANY = frozenset({"*/*", "application/*", "text/*"})
_ETAG = re.compile(r'(?:W/)?"?([1-9][0-9]{0,17})"?')
_RETURNS = ("minimal", "representation", "OperationOutcome")

Headers = dict[str, str]


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Header values by lower-case name, repeated ones joined by commas."""
    found: Headers = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def query_of(raw: bytes) -> Parameters:
    """Decoded parameters in their order; 400 when they are not UTF-8 or hold control characters."""
    if not raw:
        return []
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


def check_accept(headers: Headers, query: Parameters) -> None:
    """Raise NotAcceptable unless JSON is an acceptable answer; `_format` rules over Accept."""
    asked = next((value for name, value in query if name == "_format"), "")
    if asked:
        offered = [asked.replace(" ", "+")]
    else:
        offered = [part for part in headers.get("accept", "").split(",") if part.strip()]
    if offered and not any(_is_json(part) for part in offered):
        raise NotAcceptable(
            "this hub answers in application/fhir+json; the request accepts something else only"
        )


def check_content(headers: Headers, accepted: Iterable[str] = JSON) -> None:
    """Raise UnsupportedMediaType unless the body is JSON in UTF-8."""
    declared = headers.get("content-type", "")
    media, parameters = _media(declared)
    if media not in accepted:
        found = f"found {media}" if media else "found none"
        raise UnsupportedMediaType(f"Content-Type: expected application/fhir+json, {found}")
    if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType("Content-Type: expected charset=utf-8")
    _check_version(parameters, UnsupportedMediaType)
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Content-Encoding: expected an uncompressed body")


def pretty(query: Parameters) -> bool:
    """Whether `_pretty=true` stands in the query."""
    return any(name == "_pretty" and value == "true" for name, value in query)


def conditions(ask: Ask, headers: Headers) -> None:
    """Read Prefer, If-Match, If-None-Match, If-None-Exist and If-Modified-Since into `ask`."""
    if "prefer" in headers:
        prefer(ask, headers["prefer"])
    if "if-match" in headers:
        ask.if_match = etag(headers["if-match"], "If-Match")
    if "if-none-match" in headers:
        ask.if_none_match = none_match(headers["if-none-match"])
    if "if-none-exist" in headers:
        ask.if_none_exist = headers["if-none-exist"].strip().lstrip("?")
    if "if-modified-since" in headers:
        ask.if_modified_since = _moment(headers["if-modified-since"])


def prefer(ask: Ask, header: str) -> None:
    """`Prefer: return=minimal, handling=lenient`; what is not known is ignored (RFC 7240)."""
    for part in re.split(r"[,;]", header):
        name, _, value = part.strip().partition("=")
        value = value.strip().strip('"')
        if name == "return" and value in _RETURNS:
            ask.returns = cast(Return, value)
        elif name == "handling":
            ask.lenient = value == "lenient"


def etag(value: str, header: str) -> int:
    """`W/"3"` → 3; 400 for anything else."""
    found = _ETAG.fullmatch(value.strip())
    if found is None:
        raise BadRequest(
            issues=[Issue(code="value", diagnostics=f'{header}: expected an ETag such as W/"3"')]
        )
    return int(found[1])


def none_match(value: str) -> str:
    """`*`, or the version of an ETag as text; "" when it is neither (it then matches nothing)."""
    if value.strip() == "*":
        return "*"
    found = _ETAG.fullmatch(value.strip())
    return found[1] if found else ""


def http_date(micros: int) -> str:
    """`Last-Modified` of a moment."""
    return formatdate(micros // 1_000_000, usegmt=True)


def _moment(value: str) -> int:
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return 0
    return clock.to_micros(moment) if moment.tzinfo is not None else 0


def _is_json(part: str) -> bool:
    media, parameters = _media(part)
    if media not in JSON and media not in _ANY:
        return False
    if parameters.get("q", "1").strip() in ("0", "0.0", "0.00", "0.000"):
        return False
    _check_version(parameters, NotAcceptable)
    return True


def _check_version(parameters: dict[str, str], refusal: type[Exception]) -> None:
    if parameters.get("fhirversion", "4.0") not in ("4.0", "4.0.1"):
        raise refusal("fhirVersion: this hub speaks 4.0 (FHIR R4)")


def _media(value: str) -> tuple[str, dict[str, str]]:
    media, *rest = value.split(";")
    pairs = (one.partition("=") for one in rest)
    return media.strip().lower(), {name.strip().lower(): text.strip().strip('"') for name, _, text in pairs}
