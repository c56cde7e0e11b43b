"""Messages nobody here wrote: every one is accounted for, none is lost, none stops the channel."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.journeys.demo import demo

DATA = os.environ.get("HUB_TEST_DATA", "")
FILE = Path(DATA) / "hl7v2" / "linuxforhealth" / "messages_with_expected_counts.json"

if not DATA or not FILE.is_file():
    pytest.skip(
        "HUB_TEST_DATA does not name the third-party data folder: its messages are left out",
        allow_module_level=True,
    )

OUTCOMES = {"stored": "AA", "duplicate": "AA", "invalid": "AE", "conflict": "AE", "rejected": "AR"}


def test_third_party_messages_are_all_accounted_for(tmp_path: Path) -> None:
    found = demo("--messages", str(FILE), folder=tmp_path)
    figures, each = found["messages"], found["each"]
    assert figures["received"] == len(each) == 106
    assert figures["received"] == sum(figures[state] for state in OUTCOMES)
    assert Counter(one["state"] for one in each) == {
        state: n for state, n in figures.items() if n and state in OUTCOMES
    }
    for one in each:
        assert one["ack"] == OUTCOMES[one["state"]], one
        assert one["reason"] or one["state"] == "stored", f"no reason is given for {one['name']}"
    drugs = [one for one in each if one["kind"] in ("OMP^O09", "RDE^O11")]
    assert len(drugs) == 43
    assert sum(one["state"] == "stored" for one in drugs) >= 40, "nearly every prescription can be understood"
