"""Signatures against known answers."""

from __future__ import annotations

from hub_settlement_nhsa import wire


def test_x_ca_vectors() -> None:
    # the pair of account and secret is an example; the digest was cross-checked with a second SM3
    headers = wire.x_ca_headers("H33019900001", "example-secret-not-real", seconds=1770000000, body=b"{}")
    assert headers == {
        "x-ca-key": "H33019900001",
        "x-ca-signature": "1770000000:d1627fb389ca94554a9de417361f3fb75b684c84e3b7673b26826bba67ca1adc",
    }
    body = b'{"appCode":"example-app","authCode":"example-auth"}'
    headers = wire.x_ca_headers("H33019900001", "example-secret-not-real", seconds=1770000060, body=body)
    assert headers["x-ca-signature"].endswith(
        ":d31383445192369669038805c37657e2b8d06f695a264fc279cc271118001a45"
    )


def test_x_tif_signs_time_token_nonce_time() -> None:
    # SHA-256 of the 12 characters 1tokennonce1, worked out with sha256sum
    headers = wire.x_tif_headers("paas", "token", seconds=1, nonce="nonce")
    assert headers["x-tif-signature"] == "9f105855e2e49d9f3990edbaea204c0dbc88283810357f69d743e98b1c5c6d77"
    assert (headers["x-tif-timestamp"], headers["x-tif-nonce"], headers["x-tif-paasid"]) == (
        "1",
        "nonce",
        "paas",
    )


def test_charsets() -> None:
    assert wire.decode("测试".encode()) == ("测试", "utf-8")
    assert wire.decode("测试".encode("gb18030")) == ("测试", "gb18030")
    assert wire.decode(b"\xff\xfe\x00") == (None, "")
    assert wire.encode("测试".encode(), "gb18030") == "测试".encode("gb18030")


def test_long_numbers_and_nan_do_not_matter() -> None:
    assert wire.read_answer(b'{"infcode":0,"output":{"a":1e999,"b":NaN}}').verdict == "done"
