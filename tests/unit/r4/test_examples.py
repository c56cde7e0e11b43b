"""HL7's published examples (4.0.1): literal round trips, known faults, and agreement of the two passes."""
# ruff: noqa: E501 (tables)

from __future__ import annotations

import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hub import r4
from hub.errors import InvalidResource
from tests.unit.r4.conftest import EXAMPLES
from tests.unit.r4.test_codec import literal

FILES = sorted(EXAMPLES.glob("*.json"))
FAULTY = {
    "MedicationRequest-medrx0301": "MedicationRequest.dispenseRequest.performer.reference",
    "Observation-clinical-gender": "Observation.performer[0].reference",
}
"""Published with a reference to a type that the element does not allow."""

WRONG: list[Any] = [
    None, True, 1, -1, 1.5, "", " ", "x", "a b", "2020-02-30", "http://x y", [], {}, [None], ["x"], [{}], [[]],
    {"x": 1}, {"id": "a"}, {"reference": "Basic/1"}, {"reference": "http://a/fhir/Basic/1"}, "\x00", "\u3000", 2**40,
    {"url": "u"}, {"extension": [{"url": "u", "valueString": "s"}]}, "id" * 40,
]  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_literal_comes_back(path: Path) -> None:
    body = path.read_bytes()
    if path.stem in FAULTY:
        with pytest.raises(InvalidResource) as refused:
            r4.decode(body)
        assert [issue.expression for issue in refused.value.issues] == [FAULTY[path.stem]]
        return
    resource = r4.decode(body, strict_keys=True)
    assert literal(r4.encode(resource)) == literal(body)
    assert literal(r4.untree(r4.tree(body))) == literal(body)
    spliced = literal(r4.splice(body, id="other", meta={"versionId": "7"}))
    assert {k: v for k, v in spliced.items() if k not in ("id", "meta")} == {
        k: v for k, v in literal(body).items() if k not in ("id", "meta")
    }
    keys = r4.keys(resource, zone=ZoneInfo("Asia/Shanghai"), base_url="http://hub.test/fhir")
    assert {number for number, _ in keys.equal} <= {r4.CONTAINED, *keys.present}


def places(node: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything in a tree."""
    pairs = (
        list(node.items())
        if isinstance(node, dict)
        else list(enumerate(node))
        if isinstance(node, list)
        else []
    )
    return [(node, key) for key, _ in pairs] + [place for _, value in pairs for place in places(value)]


def spoil(tree: Any, chance: random.Random) -> None:
    """Change one thing somewhere."""
    container, key = chance.choice(places(tree))
    kind = chance.random()
    if kind < 0.6:
        container[key] = chance.choice(WRONG)
    elif kind < 0.75:
        del container[key]
    elif isinstance(container, dict):
        name = chance.choice(
            ["_" + str(key), "value", "valueString", "valueDecimal", "extension", "foo", "contained"]
        )
        container[name] = chance.choice(WRONG)


@pytest.mark.parametrize("seed", range(5))
def test_the_fast_and_the_slow_pass_agree(seed: int) -> None:
    chance = random.Random(seed)
    small = [path for path in FILES if path.stat().st_size < 12_000]
    refusals = 0
    for _ in range(300):
        tree = json.loads(chance.choice(small).read_bytes(), parse_float=Decimal)
        spoil(tree, chance)
        body = json.dumps(tree, default=float).encode()
        expected = [issue for issue in r4.collect(body) if issue.severity in ("error", "fatal")]
        try:
            r4.decode(body)
            found: list[Any] = []
        except InvalidResource as refused:
            found = list(refused.issues)
        assert found == expected, body
        refusals += bool(found)
    assert refusals > 150
