"""The insurer's mapping set: its samples, and what the plugin's own checks say of their results."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hub import content
from hub.errors import InvalidMessage
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


def rendered(name: str, mappings: Mappings, **claim: Any) -> Any:
    known = read(SAMPLES / f"{name}.context.json")
    near = {f"{one['resourceType']}/{one['id']}": one for one in known["resources"]}
    focus = {**read(SAMPLES / f"{name}.json"), **claim}
    focus = {key: value for key, value in focus.items() if value is not None}
    env = known | {"resolve": near.get, "focus": focus, "resource": focus}
    context = Context(system="insurer", hub_key=b"k", zone=ZoneInfo("Asia/Shanghai"), env=env)
    body = mappings.named(f"settlement-nhsa/{name}").render(focus, context).body
    return json.loads(body, parse_float=Decimal)


def money(value: str, currency: str = "CNY") -> dict[str, Any]:
    return {"value": Decimal(value), "currency": currency}


def test_a_claim_without_total_is_the_sum_of_its_fee_lines(mappings: Mappings) -> None:
    drug = {"coding": [{"code": "X"}]}
    items = [
        {"sequence": 1, "productOrService": drug, "net": money("30.00")},
        {"sequence": 2, "productOrService": drug, "quantity": {"value": 3}, "unitPrice": money("3.333333")},
        {"sequence": 3, "productOrService": drug, "unitPrice": money("8.50")},
    ]
    lines = rendered("2204", mappings, item=items, total=None)["input"]["feedetail"]
    assert [str(line["det_item_fee_sumamt"]) for line in lines] == ["30.00", "10.00", "8.50"]
    settled = rendered("2207A", mappings, item=items, total=None)["input"]["data"]
    assert str(settled["medfee_sumamt"]) == "48.50"


@pytest.mark.parametrize("place", ["item", "total"])
def test_another_currency_is_not_sent_as_if_it_were_ours(place: str, mappings: Mappings) -> None:
    item = {"sequence": 1, "net": money("30.00", "USD" if place == "item" else "CNY")}
    total = money("30.00", "USD" if place == "total" else "CNY")
    with pytest.raises(InvalidMessage, match="settles in CNY"):
        rendered("2204", mappings, item=[item], total=total)
