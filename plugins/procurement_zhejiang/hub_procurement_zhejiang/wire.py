"""The bytes: the signature, the envelope, and what an answer says about the effect.

A request is `{"infno": ..., "input": {"data": {...}}}`, an answer `{"infcode": "0", "output": {"data":
{"returnCode": 0, "returnMsg": ..., ...}}}`; the token request alone is bare. Every request is signed:

    x-ca-key        the account
    x-ca-signature  ts + ":" + hex(HMAC-SM3(secret, ts + LF + body)), ts in epoch seconds

over the exact bytes that are sent. Numbers in answers keep the literal the platform chose.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec
from cryptography.hazmat.primitives import hashes, hmac

Verdict = Literal["done", "refused", "unknown"]

_DECODER = msgspec.json.Decoder(float_hook=Decimal)


def hmac_sm3(key: bytes, text: bytes) -> str:
    """HMAC with SM3 (GB/T 32905-2016), lower-case hex."""
    signing = hmac.HMAC(key, hashes.SM3())
    signing.update(text)
    return signing.finalize().hex()


def signature(secret: str, seconds: int, body: bytes) -> str:
    """The value of `x-ca-signature` for these bytes at this second."""
    signed = hmac_sm3(secret.encode(), str(seconds).encode() + b"\n" + body)
    return f"{seconds}:{signed}"


def headers(account: str, secret: str, seconds: int, body: bytes, token: str = "") -> dict[str, str]:
    """The headers of a request; the token request is the only one without a token."""
    signed = {
        "Content-Type": "application/json",
        "x-ca-key": account,
        "x-ca-signature": signature(secret, seconds, body),
    }
    return signed | {"Access-Token": token} if token else signed


def question(infno: str, data: dict[str, Any]) -> bytes:
    """The body of a transaction that the adapter asks by itself; the others come from mappings."""
    return msgspec.json.encode({"infno": infno, "input": {"data": data}})


def token_request(app_code: str, auth_code: str) -> bytes:
    """The bare body of the token request."""
    return msgspec.json.encode({"appCode": app_code, "authCode": auth_code})


def sent_data(body: bytes) -> dict[str, Any]:
    """`input.data` of a body that was sent; empty if it is not ours."""
    try:
        envelope = _DECODER.decode(body)
        data = envelope["input"]["data"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return {}
    return data if isinstance(data, dict) else {}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the bytes of an answer mean for the effect that was asked for.

    verdict  done, refused, or unknown where nothing certain can be read
    why      for people, in the platform's own words where it gave some
    code     infcode as text
    data     output.data; numbers with a decimal point are Decimal
    charset  of the bytes
    """

    verdict: Verdict
    why: str = ""
    code: str = ""
    data: dict[str, Any] = msgspec.field(default_factory=dict)
    charset: str = "utf-8"


def read_answer(body: bytes, unknown_codes: tuple[str, ...] = ()) -> Answer:
    """Judge an answer. Anything but a readable envelope with an infcode and a returnCode is unknown."""
    text, charset = _text(body)
    try:
        envelope = _DECODER.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return Answer(verdict="unknown", why="the answer is not complete JSON", charset=charset)
    if not isinstance(envelope, dict) or not isinstance(envelope.get("infcode"), int | str):
        return Answer(verdict="unknown", why="the answer has no infcode", charset=charset)
    code = str(envelope["infcode"])
    output = envelope.get("output")
    found = output.get("data") if isinstance(output, dict) else None
    data: dict[str, Any] = found if isinstance(found, dict) else {}
    if code != "0":
        why = f"infcode {code}: {envelope.get('err_msg') or data.get('returnMsg') or 'no text'}"
        verdict: Verdict = "unknown" if code in unknown_codes else "refused"
        return Answer(verdict=verdict, why=why, code=code, data=data, charset=charset)
    if "returnCode" not in data:
        return Answer(verdict="unknown", why="the answer has no returnCode", code=code, charset=charset)
    why = refusal(data)
    return Answer(verdict="refused" if why else "done", why=why, code=code, data=data, charset=charset)


def refusal(data: dict[str, Any]) -> str:
    """Why `output.data` says no, as a whole or for some rows; empty if it does not.

    A plan whose rows were taken only in part counts as refused: it is still unsent, and nothing may
    be ordered silently short.
    """
    if str(data.get("returnCode")) != "0":
        return f"returnCode {data.get('returnCode')}: {data.get('returnMsg') or 'no text'}"
    rows = data.get("dataList")
    if not isinstance(rows, list):
        return ""
    failed = [row for row in rows if isinstance(row, dict) and str(row.get("returnCode", 0)) != "0"]
    if not failed:
        return ""
    told = (f"{row.get('hospPurcDetlId') or 'row'}: {row.get('returnMsg') or 'no text'}" for row in failed)
    return f"{len(failed)} of {len(rows)} rows refused: {'; '.join(told)}"


class Row(msgspec.Struct, frozen=True):
    """One shipment row as the platform wrote it, and its shpId."""

    number: str
    body: bytes


class _Numbered(msgspec.Struct):
    shpId: str | int | None = None  # noqa: N815 (the platform's own spelling)


class _Data(msgspec.Struct):
    dataList: list[msgspec.Raw] | None = None  # noqa: N815


class _Output(msgspec.Struct):
    data: _Data | None = None


class _Envelope(msgspec.Struct):
    output: _Output | None = None


def shipment_rows(body: bytes) -> list[Row]:
    """The rows of a ZJ9671 answer, each the very characters of the answer, in its character set."""
    text, charset = _text(body)
    envelope = msgspec.json.decode(text, type=_Envelope)
    data = envelope.output.data if envelope.output else None
    rows = []
    for raw in (data.dataList if data else None) or []:
        number = msgspec.json.decode(raw, type=_Numbered).shpId
        rows.append(Row(str(number or ""), bytes(raw).decode().encode(charset)))
    return rows


def _text(body: bytes) -> tuple[bytes, str]:
    """UTF-8 bytes and the character set the answer came in: UTF-8 where it can be, else GB18030."""
    try:
        body.decode()
        return body.removeprefix(b"\xef\xbb\xbf"), "utf-8"
    except UnicodeDecodeError:
        pass
    try:
        return body.decode("gb18030").encode(), "gb18030"
    except UnicodeDecodeError:
        return b"", ""
