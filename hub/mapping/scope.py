"""Where an expression stands, and what the variables around it hold."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

_VARIABLE = re.compile(r"%[A-Za-z_]\w*|\$this")
_CONSEQUENCE = re.compile(r"\.(?:refuse|warn)\((?:'[^']*'[, ]*)+\)")
_PATH = re.compile(r"\b([A-Z][A-Z0-9]{2})\.(\d+(?:\.\d+)*)")


class Fast(NamedTuple):
    """Python text that yields one value or None.

    `kind` is str, int, num (an amount) or any; `exact`: it can be compared.
    """

    code: str
    kind: str = "str"
    exact: bool = True


class Local(NamedTuple):
    """A variable held in a Python name.

    `value` is Python text for its (first) plain value, `node` for its first node, `kind` what that is (str,
    int and num: plain values), `sure` whether there is exactly one.
    """

    value: str
    kind: str
    node: str = ""
    sure: bool = True


class Scope(msgspec.Struct):
    """Where an expression stands: the Python name of its context and what that is."""

    source: str = "S"
    kind: str = "any"  # message, group, segment, part or any
    root_kind: str = "any"
    locals: dict[str, Local] = msgspec.field(default_factory=dict)
    texts: dict[str, str] = msgspec.field(default_factory=dict)
    """What variables and $this stand for, so that a warning can name a position."""

    def inside(self, source: str, kind: str) -> Scope:
        """The scope of a loop's body."""
        return Scope(
            source=source,
            kind=kind,
            root_kind=self.root_kind,
            locals=dict(self.locals),
            texts=dict(self.texts),
        )

    def whole(self, text: str) -> str:
        """An expression with its variables written out."""
        return _VARIABLE.sub(lambda match: self.texts.get(match[0], match[0]), text)

    def position(self, text: str) -> str:
        """The HL7 v2 positions an expression reads (`RXE-2, RXO-1`), or the expression itself."""
        text = _CONSEQUENCE.sub("", text)
        if self.root_kind != "message":
            return text[:80]
        whole = self.whole(text)
        found = dict.fromkeys(f"{segment}-{path}" for segment, path in _PATH.findall(whole))
        told = [place for place in found if not place.startswith("MSH")] or list(found)
        return ", ".join(told[:6]) if told else text[:80]
