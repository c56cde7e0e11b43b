"""The delimiters of a message, and how they are written inside a text.

See section 2.7 of https://www.hl7.eu/HL7v2x/v251/std251/ch02.html.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec


class Separators(msgspec.Struct, frozen=True):
    """The five delimiters of one message; a missing one is empty and separates nothing."""

    field: str
    component: str
    repetition: str = ""
    escape: str = ""
    subcomponent: str = ""


def unescape(raw: str, separators: Separators, codec: str) -> str:
    r"""Replace `\F\`, `\S\`, `\T\`, `\R\`, `\E\`, `\X0D\`, `\.br\`; an unknown one stays as it is."""
    escape = separators.escape
    if not escape or escape not in raw:
        return raw
    return _pattern(escape).sub(lambda match: _meaning(match, separators, codec), raw)


@lru_cache(maxsize=64)
def _pattern(escape: str) -> re.Pattern[str]:
    mark = re.escape(escape)
    return re.compile(f"{mark}([^{mark}]{{1,200}}){mark}")


def _meaning(match: re.Match[str], separators: Separators, codec: str) -> str:
    code = match[1]
    plain = {
        "F": separators.field,
        "S": separators.component,
        "T": separators.subcomponent,
        "R": separators.repetition,
        "E": separators.escape,
        "H": "",
        "N": "",
    }
    if code in plain:
        return plain[code]
    if code.startswith((".br", ".sp", ".ce")):
        return "\n"
    if code[0] == "X":
        try:
            return bytes.fromhex(code[1:]).decode(codec)
        except (ValueError, UnicodeDecodeError):
            return match[0]
    return match[0]
