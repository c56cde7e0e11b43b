"""Headers and `_` parameters: http://hl7.org/fhir/R4/http.html"""

from __future__ import annotations

import pytest

from hub.api import negotiation
from hub.api.exchange import Ask
from hub.api.negotiation import ANY_VERSION
from hub.api.outcome import BadRequest
from hub.security import OPEN


def test_preferences_are_read_and_unknown_ones_ignored() -> None:
    ask = Ask(caller=OPEN)
    negotiation.prefer(ask, 'respond-async, return="minimal"; x=y, handling=lenient')
    assert (ask.returns, ask.lenient) == ("minimal", True)
    negotiation.prefer(ask, "return=everything, handling=strict")
    assert (ask.returns, ask.lenient) == ("minimal", False)


def test_etags_name_versions() -> None:
    assert [negotiation.etag(one, "If-Match") for one in ('W/"3"', '"3"', "3", ' W/"3" ')] == [3] * 4
    assert negotiation.etag("*", "If-Match") == ANY_VERSION


@pytest.mark.parametrize("foreign", ['W/"0"', 'W/"-1"', 'W/"x"', '"99999999999999999999"', '""', 'W/"1.0"'])
def test_a_tag_that_is_none_of_ours_is_no_version(foreign: str) -> None:
    assert negotiation.etag(foreign, "If-Match") == 0
    assert negotiation.none_match(foreign) == "0"


@pytest.mark.parametrize("wrong", ["", "x", 'w/"1"', 'W/1"', '"a"b"', 'W/"1", W/"2"', "**", '"王"'])
def test_what_is_no_single_etag_is_refused(wrong: str) -> None:
    with pytest.raises(BadRequest):
        negotiation.etag(wrong, "If-Match")


def test_if_none_match_takes_a_list() -> None:
    assert negotiation.none_match('W/"1", "22" ,W/"x"') == "1,22,0"
    assert negotiation.none_match(" * ") == "*"
    for wrong in ("", "x", 'W/"1",', '*, W/"1"'):
        with pytest.raises(BadRequest):
            negotiation.none_match(wrong)


def test_queries_are_decoded_in_order() -> None:
    assert negotiation.query_of(b"name=%E7%8E%8B&name=a+b&x") == [("name", "王"), ("name", "a b"), ("x", "")]


@pytest.mark.parametrize(
    "wrong",
    [b"name=%ff", b"name=%00", b"\xff=1", b"&".join([b"a=1"] * 1001), b"a=%", b"a=%4", b"a=%zz", b"%g1=a"],
)
def test_malformed_queries_are_refused(wrong: bytes) -> None:
    with pytest.raises(BadRequest):
        negotiation.query_of(wrong)


def test_a_request_id_comes_back_only_if_it_is_harmless() -> None:
    assert negotiation.request_id({"x-request-id": "ab-1/2"}) == "ab-1/2"
    for odd in ("", "a b", "a\tb", "é", "x" * 129):
        assert negotiation.request_id({"x-request-id": odd}) == ""


def test_dates_are_written_as_http_wants_them() -> None:
    assert negotiation.http_date(784_111_777_999_999) == b"Sun, 06 Nov 1994 08:49:37 GMT"
    assert negotiation.http_date(951_782_400_000_000) == b"Tue, 29 Feb 2000 00:00:00 GMT"
