"""Messages that nobody of this project wrote, from the folder that HUB_TEST_DATA names (left out without it).

They are American: MR numbers, no identity cards, RXE with and without RXO. Every ADT, OMP^O09 and RDE^O11 is
mapped to valid R4, or refused with the position at fault.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hub import fhirpath, r4
from hub.errors import InvalidMessage
from hub.mapping import Context, Mappings

DATA = Path(os.environ.get("HUB_TEST_DATA", "/nowhere")) / "hl7v2" / "linuxforhealth"
FILE = DATA / "messages_with_expected_counts.json"

if not FILE.is_file():
    pytest.skip(f"{FILE}: HUB_TEST_DATA does not name the third-party data", allow_module_level=True)

MESSAGES = {
    one["id"]: one
    for one in json.loads(FILE.read_text("utf-8"))
    if one["type"].startswith("ADT") or one["type"][:7] in ("OMP^O09", "RDE^O11")
}
FACTS = json.loads((DATA / "facts_medicationrequest.json").read_text("utf-8"))["facts"]
WITHOUT_A_NUMBER = 5
NOT_ASKED_FOR = {"ADT^A34", "ADT^A40"}

Make = Callable[..., Context]


def mapped(library: Mappings, message: dict[str, Any], context: Context) -> list[dict[str, Any]] | None:
    mapping = library.for_kind("hl7v2", "^".join(message["type"].split("^")[:2]))
    if mapping is None:
        return None
    found = mapping.map(message["message"].encode(), context)
    for one in found.resources:
        r4.decode(one.body, one.type)
    return [r4.tree(one.body) for one in found.resources]


def test_all_are_valid_r4_or_refused_with_a_position(library: Mappings, context: Make) -> None:
    assert len(MESSAGES) == 106
    refused = []
    for message in MESSAGES.values():
        try:
            if mapped(library, message, context()) is None:
                assert "^".join(message["type"].split("^")[:2]) in NOT_ASKED_FOR
        except InvalidMessage as error:
            assert [issue.expression for issue in error.issues] == ["PID-3"]
            refused.append(message["id"])
    assert len(refused) == WITHOUT_A_NUMBER


@pytest.mark.parametrize(
    "fact", FACTS, ids=lambda one: f"{one['message_id'].rpartition('Test.')[2]} {one['path']}"
)
def test_facts_that_a_person_read(library: Mappings, context: Make, fact: dict[str, Any]) -> None:
    trees = mapped(library, MESSAGES[fact["message_id"]], context())
    assert trees is not None
    found = answer(fact["path"], trees)
    if fact["op"] == "startswith":
        assert str(found).startswith(fact["value"])
    else:
        wanted = fact["value"]
        assert found == (Decimal(wanted) if isinstance(found, Decimal) else wanted)


def answer(path: str, trees: list[dict[str, Any]]) -> Any:
    if path.startswith("count("):
        return sum(tree["resourceType"] == path[6:-1] for tree in trees)
    order = next(tree for tree in trees if tree["resourceType"] == "MedicationRequest")
    source, arrow, target = path.partition(" -> ")
    if not arrow:
        return fhirpath.compile(source).first(order)
    reference = fhirpath.compile(f"{source}.reference").first(order)
    aim = next((tree for tree in trees if f"{tree['resourceType']}/{tree['id']}" == reference), None)
    if aim is None or "." not in target:
        return aim is not None
    return fhirpath.compile(target).first(aim)
