"""The mapping documents of HL7 v2: samples, both ways of compiling, what is wrong with messages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub import content, r4
from hub.errors import InvalidMessage
from hub.mapping import BASE, Context, Mapped, Mapping, Mappings, check, load
from hub.mapping.compiler import compile_document
from hub.mapping.coverage import ignored_paths, unread

Make = Callable[..., Context]

FOLDER = content.mappings() / "hl7v2"
SAMPLES = sorted((FOLDER / "samples").glob("*.hl7"))
PRESCRIPTION = (FOLDER / "samples" / "prescription.hl7").read_bytes()
REGISTRATION = (FOLDER / "samples" / "adt.hl7").read_bytes()


def trees(mapped: Mapped, type_name: str) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in mapped.resources if one.type == type_name]


@pytest.fixture(scope="session")
def order(library: Mappings) -> Mapping:
    found = library.for_kind("hl7v2", "OMP^O09")
    assert found is not None
    return found


@pytest.mark.parametrize(
    "result", check.test([content.mappings()], only="hl7v2"), ids=lambda one: f"{one.mapping} {one.sample}"
)
def test_samples(result: check.Result) -> None:
    assert result.differences == ()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_plain_calls_and_the_fhirpath_engine_agree(sample: Path, context: Make) -> None:
    name = f"hl7v2/{sample.name.partition('.')[0]}"
    fast, slow = load([content.mappings()]).named(name), load([content.mappings()]).named(name)
    slow._compiled[BASE] = compile_document(slow.document, base=BASE, fast=False)
    assert ".first(" not in slow.compiled().text
    assert outcome(fast, sample, context()) == outcome(slow, sample, context())


def outcome(mapping: Mapping, sample: Path, context: Context) -> Any:
    try:
        mapped = mapping.map(sample.read_bytes(), context)
    except InvalidMessage as error:
        return error.issues
    return (
        [one.body for one in mapped.resources],
        mapped.issues,
        mapped.unmapped,
        mapped.event_time,
        mapped.facts,
    )


@pytest.mark.parametrize("kind", ["A01", "A02", "A03", "A04", "A05", "A08", "A28", "A31"])
def test_registrations_are_understood(library: Mappings, context: Make, kind: str) -> None:
    mapping = library.for_kind("hl7v2", f"ADT^{kind}")
    assert mapping is not None
    mapped = mapping.map(REGISTRATION.replace(b"ADT^A04", f"ADT^{kind}".encode()), context())
    for one in mapped.resources:
        r4.decode(one.body, one.type)
    assert len(trees(mapped, "Encounter")) == (0 if kind in ("A28", "A31") else 1)
    assert mapped.kind == f"ADT^{kind}"


def test_registration_and_prescription_speak_of_the_same_things(
    library: Mappings, order: Mapping, context: Make
) -> None:
    adt = library.for_kind("hl7v2", "ADT^A04")
    assert adt is not None
    known = {(one.type, one.id) for one in adt.map(REGISTRATION, context()).resources}
    mapped = order.map(PRESCRIPTION, context())
    assert {
        (one.type, one.id) for one in mapped.resources if one.type not in ("MedicationRequest", "Claim")
    } == known


def test_a_prescription_repeats_the_patient_and_does_not_overrule_the_registration(
    order: Mapping, context: Make
) -> None:
    keep = {one.type for one in order.map(PRESCRIPTION, context()).resources if one.keep}
    assert keep == {"Patient", "Encounter", "Condition"}


def test_the_same_message_gives_the_same_bytes_and_another_channel_other_ids(
    order: Mapping, context: Make
) -> None:
    again = [order.map(PRESCRIPTION, context()) for _ in range(2)]
    assert again[0].resources == again[1].resources
    other = Context(system="other", hub_key=b"key", zone=context().zone)
    assert not {one.id for one in again[0].resources} & {
        one.id for one in order.map(PRESCRIPTION, other).resources
    }


def test_the_claim_is_known_by_the_prescription_number(order: Mapping, context: Make) -> None:
    first = order.map(PRESCRIPTION, context())
    later = order.map(PRESCRIPTION.replace(b"MSG2", b"MSG9").replace(b"120.00", b"130.00"), context())
    claims = [next(one for one in mapped.resources if one.type == "Claim") for mapped in (first, later)]
    assert claims[0].id == claims[1].id
    assert b'"total":{"value":130.00,"currency":"CNY"}' in claims[1].body


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"|12|120.00^CNY|10.00^CNY", b"|12"), (b"IN1|", b"ZIN|"), (b"H37050200001|HUB", b"|HUB")],
    ids=["no price", "no insurance", "no facility"],
)
def test_without_price_insurance_or_institution_there_is_no_claim(
    order: Mapping, context: Make, old: bytes, new: bytes
) -> None:
    mapped = order.map(PRESCRIPTION.replace(old, new), context())
    assert trees(mapped, "MedicationRequest")
    assert not trees(mapped, "Claim")


def test_two_prescriptions_in_one_message_are_two_claims(order: Mapping, context: Make) -> None:
    group = PRESCRIPTION[PRESCRIPTION.index(b"ORC|") :]
    second = (
        group.replace(b"ORD0001", b"ORD0002").replace(b"RX20260201001", b"RX2").replace(b"120.00", b"7.00")
    )
    claims = trees(order.map(PRESCRIPTION + second, context()), "Claim")
    assert [claim["total"]["value"] for claim in claims] == [120.0, 7.0]
    assert [len(claim["item"]) for claim in claims] == [1, 1]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        (b"||CG|", b"||CD|", "FT1-6"),
        (b"||CG|", b"||CR|", "FT1-6"),
        (b"||CG|", b"||PY|", "FT1-6"),
        (b"|120.00^CNY", b"|-120.00^CNY", "FT1-10, FT1-11.1, FT1-12.1"),
        (b"|12|120.00", b"|-12|120.00", "FT1-10, FT1-11.1, FT1-12.1"),
        (b"|120.00^CNY|10.00", b"||-10.00", "FT1-10, FT1-11.1, FT1-12.1"),
    ],
)
def test_what_gives_money_back_is_not_guessed_into_a_claim(
    order: Mapping, context: Make, old: bytes, new: bytes, place: str
) -> None:
    assert PRESCRIPTION.count(old) == 1
    with pytest.raises(InvalidMessage) as caught:
        order.map(PRESCRIPTION.replace(old, new), context())
    assert caught.value.issues[0].expression == place


def test_a_charge_without_a_type_is_a_charge(order: Mapping, context: Make) -> None:
    claim = trees(order.map(PRESCRIPTION.replace(b"||CG|", b"|||"), context()), "Claim")[0]
    assert [item["net"] for item in claim["item"]] == [{"value": 120.0, "currency": "CNY"}]


def test_a_charge_before_the_first_of_several_prescriptions_is_not_guessed(
    order: Mapping, context: Make
) -> None:
    start = PRESCRIPTION.index(b"ORC|")
    charge = PRESCRIPTION[PRESCRIPTION.index(b"FT1|") :]
    group = PRESCRIPTION[start : PRESCRIPTION.index(b"FT1|")]
    lead = PRESCRIPTION[:start] + charge
    again = group.replace(b"ORD0001", b"ORD0002")
    claim = trees(order.map(lead + group + again, context()), "Claim")[0]
    assert len(claim["supportingInfo"]) == 2
    assert ["informationSequence" in item for item in claim["item"]] == [False]
    with pytest.raises(InvalidMessage, match="before the first of several prescriptions") as caught:
        order.map(lead + group + again.replace(b"RX20260201001", b"RX2"), context())
    assert "FT1" in caught.value.issues[0].diagnostics


def test_two_prescriptions_under_one_order_number_link_their_own_orders(
    order: Mapping, context: Make
) -> None:
    group = PRESCRIPTION[PRESCRIPTION.index(b"ORC|") :]
    other = group.replace(b"RX20260201001", b"RX2")
    mapped = order.map(PRESCRIPTION + other + group, context())
    orders = [f"MedicationRequest/{one.id}" for one in mapped.resources if one.type == "MedicationRequest"]
    links = [
        [info["valueReference"]["reference"] for info in claim["supportingInfo"]]
        for claim in trees(mapped, "Claim")
    ]
    assert links == [[orders[0], orders[2]], [orders[1]]]


def test_amounts_in_two_currencies_have_no_sum(order: Mapping, context: Make) -> None:
    other = b"FT1|2|||20260201||CG|X^Y|||1|5.00^USD|5.00^USD\r"
    claim = trees(order.map(PRESCRIPTION + other, context()), "Claim")[0]
    assert [item["net"]["currency"] for item in claim["item"]] == ["CNY", "USD"]
    assert [item["unitPrice"]["currency"] for item in claim["item"]] == ["CNY", "USD"]
    assert "total" not in claim


@pytest.mark.parametrize(
    "numbers",
    [b"", b"0000000^^^HIS^PI", b"370502195203140019^^^CHN^NNCHN", b"\xe6\x97\xa0^^^HIS^PI~UNKNOWN^^^HIS^MR"],
    ids=["none", "placeholder", "only the id card", "two placeholders"],
)
def test_without_a_number_of_the_hospital_nobody_is_stored(
    order: Mapping, context: Make, numbers: bytes
) -> None:
    start, end = PRESCRIPTION.index(b"PID0001"), PRESCRIPTION.index(b"||\xe6\xb5\x8b\xe8\xaf\x95\xe7\x94\xb2")
    with pytest.raises(InvalidMessage, match="Patient without a usable identifier") as caught:
        order.map(PRESCRIPTION[:start] + numbers + PRESCRIPTION[end:], context())
    assert caught.value.issues[0].expression == "PID-3"


def test_the_first_number_that_is_usable_identifies(order: Mapping, context: Make) -> None:
    ids = [
        next(one.id for one in order.map(body, context()).resources if one.type == "Patient")
        for body in (
            PRESCRIPTION,
            PRESCRIPTION.replace(b"PID0001^^^HIS^PI", b"0000^^^HIS^PI~PID0001^^^HIS^MR"),
            PRESCRIPTION.replace(b"PID0001^^^HIS^PI", b"0000~PID0001"),
        )
    ]
    assert len(set(ids)) == 1


@pytest.mark.parametrize(
    ("drug", "warned"),
    [(b"XC08CAA000A000010100001", False), (b"XC09CAA001A001010100009", True), (b"ASPIRIN", True)],
)
def test_an_unknown_drug_is_stored_with_its_own_coding(
    order: Mapping, context: Make, drug: bytes, warned: bool
) -> None:
    mapped = order.map(PRESCRIPTION.replace(b"XC08CAA000A000010100001", drug), context())
    coding = trees(mapped, "MedicationRequest")[0]["medicationCodeableConcept"]["coding"][0]
    assert coding == {
        "system": f"{BASE}/CodeSystem/nhsa-drug",
        "code": drug.decode(),
        "display": "苯磺酸氨氯地平片",
    }
    assert mapped.unmapped == (
        [("nhsa-drug", f"{BASE}/CodeSystem/nhsa-drug", drug.decode())] if warned else []
    )
    assert bool(mapped.issues) == warned


def test_nothing_is_dropped_in_silence(order: Mapping, context: Make) -> None:
    assert unread(order, PRESCRIPTION, context()) == []
    more = PRESCRIPTION + b"ZHS|1|own^content\rNTE|1||note\r"
    assert unread(order, more, context()) == ["ZHS-1.1", "ZHS-2.1", "ZHS-2.2", "NTE-1.1", "NTE-3.1"]


def test_a_segment_that_nobody_reads_is_told_once(order: Mapping, context: Make) -> None:
    assert order.map(PRESCRIPTION, context()).issues == []
    mapped = order.map(PRESCRIPTION + b"NTE|1||a\rZHS|1\rNTE|2||b\r", context())
    assert [(one.severity, one.code, one.diagnostics, one.expression) for one in mapped.issues] == [
        ("information", "informational", "segment NTE is not mapped by hl7v2/prescription", "NTE"),
        ("information", "informational", "segment ZHS is not mapped by hl7v2/prescription", "ZHS"),
    ]
    assert not [one for one in mapped.resources if b"data-quality" in one.body]


def test_map_run_names_segments_and_their_fields(order: Mapping, tmp_path: Path) -> None:
    file = tmp_path / "message.hl7"
    file.write_bytes(PRESCRIPTION + b"NK1|1|X\r")
    outcome = check.run(order, file)["entry"][-1]["resource"]
    assert [issue["diagnostics"] for issue in outcome["issue"]] == [
        "segment NK1 is not mapped by hl7v2/prescription",
        "NK1-1.1: neither mapped nor ignored",
        "NK1-2.1: neither mapped nor ignored",
    ]


@pytest.mark.parametrize("name", ["hl7v2/adt", "hl7v2/prescription"])
def test_what_is_ignored_has_a_reason(library: Mappings, name: str) -> None:
    assert ignored_paths(library.named(name).document.root)


def test_map_run_prints_a_bundle(order: Mapping) -> None:
    found = check.run(order, FOLDER / "samples" / "prescription.two-lines.gb18030.hl7")
    assert found["resourceType"] == "Bundle"
    assert [entry["resource"]["resourceType"] for entry in found["entry"]][-2:] == [
        "Claim",
        "OperationOutcome",
    ]


@pytest.mark.parametrize("length", range(0, len(PRESCRIPTION), 7))
def test_a_message_cut_anywhere_is_mapped_or_refused(order: Mapping, context: Make, length: int) -> None:
    try:
        order.map(PRESCRIPTION[:length], context())
    except InvalidMessage as error:
        assert error.issues[0].diagnostics
