"""Why a patch is refused: malformed (400), or well formed and impossible here (422, RFC 5789 §2.2)."""

from __future__ import annotations

from hub.api.outcome import BadRequest, Unprocessable
from hub.errors import Issue


def malformed(text: str, place: str = "", code: str = "invalid") -> BadRequest:
    """The error for a patch that breaks its own format; `place` is where in the patch."""
    return BadRequest(issues=[Issue(code=code, diagnostics=_at(place, text))])


def impossible(text: str, place: str = "", code: str = "processing") -> Unprocessable:
    """The error for an operation that does not fit the resource; never quotes a value."""
    return Unprocessable(issues=[Issue(code=code, diagnostics=_at(place, text))])


def _at(place: str, text: str) -> str:
    return f"{place}: {text}" if place else text
