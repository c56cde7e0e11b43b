"""OperationOutcome (http://hl7.org/fhir/R4/operationoutcome.html): what went wrong, as FHIR JSON.

The refusals that only HTTP knows stand here; every other error is one of `hub.errors`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from hub.errors import HubError, InvalidResource, Issue, NotSupported, status_of
from hub.r4.primitives import UNSAFE


class NotAcceptable(NotSupported):
    """The client accepts no format that the hub speaks (406)."""


class UnsupportedMediaType(NotSupported):
    """The body is in a format that the hub does not read (415)."""


class MethodNotAllowed(NotSupported):
    """The path exists, but not with this method (405); `allow` lists the others."""

    def __init__(self, diagnostics: str, allow: str = "") -> None:
        super().__init__(diagnostics)
        self.allow = allow


class BadRequest(InvalidResource):
    """The request breaks a rule of the protocol before any resource is judged (400)."""


class Unprocessable(InvalidResource):
    """Well formed, and impossible here: a patch that does not fit, or whose outcome is not valid (422)."""


_HTTP_STATUS: dict[type[HubError], int] = {
    NotAcceptable: 406,
    UnsupportedMediaType: 415,
    MethodNotAllowed: 405,
    BadRequest: 400,
    Unprocessable: 422,
}


def http_status(error: HubError) -> int:
    """The status to answer an error with."""
    return _HTTP_STATUS.get(type(error)) or status_of(error)


def render(issues: Iterable[Issue]) -> bytes:
    """An OperationOutcome with these issues."""
    return msgspec.json.encode({"resourceType": "OperationOutcome", "issue": [_issue(one) for one in issues]})


def tree(issues: Iterable[Issue]) -> dict[str, Any]:
    """The same as plain JSON."""
    return {"resourceType": "OperationOutcome", "issue": [_issue(one) for one in issues]}


def success(diagnostics: str) -> bytes:
    """What `Prefer: return=OperationOutcome` gets when all went well."""
    return render([Issue(severity="information", code="informational", diagnostics=diagnostics)])


def unexpected(reference: str) -> Issue:
    """The last resort: nothing about the inside, only where the operator finds it in the log."""
    text = f"the hub failed on this request; its log names the reason under {reference}"
    return Issue(severity="fatal", code="exception", diagnostics=text)


def located(error: HubError, place: str) -> HubError:
    """The same error about an entry of a Bundle: expressions start with `place` (`Bundle.entry[3]`)."""
    error.issues = tuple(
        msgspec.structs.replace(one, expression=_within(place, one.expression)) for one in error.issues
    )
    return error


def _within(place: str, expression: str) -> str:
    if expression.startswith("Bundle.entry["):
        return expression
    head, dot, rest = expression.partition(".")
    return f"{place}.resource{dot}{rest}" if head[:1].isupper() else place


def _issue(issue: Issue) -> dict[str, Any]:
    rendered: dict[str, Any] = {
        "severity": issue.severity,
        "code": issue.code,
        "diagnostics": _sound(issue.diagnostics or issue.code),
    }
    if issue.expression:
        rendered["expression"] = [_sound(issue.expression)]
    return rendered


def _sound(text: str) -> str:
    """A FHIR string: names that a client sent may hold characters that no string may."""
    return UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)
