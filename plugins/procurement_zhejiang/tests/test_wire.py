"""The bytes: signatures against the vectors, envelopes, and what an answer means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hub_procurement_zhejiang import wire

SAMPLES = Path(__file__).parent / "samples"
VECTORS: dict[str, Any] = json.loads((SAMPLES / "test_vectors.json").read_text("utf-8"))


@pytest.mark.parametrize(
    "vector", [VECTORS["minimal"], *VECTORS["vectors"]], ids=lambda v: v.get("file", "minimal")
)
def test_signature_matches_the_vector(vector: dict[str, Any]) -> None:
    signed = wire.headers(VECTORS["key"], VECTORS["secret"], vector["ts"], vector["body"].encode())
    assert signed["x-ca-signature"] == vector["x-ca-signature"]
    assert signed["x-ca-key"] == VECTORS["key"]
    assert "Access-Token" not in signed


def test_token_travels_bare_in_its_own_header() -> None:
    signed = wire.headers("a", "b", 1, b"{}", "example-token-1")
    assert signed["Access-Token"] == "example-token-1"
    assert "Authorization" not in signed


def test_our_bodies_are_those_of_the_samples() -> None:
    token = json.loads((SAMPLES / "01_token.json").read_text("utf-8"))["request"]["body_text"]
    assert wire.token_request("example-app", "example-auth") == token.encode()
    sample = json.loads((SAMPLES / "02_ZJ9652.json").read_text("utf-8"))["request"]["body_text"]
    assert wire.question("ZJ9652", {"orgCode": "H33019900001", "current": 1, "size": 10}) == sample.encode()


def answer(infcode: Any = "0", **data: Any) -> bytes:
    return json.dumps({"infcode": infcode, "output": {"data": data}}).encode()


def test_done_needs_infcode_and_return_code() -> None:
    assert wire.read_answer(answer(returnCode=0)).verdict == "done"
    assert wire.read_answer(answer(0, returnCode="0")).verdict == "done"
    assert wire.read_answer(answer()).verdict == "unknown"
    assert wire.read_answer(b'{"output": {}}').verdict == "unknown"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'{"infcode": "0", "outp', b"\x00\xff<{", b'{"infcode": null}']
)
def test_unreadable_answers_are_unknown(body: bytes) -> None:
    assert wire.read_answer(body).verdict == "unknown"


def test_refusals_in_the_platforms_words() -> None:
    told = wire.read_answer(answer(returnCode=7, returnMsg="no"))
    assert (told.verdict, told.why) == ("refused", "returnCode 7: no")
    assert wire.read_answer(b'{"infcode": "-2", "err_msg": "x"}').why == "infcode -2: x"


def test_a_system_error_is_unknown_where_the_settings_say_so() -> None:
    assert wire.read_answer(answer("-1"), ("-1",)).verdict == "unknown"
    assert wire.read_answer(answer("-1")).verdict == "refused"


def test_one_failed_row_refuses_the_plan() -> None:
    rows = [{"returnCode": 0}, {"returnCode": 1, "returnMsg": "no such item", "hospPurcDetlId": "L2"}]
    told = wire.read_answer(answer(returnCode=0, dataList=rows))
    assert (told.verdict, told.why) == ("refused", "1 of 2 rows refused: L2: no such item")


def test_shipment_rows_keep_their_characters() -> None:
    raw = '{"shpId": 5, "shpPric": 12.50,  "prodName": "测试珅"}'
    body = f'{{"infcode":"0","output":{{"data":{{"returnCode":0,"dataList":[{raw}]}}}}}}'
    assert wire.shipment_rows(body.encode()) == [wire.Row("5", raw.encode())]
    assert wire.shipment_rows(body.encode("gb18030")) == [wire.Row("5", raw.encode("gb18030"))]
    assert wire.shipment_rows(b'{"infcode": "0", "output": null}') == []


def test_sent_data_of_something_else_is_empty() -> None:
    assert wire.sent_data(b"not json") == {}
    assert wire.sent_data(b'{"input": []}') == {}
    assert wire.sent_data(b'{"input": {"data": {"purcCode": "1"}}}') == {"purcCode": "1"}
