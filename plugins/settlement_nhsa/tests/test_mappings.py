"""Every mapping of the insurer's set against its samples, whose results were written from the interface."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hub import content, r4
from hub.mapping import Context, Mappings, load
from hub.settings import DEVELOPMENT_KEY
from hub_settlement_nhsa import fields, rules

FOLDER = content.mappings() / "settlement-nhsa"
CASES = sorted((FOLDER / "samples").glob("*.json"))
CASES = [path for path in CASES if not path.stem.endswith((".expected", ".context"))]


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return load([content.mappings()])


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"), parse_float=Decimal)


def context(path: Path) -> Context:
    env = read(path.with_suffix(".context.json"))
    key = DEVELOPMENT_KEY.encode()
    env["resource"] = env.get("focus") or read(path)
    return Context(system=env.pop("system"), hub_key=key, zone=ZoneInfo("Asia/Shanghai"), env=env)


def literal(value: Any) -> Any:
    """Numbers by their digits: 4.0 is not 4.00."""
    if isinstance(value, dict):
        return {name: literal(one) for name, one in value.items()}
    if isinstance(value, list):
        return [literal(one) for one in value]
    return f"number {value}" if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_sample(path: Path, mappings: Mappings) -> None:
    document = mappings.named(f"settlement-nhsa/{path.stem.partition('.')[0]}")
    expected = read(path.with_suffix(".expected.json"))
    if document.document.direction == "out":
        rendered = document.render(read(path), context(path))
        assert literal(json.loads(rendered.body, parse_float=Decimal)) == literal(expected)
        assert rendered.business_id == expected["msgid"]
        assert fields.check(rendered.body) == []
        return
    mapped = document.map(path.read_bytes(), context(path))
    made = [json.loads(one.body, parse_float=Decimal) for one in mapped.resources]
    assert literal(made) == literal(expected["resources"])
    assert literal(mapped.facts) == literal(expected["facts"])
    assert [issue.diagnostics for issue in mapped.issues] == expected["issues"]
    for one in mapped.resources:
        r4.decode(one.body, one.type)
        assert rules.check(r4.tree(one.body), {}) == []


def test_every_document_has_a_sample() -> None:
    documents = {
        path.stem for path in FOLDER.glob("*.yaml") if path.name[0] != "_" and "conversation" not in path.name
    }
    assert documents == {path.stem.partition(".")[0] for path in CASES}
