"""Which format an answer gets and a body has: http://hl7.org/fhir/R4/http.html#mime-type, RFC 9110 12.5."""

from __future__ import annotations

import zlib

import pytest

from hub.api import body, converting, formats
from hub.api.outcome import BadRequest, NotAcceptable, UnsupportedMediaType
from hub.errors import TooLarge

CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("application/*", "json"),
        ("application/json", "json"),
        ("text/json", "json"),
        ("application/fhir+json;fhirVersion=4.0", "json"),
        ("application/fhir+xml", "xml"),
        ("application/xml", "xml"),
        ("text/xml;charset=utf-8", "xml"),
        ("Application/FHIR+XML; fhirVersion=4.0", "xml"),
        ("application/fhir+xml, application/fhir+json", "xml"),
        ("application/fhir+json, application/fhir+xml", "json"),
        ("application/fhir+xml;q=0.9, application/fhir+json;q=0.1", "xml"),
        ("application/fhir+xml;q=0.1, application/fhir+json;q=0.9", "json"),
        ("application/fhir+xml, */*;q=0.1", "xml"),
        ("application/fhir+xml, */*", "xml"),
        ("*/*, application/fhir+json;q=0", "xml"),
        ("application/json;q=0.9, */*", "json"),
        ("application/*;q=0.5, application/fhir+json;q=0.1", "xml"),
        ("text/turtle, application/fhir+xml;q=0.2", "xml"),
        ("application/fhir+json; fhirVersion=3.0, application/fhir+xml; fhirVersion=4.0", "xml"),
        (CHROME, "json"),
        ("application/fhir+json;q=high", "json"),
    ],
)
def test_the_better_liked_format_wins(accept: str, expected: str) -> None:
    assert formats.wanted(accept) == expected
    if accept:
        assert formats.wanted(accept + ", text/x" * 100) == expected  # too long to be remembered


@pytest.mark.parametrize(
    "accept",
    [
        "text/turtle",
        "application/fhir+json;q=0",
        "*/*;q=0.0",
        "*/*, application/fhir+json;q=0, application/fhir+xml;q=0",
        "application/fhir+json;fhirVersion=5.0",
        "image/*",
        "application/fhir+ndjson",
        "json-ish",
    ],
)
def test_anything_else_is_not_acceptable(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        formats.wanted(accept)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("json", "json"),
        ("xml", "xml"),
        ("text/json", "json"),
        ("text/xml", "xml"),
        ("application/json", "json"),
        ("application/xml", "xml"),
        ("application/fhir+json", "json"),
        ("application/fhir xml", "xml"),
        ("application/fhir+xml;fhirVersion=4.0", "xml"),
    ],
)
def test_format_rules_over_accept(asked: str, expected: str) -> None:
    assert formats.wanted("text/turtle", asked) == expected


@pytest.mark.parametrize("asked", ["ttl", "html", "XMLX", "application/fhir+json; fhirVersion=3.0", "*/*"])
def test_an_unknown_format_is_not_acceptable(asked: str) -> None:
    with pytest.raises(NotAcceptable, match="_format"):
        formats.wanted("", asked)


def test_lines_of_json_are_accepted_where_they_may_come() -> None:
    assert formats.wanted("application/fhir+ndjson", ndjson=True) == "json"


def test_a_body_is_json_or_xml_in_utf_8() -> None:
    both = formats.JSON | formats.XML
    assert formats.of_body("application/fhir+json", both) == "json"
    assert formats.of_body("text/xml; charset=UTF-8", both) == "xml"
    assert formats.of_body('application/fhir+xml; charset="utf-8"; fhirVersion=4.0', both) == "xml"
    assert formats.of_body("application/json-patch+json", both | formats.JSON_PATCH) is None
    for wrong in (
        "",
        "text/plain",
        "application/json; charset=gbk",
        "application/fhir+xml; charset=utf-16",
        "application/fhir+json; fhirVersion=3.0",
        "application/json-patch+json",
        "multipart/form-data",
    ):
        with pytest.raises(UnsupportedMediaType):
            formats.of_body(wrong, both)


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("br;q=1, gzip;q=0.5", True),
        ("deflate", False),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
    ],
)
def test_gzip_is_used_where_it_is_allowed(header: str, takes: bool) -> None:
    assert converting.takes_gzip(header) is takes


def gzipped(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(content) + packer.flush()


def test_compressed_bodies_are_unpacked() -> None:
    assert body.decoded(gzipped(b"{}"), "gzip", 10) == b"{}"
    assert body.decoded(gzipped(b"{") + gzipped(b"}"), "GZIP", 10) == b"{}"
    assert body.decoded(b"{}", "identity", 10) == b"{}"


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = gzipped(b"\0" * 100_000_000)
    assert len(bomb) < 200_000
    with pytest.raises(TooLarge):
        body.decoded(bomb, "gzip", 1_000_000)
    with pytest.raises(TooLarge):
        body.decoded(gzipped(b"12345") + gzipped(b"67890x"), "gzip", 10)


def test_what_is_no_gzip_is_refused() -> None:
    for broken in (b"{}", gzipped(b"{}" * 100)[:-4], b"\x1f\x8b"):
        with pytest.raises(BadRequest):
            body.decoded(broken, "gzip", 1000)
    for other in ("deflate", "br", "gzip, gzip"):
        with pytest.raises(UnsupportedMediaType):
            body.decoded(b"{}", other, 1000)
