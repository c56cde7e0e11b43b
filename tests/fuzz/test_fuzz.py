"""The short form of `make fuzz`; and that its judge would notice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fuzz.judging import Answer, complaint
from tests.fuzz.requests import Request
from tests.fuzz.rounds import fuzz

SECONDS = 4.0


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_nothing_that_comes_makes_the_hub_fail(database_url: str, tmp_path: Path) -> None:
    schema = database_url.startswith("sqlite")
    assert await fuzz(tmp_path, database_url, seed=1, seconds=SECONDS, schema=schema) == ""


def outcome(**issue: str) -> bytes:
    return json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()


SOUND = outcome(severity="error", code="invalid", diagnostics="no")
FHIR = {"content-type": "application/fhir+json"}


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (Answer(400, FHIR, SOUND), ""),
        (Answer(500, FHIR, SOUND), "status 500"),
        (Answer(200, FHIR, b"{}", 60.0), "slow"),
        (Answer(404, FHIR, b""), "a refusal without OperationOutcome"),
        (Answer(400, FHIR, b'{"resourceType":"Patient"}'), "a refusal that is no OperationOutcome"),
        (Answer(400, {"content-type": "text/html"}, b"<p>no</p>"), "refused as text/html"),
        (Answer(400, FHIR, outcome(severity="error", code="invalid")), "an issue without diagnostics"),
        (Answer(200, FHIR, b"{"), "no JSON"),
    ],
)
def test_the_judge_tells_sound_answers_from_others(answer: Answer, wrong: str) -> None:
    assert complaint(Request("GET", "/fhir/Patient"), answer) == wrong


def test_the_judge_finds_a_failed_entry_of_a_batch() -> None:
    entries = [{"response": {"status": "500 Internal Server Error"}}]
    body = json.dumps({"resourceType": "Bundle", "type": "batch-response", "entry": entries}).encode()
    assert complaint(Request("POST", "/fhir", b"{}"), Answer(200, FHIR, body)) == "an entry with status 5xx"
