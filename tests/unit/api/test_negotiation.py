"""Headers and `_` parameters: http://hl7.org/fhir/R4/http.html"""

from __future__ import annotations

import pytest

from hub.api import negotiation
from hub.api.exchange import Ask
from hub.api.outcome import BadRequest, NotAcceptable, UnsupportedMediaType
from hub.security import OPEN


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/json",
        "application/fhir+json;fhirVersion=4.0",
        "text/html, application/xhtml+xml, */*;q=0.8",
        "application/fhir+xml;q=0.9, application/fhir+json;q=0.1",
    ],
)
def test_json_is_acceptable(accept: str) -> None:
    negotiation.check_accept({"accept": accept} if accept else {}, [])


@pytest.mark.parametrize(
    "accept", ["application/fhir+xml", "text/turtle", "application/fhir+json;q=0", "*/*;q=0.0"]
)
def test_anything_else_is_not(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        negotiation.check_accept({"accept": accept}, [])


@pytest.mark.parametrize(
    "declared", ["", "text/plain", "application/fhir+xml", "application/json; charset=gbk"]
)
def test_only_json_in_utf_8_is_read(declared: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        negotiation.check_content({"content-type": declared})


def test_preferences_are_read_and_unknown_ones_ignored() -> None:
    ask = Ask(caller=OPEN)
    negotiation.prefer(ask, 'respond-async, return="minimal"; x=y, handling=lenient')
    assert (ask.returns, ask.lenient) == ("minimal", True)
    negotiation.prefer(ask, "return=everything, handling=strict")
    assert (ask.returns, ask.lenient) == ("minimal", False)


def test_etags() -> None:
    assert [negotiation.etag(one, "If-Match") for one in ('W/"3"', '"3"', "3", ' W/"3" ')] == [3] * 4
    for wrong in ("", "*", 'W/"0"', 'W/"-1"', 'W/"x"', 'W/"1", W/"2"', 'W/"99999999999999999999"'):
        with pytest.raises(BadRequest):
            negotiation.etag(wrong, "If-Match")


def test_queries_are_decoded_in_order() -> None:
    assert negotiation.query_of(b"name=%E7%8E%8B&name=a+b&x") == [("name", "王"), ("name", "a b"), ("x", "")]
    for wrong in (b"name=%ff", b"name=%00", b"\xff=1", b"&".join([b"a=1"] * 1001)):
        with pytest.raises(BadRequest):
            negotiation.query_of(wrong)
