"""Every public error of the hub, grouped by what happens next.

    HubError
    ├── Retryable            the hub backs off and tries again, then writes a dead letter
    ├── Rejected             the other system said no: its reply is stored, nothing is sent again
    ├── OutcomeUnknown       nobody knows whether it took effect: the hub asks before anything else
    ├── Misconfigured        the channel pauses and the operator is told file, key and remedy
    ├── InvalidMessage       kept verbatim as an invalid message; it can be replayed
    │   └── TooLarge         above `max_message`: the hash and the head are kept
    ├── InvalidResource      the content is not valid R4: refused, with every issue
    │   └── RuleBroken       valid R4, but it breaks a programme's rule or a profile
    ├── Conflict             somebody else got there first, or said something else
    │   └── PreconditionFailed   If-Match, If-None-Match or a conditional criterion did not hold
    ├── NotFound             there is no such thing
    │   └── Gone             there was one; it was deleted
    ├── NotSupported         understood, but not offered here
    │   └── Unworkable       what is asked rests on definitions that give no answer
    │       └── TooCostly    the answer would be too large, or take too long
    └── Forbidden            this caller may not

`STATUS` maps each to the FHIR issue code (http://hl7.org/fhir/R4/valueset-issue-type.html)
and the HTTP status that the REST interface answers with (http://hl7.org/fhir/R4/http.html).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

Severity = Literal["fatal", "error", "warning", "information"]


class Issue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One finding, in the words of OperationOutcome.issue.

    `expression` is a FHIRPath (resources) or a position in the message (`PID-3[2].1`, `line 4`);
    `diagnostics` says what was expected, what came and what to do, and never quotes a person's data.
    """

    severity: Severity = "error"
    code: str = "invalid"
    diagnostics: str
    expression: str = ""


class HubError(Exception):
    """The root. `issues` holds every finding; `str(error)` is the first one's text."""

    code = "exception"

    def __init__(self, diagnostics: str = "", *, issues: Sequence[Issue] = (), expression: str = "") -> None:
        self.issues: tuple[Issue, ...] = tuple(issues) or (
            Issue(code=self.code, diagnostics=diagnostics or type(self).__name__, expression=expression),
        )
        super().__init__(diagnostics or self.issues[0].diagnostics)


class Retryable(HubError):
    """The other system certainly did not act (refused connection, busy): try the same bytes later."""

    code = "transient"


class Rejected(HubError):
    """The other system understood and said no. `reply` is its answer, verbatim, to be stored."""

    code = "business-rule"

    def __init__(self, diagnostics: str, *, reply: object = None) -> None:
        super().__init__(diagnostics)
        self.reply = reply


class OutcomeUnknown(HubError):
    """The request left and no readable answer came: it may or may not have taken effect."""

    code = "timeout"


class Misconfigured(HubError):
    """A setting is wrong; the text names the file, the key, what was expected and what came."""

    code = "exception"


class InvalidMessage(HubError):
    """The message cannot be understood; `issues` name the positions."""

    code = "structure"


class TooLarge(InvalidMessage):
    """More bytes than the channel or the server accepts."""

    code = "too-long"


class InvalidResource(HubError):
    """The resource breaks the R4 structure or a required binding; `issues` name the paths."""

    code = "invalid"


class RuleBroken(InvalidResource):
    """The resource is valid R4 and breaks a rule of a plugin or a profile."""

    code = "business-rule"


class Conflict(HubError):
    """Two writers disagree: read again and decide."""

    code = "conflict"


class PreconditionFailed(Conflict):
    """A stated condition did not hold (ETag, ifNoneExist with several matches)."""

    code = "conflict"


class NotFound(HubError):
    """Nothing is known under that name."""

    code = "not-found"


class Gone(NotFound):
    """It existed and was deleted."""

    code = "deleted"


class NotSupported(HubError):
    """A type, parameter or operation that this hub does not offer."""

    code = "not-supported"


class Unworkable(NotSupported):
    """What is asked rests on definitions that give no answer: a circle, a filter on nothing."""

    code = "processing"


class TooCostly(Unworkable):
    """The answer would be larger, or take longer, than this hub allows; ask for less."""

    code = "too-costly"


class Forbidden(HubError):
    """The caller is known and may not do this."""

    code = "forbidden"


STATUS: dict[type[HubError], int] = {
    Retryable: 503,
    Rejected: 422,
    OutcomeUnknown: 504,
    Misconfigured: 500,
    TooLarge: 413,
    InvalidMessage: 400,
    RuleBroken: 422,
    InvalidResource: 400,
    PreconditionFailed: 412,
    Conflict: 409,
    Gone: 410,
    NotFound: 404,
    Unworkable: 422,
    NotSupported: 400,
    Forbidden: 403,
}
"""HTTP status by error type; the nearest base class counts."""


def status_of(error: HubError) -> int:
    """The HTTP status of an error, found along its class tree."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return 500
