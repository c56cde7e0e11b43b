"""Text to tokens (http://hl7.org/fhirpath/N1/#lexical-elements).

Hand-written around one regular expression. With `members_by_number` digits after a dot are a name, so that
`PID.3.1` reads as HL7 v2 writes it.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Literal, NamedTuple

from hub.fhirpath.errors import InvalidExpression
from hub.fhirpath.temporal import Temporal, parse_clock, parse_moment
from hub.fhirpath.values import Number

Kind = Literal["name", "quoted", "string", "number", "moment", "special", "symbol", "end"]


class Token(NamedTuple):
    """One token; `value` is what it means, `text` what was written, `at` where."""

    kind: Kind
    text: str
    value: str | Number | Temporal
    at: int


_TOKEN = re.compile(
    r"""
      (?P<space>\s+|//[^\n]*|/\*.*?\*/)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>\d+(?:\.\d+)?)
    | '(?P<string>(?:[^'\\]|\\.)*)'
    | `(?P<quoted>(?:[^`\\]|\\.)*)`
    | @(?P<moment>T\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?
        |\d{4}(?:-\d\d(?:-\d\d)?)?(?:T(?:\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)?(?:Z|[+-]\d\d:\d\d)?)?)
    | (?P<special>\$(?:this|index|total)\b)
    | (?P<symbol>!=|!~|<=|>=|[-+*/|&<>=~.,()\[\]{}%])
    """,
    re.VERBOSE | re.DOTALL,
)
_DIGITS = re.compile(r"\d+")
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
_ESCAPES.update({plain: plain for plain in "'\"`\\/"})


def tokens(text: str, *, members_by_number: bool = False) -> list[Token]:
    """All tokens, the last of kind `end`. Raises InvalidExpression."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        if members_by_number and found and found[-1].text == "." and (digits := _DIGITS.match(text, at)):
            found.append(Token("quoted", digits[0], digits[0], at))
            at = digits.end()
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            raise InvalidExpression(_complaint(text, at), text, at)
        if match.lastgroup != "space":
            found.append(_token(match, text))
        at = match.end()
    found.append(Token("end", "end of the expression", "", len(text)))
    return found


def _complaint(text: str, at: int) -> str:
    if text.startswith("/*", at):
        return "comment without an end"
    if text[at] in "'`":
        return "string without an end"
    return f"unexpected {text[at]!r}"


def _token(match: re.Match[str], text: str) -> Token:
    kind = match.lastgroup
    written = match[0]
    at = match.start()
    if kind == "name":
        return Token("name", written, written, at)
    if kind == "number":
        return Token("number", written, Decimal(written) if "." in written else int(written), at)
    if kind == "string":
        return Token("string", written, _unescape(match["string"], text, at), at)
    if kind == "quoted":
        return Token("quoted", written, _unescape(match["quoted"], text, at), at)
    if kind == "moment":
        return Token("moment", written, _moment(match["moment"], text, at), at)
    return Token("special" if kind == "special" else "symbol", written, written, at)


def _moment(written: str, text: str, at: int) -> Temporal:
    moment = parse_clock(written[1:]) if written.startswith("T") else parse_moment(written)
    if moment is None:
        raise InvalidExpression("no such date or time", text, at)
    return moment


def _unescape(body: str, text: str, at: int) -> str:
    if "\\" not in body:
        return body

    def replacement(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) == 5:
            return chr(int(code[1:], 16))
        if code not in _ESCAPES:
            raise InvalidExpression(f"unknown escape \\{code}", text, at + 1 + match.start())
        return _ESCAPES[code]

    plain = _ESCAPE.sub(replacement, body)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
