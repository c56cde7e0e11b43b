r"""Separators in the value of a search parameter: `,` `|` `$`, and `\` before one that is meant literally.

http://hl7.org/fhir/R4/search.html#escaping
"""

from __future__ import annotations

import re


class BadValue(ValueError):
    """A value that cannot be read; the text says what was expected and may be shown."""


_ESCAPE = re.compile(r"\\([\\,|$])")
_LEGAL = re.compile(r"(?:[^\\]|\\[\\,|$])*")


def is_legal(text: str) -> bool:
    r"""Whether every `\` stands before `,` `|` `$` or `\`."""
    return "\\" not in text or _LEGAL.fullmatch(text) is not None


def split(text: str, separator: str) -> list[str]:
    r"""The parts between separators, their escapes still in them.

    >>> split(r"a\,b,c\\,d", ",")
    ['a\\,b', 'c\\\\', 'd']
    """
    if "\\" not in text:
        return text.split(separator)
    parts, start, place = [], 0, 0
    while place < len(text):
        if text[place] == "\\":
            place += 2
            continue
        if text[place] == separator:
            parts.append(text[start:place])
            start = place + 1
        place += 1
    return [*parts, text[start:]]


def unescape(text: str) -> str:
    r"""`\,` `\|` `\$` `\\` as the characters they stand for."""
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text
