"""The bytes: signatures of the gateways, character sets, and what an answer says about the effect.

Facts behind it: the envelope has `infcode` (an integer or a string; 0 is success, negatives are
refusals) and `err_msg`; amounts are JSON numbers with the literal that the insurer chose.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, Literal

import msgspec

from hub.errors import Misconfigured

Verdict = Literal["done", "refused", "unknown"]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the bytes of an answer mean for the effect that was asked for.

    verdict   done, refused, or unknown where nothing certain can be read
    why       for people; the insurer's own words where it gave some
    charset   of the bytes
    """

    verdict: Verdict
    why: str = ""
    charset: str = "utf-8"


def read_answer(body: bytes, system_error: Literal["refused", "unknown"] = "refused") -> Answer:
    """Judge an answer. Anything but a readable JSON object with an `infcode` is unknown."""
    text, charset = decode(body)
    if text is None:
        return Answer(verdict="unknown", why="the answer is neither UTF-8 nor GB18030 text")
    try:
        envelope = json.loads(text, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        why = "the answer is empty" if not text.strip() else "the answer is not complete JSON"
        return Answer(verdict="unknown", why=why, charset=charset)
    code = _code(envelope)
    if code is None:
        return Answer(verdict="unknown", why="the answer has no infcode", charset=charset)
    if code == 0:
        return Answer(verdict="done", charset=charset)
    why = f"infcode {code}: {envelope.get('err_msg') or 'no text'}"
    verdict: Verdict = "unknown" if code == -1 and system_error == "unknown" else "refused"
    return Answer(verdict=verdict, why=why, charset=charset)


def _code(envelope: Any) -> int | None:
    if not isinstance(envelope, dict):
        return None
    code = envelope.get("infcode")
    if isinstance(code, bool) or not isinstance(code, int | str):
        return None
    try:
        return int(code)
    except ValueError:
        return None


def decode(body: bytes) -> tuple[str | None, str]:
    """Text and character set; UTF-8 if the bytes allow it, else GB18030, else None."""
    for charset in ("utf-8", "gb18030"):
        try:
            return body.decode(charset).removeprefix("\ufeff"), charset
        except UnicodeDecodeError:
            continue
    return None, ""


def encode(body: bytes, charset: str) -> bytes:
    """Our UTF-8 bytes in the character set of the region."""
    return body if charset == "utf-8" else body.decode().encode(charset)


def x_tif_headers(paasid: str, token: str, *, seconds: int, nonce: str) -> dict[str, str]:
    """RIO gateway: hex(SHA-256(timestamp + token + nonce + timestamp)), lower case; the body is unsigned."""
    digest = hashlib.sha256(f"{seconds}{token}{nonce}{seconds}".encode()).hexdigest()
    return {
        "x-tif-paasid": paasid,
        "x-tif-timestamp": str(seconds),
        "x-tif-nonce": nonce,
        "x-tif-signature": digest,
    }


def x_ca_headers(key: str, secret: str, *, seconds: int, body: bytes) -> dict[str, str]:
    """timestamp + ":" + hex(HMAC-SM3(secret, timestamp + LF + body)) over the exact bytes sent."""
    digest = hmac_sm3(secret.encode(), f"{seconds}\n".encode() + body)
    return {"x-ca-key": key, "x-ca-signature": f"{seconds}:{digest}"}


def hmac_sm3(key: bytes, text: bytes) -> str:
    """HMAC with SM3 (GB/T 32905), lower-case hex."""
    try:
        return hmac.new(key, text, "sm3").hexdigest()
    except ValueError as error:
        raise Misconfigured("this Python's OpenSSL has no SM3, which security x-ca needs") from error
