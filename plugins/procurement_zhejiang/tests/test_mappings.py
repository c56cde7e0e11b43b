"""Every mapping of the platform's set against its samples, whose results were written from the interface."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hub import content, r4
from hub.clock import to_micros
from hub.errors import InvalidMessage
from hub.mapping import Context, Mappings, load
from hub.settings import DEVELOPMENT_KEY
from hub_procurement_zhejiang.simulated.rows import strictly

FOLDER = content.mappings() / "procurement-zhejiang"
SAMPLES = FOLDER / "samples"
CASES = sorted(path for path in SAMPLES.glob("*.json") if not path.stem.endswith((".expected", ".context")))


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return load([content.mappings()])


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"), parse_float=Decimal)


def context(path: Path, **env: Any) -> Context:
    told = read(path.with_suffix(".context.json")) | env
    told["resource"] = told.get("focus") or read(path)
    return Context(
        system=told.pop("system"), hub_key=DEVELOPMENT_KEY.encode(), zone=ZoneInfo("Asia/Shanghai"), env=told
    )


def literal(value: Any) -> Any:
    """Numbers by their digits: 4.0 is not 4.00."""
    if isinstance(value, dict):
        return {name: literal(one) for name, one in value.items()}
    if isinstance(value, list):
        return [literal(one) for one in value]
    return f"number {value}" if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_sample(path: Path, mappings: Mappings) -> None:
    document = mappings.named(f"procurement-zhejiang/{path.stem.partition('.')[0]}")
    expected = read(path.with_suffix(".expected.json"))
    if document.document.direction == "out":
        rendered = document.render(read(path), context(path))
        assert literal(json.loads(rendered.body, parse_float=Decimal)) == literal(expected)
        strictly(expected["infno"], expected["input"]["data"])
        assert rendered.kind == expected["infno"]
        return
    mapped = document.map(path.read_bytes(), context(path))
    made = [json.loads(one.body, parse_float=Decimal) for one in mapped.resources]
    assert literal(made) == literal(expected["resources"])
    assert literal(mapped.facts) == literal(expected["facts"])
    assert [issue.diagnostics for issue in mapped.issues] == expected["issues"]
    for one in mapped.resources:
        r4.decode(one.body, one.type)


def test_every_document_has_a_sample() -> None:
    documents = {
        path.stem for path in FOLDER.glob("*.yaml") if path.name[0] != "_" and "conversation" not in path.name
    }
    assert documents == {path.stem.partition(".")[0] for path in CASES}


def test_what_goes_beside_the_body(mappings: Mappings) -> None:
    plan = SAMPLES / "ZJ9653.json"
    rendered = mappings.named("procurement-zhejiang/ZJ9653").render(read(plan), context(plan))
    assert rendered.business_id == "HUB-PL-K7QM2XWZ4TBD/7"
    receipt = SAMPLES / "ZJ9658.json"
    rendered = mappings.named("procurement-zhejiang/ZJ9658").render(read(receipt), context(receipt))
    assert rendered.headers == {"ord-detl-id": "1900000000000000411"}
    assert rendered.business_id == "1900000000000000501"


def catalogue(**changes: Any) -> dict[str, Any]:
    answer: dict[str, Any] = read(SAMPLES / "ZJ9652-reply.json")
    rows = answer["output"]["data"]["dataList"]
    rows[0] |= changes
    return answer


@pytest.mark.parametrize(
    ("answer", "facts", "why"),
    [
        (catalogue(prodCode="XC09AAA999A001010100009"), {}, "not in the 常用目录"),
        (catalogue(hospListId=None), {}, "not in the 常用目录"),
        (catalogue(prodPac="瓶"), {}, "only in another package"),
        (catalogue(), {"rows": {"hospListId": "1900000000000000101"}}, "two lines want it"),
    ],
)
def test_a_drug_that_cannot_be_ordered_stops_the_conversation(
    answer: dict[str, Any], facts: dict[str, Any], why: str, mappings: Mappings
) -> None:
    path = SAMPLES / "ZJ9652-reply.json"
    document = mappings.named("procurement-zhejiang/ZJ9652-reply")
    with pytest.raises(InvalidMessage, match=why):
        document.map(answer, context(path, facts=facts))


def test_a_drug_that_is_there_twice_stops_it_too(mappings: Mappings) -> None:
    answer = catalogue()
    rows = answer["output"]["data"]["dataList"]
    rows[1] |= {"prodCode": rows[0]["prodCode"]}
    with pytest.raises(InvalidMessage, match="several times"):
        mappings.named("procurement-zhejiang/ZJ9652-reply").map(
            answer, context(SAMPLES / "ZJ9652-reply.json")
        )


@pytest.mark.parametrize(
    ("member", "value", "why"),
    [("output", [], "no output received-quantity"), ("focus", {}, "is no shipment")],
)
def test_a_receipt_without_shipment_or_count_is_not_sent(
    member: str, value: Any, why: str, mappings: Mappings
) -> None:
    path = SAMPLES / "ZJ9658.json"
    task = read(path) | {member: value}
    with pytest.raises(InvalidMessage, match=why):
        mappings.named("procurement-zhejiang/ZJ9658").render(task, context(path, focus=task))


@pytest.mark.parametrize(
    ("case", "moment"),
    [
        ("ZJ9671", "2026-02-03T09:00:00+08:00"),
        ("ZJ9671.received", "2026-02-04T15:20:00+08:00"),
        ("ZJ9671.void", "2026-02-05T10:00:00+08:00"),
    ],
)
def test_an_older_state_does_not_replace_a_newer_one(case: str, moment: str, mappings: Mappings) -> None:
    path = SAMPLES / f"{case}.json"
    mapped = mappings.named("procurement-zhejiang/ZJ9671").map(path.read_bytes(), context(path))
    assert mapped.event_time == to_micros(datetime.fromisoformat(moment))
