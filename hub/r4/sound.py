"""How names are compared by ear (`phonetic`): Soundex per Latin word, every other script as it is written."""

from __future__ import annotations

from functools import lru_cache

from hub.r4.hashes import TEXT_LIMIT, fold

_CODES = {
    letter: code
    for letters, code in (("bfpv", "1"), ("cgjkqsxz", "2"), ("dt", "3"), ("l", "4"), ("mn", "5"), ("r", "6"))
    for letter in letters
}


@lru_cache(4096)
def sound(text: str) -> str:
    """The sounds of a text, word by word.

    >>> sound("Robert Meyer-Lüdenscheidt"), sound("rupert maier ludenscheid"), sound("王小明")
    ('r163 m600 l352', 'r163 m600 l352', '王小明')
    """
    words = fold(text).replace("-", " ").replace("'", "").split()
    return " ".join(_soundex(word) if word.isascii() and word.isalpha() else word for word in words)[
        :TEXT_LIMIT
    ]


def _soundex(word: str) -> str:
    """American Soundex: the first letter and three digits; h and w do not part equal sounds, vowels do."""
    digits, last = "", _CODES.get(word[0], "")
    for letter in word[1:]:
        code = _CODES.get(letter, "")
        if code and code != last:
            digits += code
        if letter not in "hw":
            last = code
    return f"{word[0]}{digits:0<3}"[:4]
