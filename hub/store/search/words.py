"""`_text` and `_content`: words looked for in the narrative, or in everything a resource says.

A value is words that must all be there, `OR`, `NOT`, brackets, and "phrases in quotation marks". Case and
accents do not count. A word is found as a whole word; in a script that has no blanks between words, such as
Chinese, anywhere. http://hl7.org/fhir/R4/search.html#text
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import msgspec

from hub.r4.hashes import folded
from hub.store.search.escapes import BadValue

MAX_WORDS = 100
_TOKEN = re.compile(r'\s*(?:([()])|"([^"]*)"|([^\s()"]+))')
_TAG = re.compile(r"<[^>]*>")
_LETTER = r"[^\W_\u0e00-\u0eff\u2e80-\U0010ffff]"
"""A letter or digit of a script whose words have blanks around them."""
_LETTER_FOUND = re.compile(_LETTER).match
_json = msgspec.json.Decoder()
Test = Callable[[str], bool]


def matcher(code: str, value: str) -> Callable[[bytes], bool]:
    """Whether a body has the words of a value of `_text` or `_content`. BadValue if it cannot be read."""
    test = _Words(value).read()
    text_of = _narrative if code == "_text" else _everything
    return lambda body: test(text_of(_json.decode(body)))


def check_words(value: str) -> None:
    """BadValue unless the value can be read."""
    _Words(value).read()


def _narrative(resource: dict[str, Any]) -> str:
    text = resource.get("text")
    div = text.get("div") if isinstance(text, dict) else None
    return folded(_plain(div)) if isinstance(div, str) else ""


def _everything(resource: dict[str, Any]) -> str:
    return folded("\n".join(_strings(resource)))


def _strings(node: Any, name: str = "") -> Iterator[str]:
    if isinstance(node, str):
        yield _plain(node) if name == "div" else node
    elif isinstance(node, list):
        for one in node:
            yield from _strings(one, name)
    elif isinstance(node, dict):
        for key, one in node.items():
            yield from _strings(one, key)


def _plain(xhtml: str) -> str:
    return unescape(_TAG.sub(" ", xhtml))


class _Words:
    """Reads `(bone OR liver) AND metastases`; a blank between words means AND."""

    def __init__(self, value: str) -> None:
        self._tokens = [(m[1] or "", m[2], m[3] or "") for m in _TOKEN.finditer(value)]
        self._place = 0
        if not self._tokens or len(self._tokens) > MAX_WORDS:
            raise BadValue(f"expected 1 to {MAX_WORDS} words")

    def read(self) -> Test:
        test = self._either()
        if self._place < len(self._tokens):
            raise BadValue("a bracket is closed that was not opened")
        return test

    def _peek(self) -> str:
        """The bracket or operator that comes next, in capitals; otherwise empty."""
        if self._place == len(self._tokens):
            return ")"
        bracket, phrase, word = self._tokens[self._place]
        return bracket or (word.upper() if phrase is None and word.upper() in ("AND", "OR", "NOT") else "")

    def _either(self) -> Test:
        tests = [self._all()]
        while self._peek() == "OR":
            self._place += 1
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else lambda text: any(test(text) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._peek() not in (")", "OR"):
            if self._peek() == "AND":
                self._place += 1
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda text: all(test(text) for test in tests)

    def _one(self) -> Test:
        ahead = self._peek()
        if ahead in (")", "OR", "AND"):
            raise BadValue("a word is missing")
        _, phrase, word = self._tokens[self._place]
        self._place += 1
        if ahead == "NOT":
            inner = self._one()
            return lambda text: not inner(text)
        if ahead == "(":
            inside = self._either()
            if self._place == len(self._tokens):
                raise BadValue("a bracket is not closed")
            self._place += 1
            return inside
        return _contains(folded(word if phrase is None else phrase))


def _contains(wanted: str) -> Test:
    if not wanted:
        raise BadValue("a word is missing")
    before = f"(?<!{_LETTER})" if _LETTER_FOUND(wanted[0]) else ""
    after = f"(?!{_LETTER})" if _LETTER_FOUND(wanted[-1]) else ""
    if not before and not after:
        return lambda text: wanted in text
    found = re.compile(before + re.escape(wanted) + after).search
    return lambda text: found(text) is not None
