"""What an answer must be, whatever was asked."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from hub import r4
from tests.fuzz.requests import Request

SLOW = 5.0
"""Seconds that an answer may take while others ask, too."""

_STATUS = re.compile(r"[1-4]\d\d\b")


@dataclass
class Answer:
    """One answer; header names in lower case, the body unpacked."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float = 0.0


def complaint(request: Request, answer: Answer) -> str:
    """What is wrong with an answer; empty: nothing."""
    if answer.status >= 500:
        return f"status {answer.status}"
    if answer.seconds > SLOW:
        return "slow"
    if request.method == "HEAD":
        return "" if not answer.body else "HEAD has a body"
    if request.path.startswith("/fhir") and (answer.status >= 400 or answer.body):
        return _fhir(request, answer)
    return ""


def _fhir(request: Request, answer: Answer) -> str:
    media = answer.headers.get("content-type", "").partition(";")[0]
    if answer.status >= 400 and not answer.body:
        return "a refusal without OperationOutcome"
    if media == "application/fhir+xml":
        return "" if answer.body.startswith((b"<?xml", b"<")) else "no XML"
    if media not in ("application/fhir+json", "application/json"):
        return "" if answer.status < 400 else f"refused as {media}"
    try:
        found = json.loads(answer.body)
    except ValueError:
        return "no JSON"
    if answer.status >= 400:
        return _outcome(answer.body, found)
    return _entries(found) if request.path == "/fhir" else ""


def _outcome(body: bytes, found: Any) -> str:
    if found.get("resourceType") != "OperationOutcome":
        return "a refusal that is no OperationOutcome"
    try:
        r4.decode(body, "OperationOutcome")
    except Exception as error:
        return f"an OperationOutcome that is not valid: {error}"
    if any(one["severity"] == "fatal" and one["code"] == "exception" for one in found["issue"]):
        return "an exception inside"
    return "" if all(one.get("diagnostics") for one in found["issue"]) else "an issue without diagnostics"


def _entries(found: Any) -> str:
    """The statuses of a batch response: none tells of a failure of the hub."""
    if found.get("type") not in ("batch-response", "transaction-response"):
        return ""
    said = [one.get("response", {}).get("status", "") for one in found.get("entry", [])]
    return "" if all(_STATUS.match(one) for one in said) else "an entry with status 5xx"
