"""Bytes to text before anything is split.

464 characters of GBK (珅 among them) have a second byte that equals an HL7 delimiter, so a message that
is split as bytes is torn apart. The declared charset counts first, then UTF-8, then GB18030, which
contains GBK and GB2312. https://hl7.org/documentcenter/private/standards/v2 table 0211.
"""

from __future__ import annotations

import msgspec

from hub.errors import InvalidMessage

CODECS: dict[str, str] = {
    "ASCII": "ascii",
    "US-ASCII": "ascii",
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "GB 18030-2000": "gb18030",
    "GB18030-2000": "gb18030",
    "GB 18030": "gb18030",
    "GB18030": "gb18030",
    "GBK": "gb18030",
    "CP936": "gb18030",
    "GB2312": "gb18030",
    "GB 2312": "gb18030",
    "GB 2312-80": "gb18030",
    "BIG-5": "big5hkscs",
    "BIG5": "big5hkscs",
    **{f"8859/{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    **{f"ISO-8859-{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
}
"""Charset names as senders write them (upper case) and the Python codec that reads them."""


class Decoded(msgspec.Struct, frozen=True):
    """`text`, the codec that read it, and a warning where the declaration was wrong."""

    text: str
    codec: str
    warning: str = ""


def decode(body: bytes, declared: str = "") -> Decoded:
    """Text of `body`; raises InvalidMessage with the offset of the first byte that nobody can read."""
    if body.startswith(b"\xef\xbb\xbf"):
        body, declared = body[3:], "UTF-8"
    name = declared.strip().upper()
    codec = CODECS.get(name, "")
    warning = "" if codec or not name else f"charset {declared.strip()!r} is not known here; it was guessed"
    if codec == "gb18030" and not body.isascii() and (utf8 := _utf_8(body)):
        return Decoded(
            utf8, "utf-8", f"the bytes are UTF-8, not {declared.strip()} as declared; read as UTF-8"
        )
    if codec:
        try:
            return Decoded(body.decode(codec), codec)
        except UnicodeDecodeError as error:
            warning = (
                f"the bytes are not {declared.strip()} as declared (offset {error.start}); read by guess"
            )
    for guess in ("utf-8", "gb18030"):
        try:
            return Decoded(body.decode(guess), guess, warning)
        except UnicodeDecodeError as error:
            last = error
    what = (
        f"neither {declared.strip()} as declared, nor UTF-8, nor GB18030"
        if name
        else "neither UTF-8 nor GB18030"
    )
    raise InvalidMessage(f"byte offset {last.start}: {what}", expression=f"byte {last.start}")


def _utf_8(body: bytes) -> str:
    """The text, if it is UTF-8 beyond doubt: two or more Chinese characters (three bytes each), few others.

    Chance makes short GB18030 texts valid UTF-8, too, but of two-byte characters (Greek, Cyrillic, Arabic).
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    others = [letter for letter in text if letter > "\x7f"]
    chinese = sum("\u4e00" <= letter <= "\u9fff" for letter in others)
    return text if chinese > 1 and 2 * chinese > len(others) else ""
