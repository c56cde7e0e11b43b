"""The check that schemathesis runs on every answer (its hook file): what `judging` says of it."""

from __future__ import annotations

from typing import Any

import schemathesis

from tests.fuzz.judging import Answer, complaint
from tests.fuzz.requests import Request


@schemathesis.check
def sound_answer(ctx: Any, response: Any, case: Any) -> None:
    """No 5xx, an OperationOutcome for every refusal."""
    sent = response.request
    asked = Request(str(sent.method), str(sent.path_url))
    headers = {name.lower(): values[0] for name, values in response.headers.items()}
    answer = Answer(response.status_code, headers, response.content, response.elapsed)
    if wrong := complaint(asked, answer):
        raise AssertionError(wrong)
