"""hub.models: typed models of R4 resources, from which nothing comes back rewritten."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from hub import models, r4
from hub.errors import InvalidResource, NotSupported

CLAIM = (
    b'{"resourceType":"Claim","id":"c1","status":"active","type":{"text":"x"},"use":"claim",'
    b'"patient":{"reference":"Patient/1"},"created":"2026-02-01T08:00:00.120+08:00",'
    b'"provider":{"display":"y"},"priority":{"text":"n"},"insurance":[{"sequence":1,"focal":true,'
    b'"coverage":{"reference":"Coverage/1"}}],"total":{"value":105.00,"currency":"CNY"},'
    b'"item":[{"sequence":1,"productOrService":{"text":"a"},"net":{"value":1e2,"currency":"CNY"}},'
    b'{"sequence":2,"productOrService":{"text":"b"},"net":{"value":5.00,"currency":"CNY"}}]}'
)


def test_what_is_not_touched_keeps_its_literals() -> None:
    claim = models.read(CLAIM)
    assert claim.total.value == Decimal("105.00")
    built = models.build(claim)
    assert r4.tree(built) == r4.tree(CLAIM)
    for literal in (b":105.00,", b":1e2,", b'"2026-02-01T08:00:00.120+08:00"'):
        assert literal in built


def test_a_change_changes_only_itself() -> None:
    claim = models.read(CLAIM)
    claim.status = "cancelled"
    claim.item = claim.item[1:]
    claim.total.value = Decimal("5.00")
    built = models.build(claim)
    assert b'"status":"cancelled"' in built
    assert b'"total":{"value":5.00,' in built
    assert b'"net":{"value":5.00,' in built and b"1e2" not in built


def test_a_moved_element_takes_its_literals_along() -> None:
    claim = models.read(CLAIM)
    claim.item = [claim.item[1], claim.item[0]]
    assert b'"productOrService":{"text":"a"},"net":{"value":1e2,' in models.build(claim)


def test_a_resource_is_built_from_typed_values() -> None:
    observation = models.model("Observation")(
        status="final",
        code={"text": "systolic"},
        issued=datetime(2026, 2, 1, 8, 0, 0, 120_000, tzinfo=UTC),
        valueQuantity={"value": Decimal("120.50"), "unit": "mmHg"},
    )
    built = models.build(observation)
    assert b'"value":120.50' in built
    assert b'"issued":"2026-02-01T08:00:00.120Z"' in built
    assert built.startswith(b'{"resourceType":"Observation"')


def test_a_datetime_without_a_zone_is_refused() -> None:
    patient = models.model("Observation").model_construct(
        status="final", code={"text": "x"}, effectiveDateTime=datetime(2026, 2, 1, 8, 0)
    )
    with pytest.raises(InvalidResource, match="zone"):
        models.build(patient)


def test_the_types_without_a_model_are_refused_by_name_with_the_reason() -> None:
    assert len(models.REFUSED) == 20
    for name in models.REFUSED:
        with pytest.raises(NotSupported, match=f"{name} has no typed model: R4B"):
            models.model(name)


def test_every_other_type_has_a_model_with_the_elements_of_r4() -> None:
    for name in r4.TYPES:
        if name in models.REFUSED:
            continue
        theirs = {field.alias or key for key, field in models.model(name).model_fields.items()}
        for member, element in r4.members(name).items():
            kinds = element.types if element.choice else ()
            names = [member + kind[0].upper() + kind[1:] for kind in kinds] or [member]
            missing = [one for one in names if one not in theirs]
            assert not missing, f"{name}: {missing}"


def test_what_is_not_valid_is_refused_with_its_place() -> None:
    with pytest.raises(InvalidResource) as refused:
        models.read(b'{"resourceType":"Patient","gender":"x"}')
    assert refused.value.issues[0].expression == "Patient.gender"


@pytest.mark.parametrize(
    "body", [b"", b"x", b"[]", b"{}", b'"Patient"', b'{"resourceType":5}', b'{"a":"\xff"}']
)
def test_what_is_no_resource_at_all_is_refused_like_one_that_is_not_valid(body: bytes) -> None:
    with pytest.raises((InvalidResource, NotSupported), match=r"resource"):
        models.read(body)


@pytest.mark.skipif("HUB_TEST_DATA" not in os.environ, reason="HUB_TEST_DATA names no folder")
def test_official_examples_come_back_as_they_were() -> None:
    folder = Path(os.environ["HUB_TEST_DATA"]) / "fhir-r4" / "examples"
    compared = 0
    for path in sorted(folder.glob("*.json")):
        body = path.read_bytes()
        if json.loads(body)["resourceType"] in models.REFUSED:
            continue
        try:
            r4.decode(body)
            found = models.read(body)
        except InvalidResource:
            continue
        assert r4.tree(models.build(found)) == r4.tree(body), path.name
        compared += 1
    assert compared > 250
