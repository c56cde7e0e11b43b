"""JSON or XML: what the client reads, and what it sends (http://hl7.org/fhir/R4/http.html#mime-type).

`_format` rules over Accept. Inside, everything is JSON; the endpoint converts at the edge.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import msgspec

from hub.api.outcome import NotAcceptable, UnsupportedMediaType

Format = Literal["json", "xml"]

FHIR_JSON = "application/fhir+json; charset=utf-8"
FHIR_XML = "application/fhir+xml; charset=utf-8"
JSON = frozenset({"application/fhir+json", "application/json", "text/json", "json", "application/json+fhir"})
XML = frozenset({"application/fhir+xml", "application/xml", "text/xml", "xml", "application/xml+fhir"})
JSON_PATCH = frozenset({"application/json-patch+json"})
NDJSON = frozenset({"application/fhir+ndjson", "application/ndjson", "application/x-ndjson", "ndjson"})
FORM = "application/x-www-form-urlencoded"

_PAGES = frozenset({"text/html", "application/xhtml+xml"})
_VERSIONS = ("4.0", "4.0.1")
_ANYTHING = 1
_CACHED = 256
"""Characters; longer headers are read anew each time, so that nobody fills the memory with them."""


class Range(msgspec.Struct, frozen=True):
    """One member of an Accept header (RFC 9110, 12.5.1)."""

    media: str
    quality: float
    version: str


def media_of(value: str) -> tuple[str, dict[str, str]]:
    """`text/xml; charset=UTF-8` → its name and its parameters, names in lower case."""
    media, *rest = value.split(";")
    pairs = (one.partition("=") for one in rest)
    return media.strip().lower(), {name.strip().lower(): text.strip().strip('"') for name, _, text in pairs}


def wanted(accept: str, format_: str = "", *, ndjson: bool = False) -> Format:
    """The format of the answer; NotAcceptable where the client takes neither.

    `ndjson`: lines of JSON are no reason for a refusal, since what is asked may answer in them.
    """
    found = of_parameter(format_) if format_ else liked(accept)
    if found is not None:
        return found
    if ndjson and any(media_of(one)[0] in NDJSON for one in (format_ or accept).split(",")):
        return "json"
    where = "_format" if format_ else "Accept"
    raise NotAcceptable(
        f"{where}: this hub answers in application/fhir+json and application/fhir+xml, fhirVersion 4.0; "
        "the request takes neither"
    )


def liked(accept: str) -> Format | None:
    """What an Accept header likes better, or None for neither."""
    return best(accept) if len(accept) > _CACHED else _known(accept)


def of_parameter(value: str) -> Format | None:
    """What `_format` names; a `+` that came as a blank is one again."""
    media, parameters = media_of(value)
    media = media.replace(" ", "+")
    if parameters.get("fhirversion", "4.0") not in _VERSIONS:
        return None
    return "json" if media in JSON else "xml" if media in XML else None


def best(accept: str) -> Format | None:
    """The better liked of the two formats, or None. Without a preference, and for browsers, it is JSON."""
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
    if not ranges:
        return "json"
    json, xml = _weight(ranges, JSON), _weight(ranges, XML)
    page = any(one.media in _PAGES and one.quality for one in ranges)
    asked = xml[1] > _ANYTHING or not json[0]  # `*/*` takes everything: no reason to leave JSON
    if xml[0] > 0 and xml > json and asked and not (page and json[0] > 0):
        return "xml"
    return "json" if json[0] > 0 else None


_known = lru_cache(512)(best)


def _range(part: str) -> Range:
    media, parameters = media_of(part)
    try:
        quality = min(max(float(parameters.get("q", "1")), 0.0), 1.0)
    except ValueError:
        quality = 1.0
    return Range(media, quality, parameters.get("fhirversion", ""))


def _weight(ranges: list[Range], names: frozenset[str]) -> tuple[float, int, int]:
    """Quality, precision and place of what the most precise matching range says; (0, 0, 0) for none."""
    found = (0.0, 0, 0)
    precision = 0
    for place, one in enumerate(ranges):
        if one.version and one.version not in _VERSIONS:
            continue
        fits = (
            3 if one.media in names else {"application/*": 2, "text/*": 2, "*/*": _ANYTHING}.get(one.media, 0)
        )
        if fits and fits >= precision:
            weight = (one.quality, fits, -place)
            found = weight if fits > precision else max(found, weight)
            precision = fits
    return found


def of_body(declared: str, accepted: frozenset[str]) -> Format | None:
    """The format of a body by its Content-Type: None for another one of those `accepted`.

    Raises UnsupportedMediaType for any other type, charset or FHIR version.
    """
    media, parameters = media_of(declared)
    if media not in accepted:
        found = f"found {media[:100]}" if media else "found none"
        known = ("application/fhir+json", "application/fhir+xml", "application/json-patch+json")
        names = " or ".join(one for one in known if one in accepted)
        raise UnsupportedMediaType(f"Content-Type: expected {names or min(accepted)}, {found}")
    if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType("Content-Type: expected charset=utf-8")
    if parameters.get("fhirversion", "4.0") not in _VERSIONS:
        raise UnsupportedMediaType("Content-Type: this hub speaks fhirVersion 4.0 (FHIR R4)")
    return "json" if media in JSON else "xml" if media in XML else None
