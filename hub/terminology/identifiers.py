"""Identifiers that carry their own check, and values that identify nobody.

The resident identity number: GB 11643-1999, ISO 7064 MOD 11-2. Places and dates inside it are not judged:
lists of county codes by year reject most people born before 1975.
"""

from __future__ import annotations

from datetime import date

ID_CARD_SYSTEM = "urn:oid:2.16.156.10011.1.3"

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
_PLACEHOLDERS = frozenset(
    [
        "0",
        "-",
        "--",
        "/",
        "\\",
        ".",
        "?",
        "*",
        "X",
        "XX",
        "XXX",
        "N/A",
        "NA",
        "NONE",
        "NULL",
        "NIL",
        "UNKNOWN",
        "UNK",
        "UNKN",
        "无",
        "暂无",
        "不详",
        "未知",
        "未提供",
        "空",
    ]
)


def id_card_is_valid(number: str) -> bool:
    """18 characters whose last one is the checksum of the others, and a birth date that exists."""
    number = number.upper()
    return (
        len(number) == 18
        and number[:17].isascii()
        and number[:17].isdigit()
        and _CHECK[sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False)) % 11]
        == number[17]
        and id_card_birth_date(number) is not None
    )


def id_card_birth_date(number: str) -> str | None:
    """`1950-01-01` of an 18-character number; None where there is no such day."""
    text = number[6:14]
    if len(number) != 18 or not (text.isascii() and text.isdigit()):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:])).isoformat()
    except ValueError:
        return None


def id_card_gender(number: str) -> str | None:
    """FHIR administrative gender by the parity of the 17th digit."""
    digit = number[16:17]
    if len(number) != 18 or not (digit.isascii() and digit.isdigit()):
        return None
    return "male" if int(digit) % 2 else "female"


def is_placeholder(value: str) -> bool:
    """Whether a value only fills a field: `0`, `000000`, `无`, `UNKNOWN`, one character repeated."""
    if len(value) > 9 and value[0] != value[-1]:
        return False
    text = value.strip().upper()
    return not text or text in _PLACEHOLDERS or (len(text) > 2 and len(set(text)) == 1) or text == "123456789"


_USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def uscc_is_valid(code: str) -> bool:
    """A unified social credit code (GB 32100-2015): 18 characters, the last one the checksum modulo 31."""
    code = code.upper()
    if len(code) != 18 or any(character not in _USCC for character in code):
        return False
    total = sum(_USCC.index(character) * pow(3, place, 31) for place, character in enumerate(code[:17]))
    return _USCC[-total % 31] == code[17]
