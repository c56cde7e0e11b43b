"""One prescription travels: the demo's journey, told by the hub and checked against the simulators' books."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.demo import demo, words


@pytest.fixture(scope="module")
def sqlite_demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return demo(folder=tmp_path_factory.mktemp("a demo"))


@pytest.fixture
def played(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "sqlite":
        found: dict[str, Any] = request.getfixturevalue("sqlite_demo")
        return found
    return demo(
        folder=request.getfixturevalue("tmp_path"), database_url=request.getfixturevalue("postgres_url")
    )


both = pytest.mark.parametrize("played", ["sqlite", "postgresql"], indirect=True)


@both
def test_three_hospitals_prescribe_are_settled_and_supplied(played: dict[str, Any]) -> None:
    journeys = played["journeys"]
    assert len(journeys) == 3
    for journey in journeys:
        steps = words(journey)
        for word in ("received", "stored", "settled", "ordered", "shipped", "delivered"):
            assert word in steps, (journey["prescription"], word)
        order = [
            steps.index(word) for word in ("received", "stored", "settled", "ordered", "shipped", "delivered")
        ]
        assert order == sorted(order)
    assert sum("mapped" in words(journey)[:3] for journey in journeys) == 2, "two came as HL7 v2, one as FHIR"


@both
def test_every_claim_is_settled_exactly_once_although_an_answer_was_lost(played: dict[str, Any]) -> None:
    assert played["settlements"] == {"claims": 3, "at_insurer": 3, "unknown_resolved": 1}
    lost = [journey for journey in played["journeys"] if "unanswered 2207A" in words(journey)]
    assert len(lost) == 1
    steps = words(lost[0])
    after = steps[steps.index("unanswered 2207A") :]
    assert after.index("sent 5204") < after.index("sent 5203") < after.index("settled")
    assert "sent 2207A" not in steps, "a settlement is never sent again blindly"
    assert steps.count("settled") == 1


@both
def test_the_demand_is_one_order_line_delivered_in_two_shipments(played: dict[str, Any]) -> None:
    assert played["orders"] == {"lines": 1, "at_platform": 1, "received": 1}
    steps = words(played["journeys"][0])
    assert [steps.count(word) for word in ("sent ZJ9653", "sent ZJ9656", "shipped", "delivered")] == [
        1,
        1,
        2,
        2,
    ]


@both
def test_every_message_is_accounted_for(played: dict[str, Any]) -> None:
    figures = played["messages"]
    kinds = ("stored", "invalid", "conflict", "duplicate", "rejected")
    assert figures["received"] == sum(figures[kind] for kind in kinds)
    assert figures["invalid"] == figures["conflict"] == figures["rejected"] == 0


@both
def test_the_resources_of_the_issue_are_there(played: dict[str, Any]) -> None:
    counts = played["counts"]
    assert counts["Patient"] == counts["MedicationRequest"] == counts["Claim"] == 3
    assert counts["SupplyDelivery"] == 2
    assert counts["ClaimResponse"] == 6, "one of the pre-settlement and one of the settlement, each"
    for name in ("Organization", "Practitioner", "Condition", "Encounter", "Coverage", "SupplyRequest"):
        assert counts[name] >= 1, name


def test_every_step_names_its_system_and_resource(sqlite_demo: dict[str, Any]) -> None:
    for journey in sqlite_demo["journeys"]:
        for step in journey["steps"]:
            assert step["step"] and step["system"]
            assert re.fullmatch(r"[A-Z][A-Za-z]+/[A-Za-z0-9.\-]{1,64}", step["resource"])


def test_ids_come_from_business_identifiers(sqlite_demo: dict[str, Any], tmp_path: Path) -> None:
    """Two hubs that hear the same hospitals call their patients the same."""

    def patients(found: dict[str, Any]) -> set[str]:
        return {
            step["resource"]
            for journey in found["journeys"]
            for step in journey["steps"]
            if step["resource"].startswith("Patient/") and step["system"].endswith("hospital")
        }

    assert patients(sqlite_demo) == patients(demo(folder=tmp_path))
    assert len(patients(sqlite_demo)) == 2
