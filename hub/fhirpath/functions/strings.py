"""String functions (http://hl7.org/fhirpath/N1/#string-manipulation)."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import regex

from hub.fhirpath.arithmetic import single
from hub.fhirpath.errors import EvaluationError, TooCostly
from hub.fhirpath.functions.signature import Entry, Environment, on_text
from hub.fhirpath.nodes import Items, plain

MATCH_SECONDS = 0.5
"""How long one regular expression may search."""

LONGEST = 1_000_000
"""Characters that a text function may produce."""


def _substring(text: str, begin: Any, length: Any = None) -> str | None:
    if not isinstance(begin, int) or (length is not None and not isinstance(length, int)):
        raise EvaluationError("substring() takes integers")
    if not 0 <= begin < len(text):
        return None
    return text[begin:] if length is None else text[begin : begin + max(0, length)]


@lru_cache(maxsize=512)
def _pattern(expression: str) -> Any:
    try:
        return regex.compile(expression, regex.DOTALL | regex.V0)
    except regex.error as error:
        raise EvaluationError(f"not a regular expression: {error}") from None


def _timed(search: Callable[[], Any]) -> Any:
    try:
        return search()
    except TimeoutError:
        raise TooCostly(f"a regular expression took longer than {MATCH_SECONDS} s") from None


def _matches(text: str, expression: str) -> bool:
    pattern = _pattern(expression)
    return _timed(lambda: pattern.search(text, timeout=MATCH_SECONDS)) is not None


def _matches_full(text: str, expression: str) -> bool:
    pattern = _pattern(expression)
    return _timed(lambda: pattern.fullmatch(text, timeout=MATCH_SECONDS)) is not None


def _replace_matches(text: str, expression: str, substitution: str) -> str:
    if not expression:
        return text
    pattern = _pattern(expression)
    template = regex.sub(r"\$(\d+|\{\w+\})", _group_reference, substitution.replace("\\", "\\\\"))
    replaced = _timed(lambda: pattern.sub(template, text, timeout=MATCH_SECONDS))
    return bounded_text(str(replaced))


def _group_reference(match: Any) -> str:
    return f"\\g<{match[1].strip('{}')}>"


def bounded_text(text: str) -> str:
    """The text, or TooCostly if it grew beyond `LONGEST`."""
    if len(text) > LONGEST:
        raise TooCostly(f"a text grew beyond {LONGEST} characters")
    return text


def _replace(text: str, pattern: str, substitution: str) -> str:
    if len(text) * (len(substitution) + 1) > LONGEST:
        bounded_text(" " * (len(text) + text.count(pattern) * (len(substitution) - len(pattern))))
    return text.replace(pattern, substitution)


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}


def _escape(text: str, target: str) -> str | None:
    if target == "html":
        return "".join(_HTML.get(character, character) for character in text)
    return json.dumps(text, ensure_ascii=False)[1:-1] if target == "json" else None


def _unescape(text: str, target: str) -> str | None:
    if target == "html":
        return html.unescape(text)
    try:
        escaped = re.sub(r'(\\.)|"', lambda match: match[1] or '\\"', text)
        return str(json.loads(f'"{escaped}"')) if target == "json" else None
    except ValueError:
        return None


def _encode(text: str, form: str) -> str | None:
    data = text.encode()
    if form == "hex":
        return data.hex()
    if form == "base64":
        return base64.b64encode(data).decode()
    return base64.urlsafe_b64encode(data).decode() if form == "urlbase64" else None


def _decode(text: str, form: str) -> str | None:
    try:
        if form == "hex":
            return bytes.fromhex(text).decode()
        if form == "base64":
            return base64.b64decode(text, validate=True).decode()
        return base64.urlsafe_b64decode(text).decode() if form == "urlbase64" else None
    except (ValueError, binascii.Error):
        return None


def _join(items: Items, _: Environment, separator: Items = ()) -> Items:
    if not items:
        return ()
    texts = [text for item in items if (text := plain(item)) is not None]
    if any(text.__class__ is not str for text in texts):
        raise EvaluationError("join() needs texts")
    return (bounded_text((single(separator) or "").join(texts)),)


FUNCTIONS: dict[str, Entry] = {
    "indexOf": on_text(lambda text, part: text.find(part), 1, 1),
    "lastIndexOf": on_text(lambda text, part: text.rfind(part), 1, 1),
    "substring": on_text(_substring, 1, 2),
    "startsWith": on_text(lambda text, part: text.startswith(part), 1, 1),
    "endsWith": on_text(lambda text, part: text.endswith(part), 1, 1),
    "contains": on_text(lambda text, part: part in text, 1, 1),
    "upper": on_text(str.upper, 0, 0),
    "lower": on_text(str.lower, 0, 0),
    "replace": on_text(_replace, 2, 2),
    "matches": on_text(_matches, 1, 1),
    "matchesFull": on_text(_matches_full, 1, 1),
    "replaceMatches": on_text(_replace_matches, 2, 2),
    "length": on_text(len, 0, 0),
    "toChars": on_text(list, 0, 0),
    "trim": on_text(str.strip, 0, 0),
    "split": on_text(_split, 1, 1),
    "join": Entry(_join, 0, 1),
    "encode": on_text(_encode, 1, 1),
    "decode": on_text(_decode, 1, 1),
    "escape": on_text(_escape, 1, 1),
    "unescape": on_text(_unescape, 1, 1),
}
