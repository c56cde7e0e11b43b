"""A patient and a small HL7 v2-like tree that the tests of FHIRPath share."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest


class Part:
    """The smallest thing that keeps the `Tree` protocol."""

    def __init__(self, text: str | None = None, **children: list[Any]) -> None:
        self.text = text
        self._children = {name.removeprefix("n"): found for name, found in children.items()}

    def children(self, name: str) -> Sequence[Any]:
        return self._children.get(name, ())


def identifier(number: str, kind: str) -> Part:
    return Part(number, n1=[Part(number)], n5=[Part(kind)])


@pytest.fixture
def message() -> Part:
    return Part(PID=[Part(n3=[identifier("A-77", "MR"), identifier("P-12", "PI")], n4=[Part(None)])])


@pytest.fixture
def patient() -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "one",
        "active": True,
        "birthDate": "1961-03-02",
        "_birthDate": {"extension": [{"url": "urn:time", "valueDateTime": "1961-03-02T08:30:00+08:00"}]},
        "name": [
            {"use": "official", "text": "王秀兰", "family": "王", "given": ["秀", "兰"]},
            {"use": "old", "given": [None, "Lan"], "_given": [{"extension": [{"url": "urn:why"}]}, None]},
        ],
        "multipleBirthInteger": 2,
        "managingOrganization": {"reference": "Organization/7"},
        "extension": [{"url": "urn:weight", "valueQuantity": {"value": Decimal("61.50"), "unit": "kg"}}],
        "contained": [{"resourceType": "Organization", "id": "o", "name": "First"}],
    }
