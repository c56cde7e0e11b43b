"""What the audit table keeps: who did what, to what, when, and how it ended. Never a value.

A write's row commits with the write itself; rows of reads are collected and committed in batches.
It is rendered as AuditEvent (http://hl7.org/fhir/R4/auditevent.html).
"""

from __future__ import annotations

from typing import Literal

import msgspec

Action = Literal[
    "read", "search", "history", "create", "update", "delete", "operation", "capabilities", "admin"
]


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """One row.

    at            microseconds since the epoch, UTC
    organisation  on whose behalf; `person` is the authenticated subject, `via` the way in (`http`, a channel)
    action        what was asked for
    target        `Patient/123`, `Patient`, `Patient/$name`, or an admin path; never a query value
    detail        names only: of search parameters, or the version written
    status        the HTTP status (or its like) that the caller was given
    """

    at: int
    organisation: str
    person: str = ""
    via: str = ""
    action: Action
    target: str
    detail: str = ""
    status: int = 200
