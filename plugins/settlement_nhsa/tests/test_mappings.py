"""The insurer's mapping set: its samples, and what the plugin's own checks say of their results."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hub import content
from hub.mapping import Context, Mappings, load
from hub.mapping.check import test_mapping as differences
from hub_settlement_nhsa import fields, rules

FOLDER = content.mappings() / "settlement-nhsa"
SAMPLES = FOLDER / "samples"
DOCUMENTS = sorted(
    path.stem for path in FOLDER.glob("*.yaml") if path.name[0] != "_" and ".conversation." not in path.name
)
EXPECTED = sorted(SAMPLES.glob("*.expected.json"))


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return load([content.mappings()])


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"), parse_float=Decimal)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_samples(name: str, mappings: Mappings) -> None:
    for result in differences(mappings.named(f"settlement-nhsa/{name}"), mappings):
        assert result.ok, result


@pytest.mark.parametrize(
    "path", [path for path in EXPECTED if "-reply" not in path.name], ids=lambda path: path.name
)
def test_every_expected_request_is_complete(path: Path) -> None:
    assert fields.check(path.read_bytes()) == []


@pytest.mark.parametrize(
    "path", [path for path in EXPECTED if "-reply" in path.name], ids=lambda path: path.name
)
def test_every_expected_settlement_adds_up(path: Path) -> None:
    for resource in read(path)["resources"]:
        assert rules.check(resource, {}) == []


def test_an_answer_and_a_question_tell_of_the_same_settlement(mappings: Mappings) -> None:
    """The ClaimResponse of a lost 2207A, found by 5203, has the id that the answer would have given it."""
    ids = []
    for name in ("2207A-reply", "5203-reply"):
        known = read(SAMPLES / f"{name}.context.json")
        near = {f"{one['resourceType']}/{one['id']}": one for one in known["resources"]}
        context = Context(
            system="insurer", hub_key=b"k", zone=ZoneInfo("Asia/Shanghai"), env=known | {"resolve": near.get}
        )
        mapped = mappings.named(f"settlement-nhsa/{name}").map(
            (SAMPLES / f"{name}.json").read_bytes(), context
        )
        ids.append([(one.type, one.id) for one in mapped.resources])
    assert ids[0] == ids[1]
