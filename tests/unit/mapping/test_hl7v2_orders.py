"""Orders: none vanishes, each is found again by its own numbers, and what ends one says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hub import r4
from hub.errors import InvalidMessage
from hub.mapping import BASE, Context, Mapped, Mappings

Make = Callable[..., Context]
Send = Callable[..., Mapped]

MSH = "MSH|^~\\&|HIS|H37050200001|HUB|HUB|20260201090000||OMP^O09^OMP_O09|MSG3|P|2.4|||||CHN|UNICODE UTF-8"
PID = "PID|1||PID0003^^^HIS^PI||测试丙"
IN1 = "IN1|1|390|370502"
PRICE = "FT1|1|||20260201||CG||||12|120.00|10.00"
AMLODIPINE = "XC08CAA000A000010100001^苯磺酸氨氯地平片^NHSA"
ASPIRIN = "XC09AAA999A001010100001^测试药甲^NHSA"


@pytest.fixture
def send(library: Mappings, context: Make) -> Send:
    """Map an OMP^O09 of some segments after MSH, PID and IN1; whatever comes out is valid R4."""

    def mapped(*segments: str, start: tuple[str, ...] = (PID, IN1)) -> Mapped:
        document = library.for_kind("hl7v2", "OMP^O09")
        assert document is not None
        found = document.map("\r".join([MSH, *start, *segments, ""]).encode(), context())
        for one in found.resources:
            r4.decode(one.body, one.type)
        return found

    return mapped


def drug(code: str) -> str:
    return f"RXO|{code}||||||||||12|盒"


def trees(mapped: Mapped, type_name: str) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in mapped.resources if one.type == type_name]


def tags(tree: dict[str, Any]) -> list[str]:
    return [tag["code"] for tag in tree.get("meta", {}).get("tag", ())]


def orders(mapped: Mapped) -> dict[str, str]:
    """Drug code → id."""
    return {
        tree["medicationCodeableConcept"]["coding"][0]["code"]: tree["id"]
        for tree in trees(mapped, "MedicationRequest")
    }


def test_a_price_of_the_second_order_alone_is_claimed(send: Send) -> None:
    claims = trees(
        send("ORC|NW|O1||RX3", drug(ASPIRIN), "ORC|NW|O2||RX3", drug(AMLODIPINE), PRICE),
        "Claim",
    )
    assert [claim["status"] for claim in claims] == ["active"]
    assert [item["informationSequence"] for item in claims[0]["item"]] == [[2]]
    assert claims[0]["total"] == {"value": 120.0, "currency": "CNY"}


@pytest.mark.parametrize("insurance", [(), ("IN1|1|390",)], ids=["no IN1", "IN1 without an insurer"])
@pytest.mark.parametrize("first", [True, False], ids=["FT1 first", "FT1 in the order"])
def test_charges_without_coverage_are_told_and_not_claimed(
    send: Send, insurance: tuple[str, ...], first: bool
) -> None:
    segments = ["ORC|NW|O1||RX3", drug(AMLODIPINE)]
    segments.insert(0 if first else 2, PRICE)
    found = send(*segments, start=(PID, *insurance))
    assert trees(found, "Claim") == []
    assert [tags(tree) for tree in trees(found, "MedicationRequest")] == [["charge-not-claimed"]]
    assert [(one.expression, one.diagnostics) for one in found.issues] == [
        ("IN1", "IN1: charges without coverage are not claimed")
    ]


def test_charges_of_nobody_known_are_told_and_not_claimed(
    send: Send, library: Mappings, context: Make
) -> None:
    document = library.named("hl7v2/prescription")
    lines = [MSH.replace("H37050200001", ""), PID, IN1, "ORC|NW|O1||RX3", drug(AMLODIPINE), PRICE, ""]
    found = document.map("\r".join(lines).encode(), context())
    assert trees(found, "Claim") == []
    assert [one.expression for one in found.issues] == ["MSH-4"]


@pytest.mark.parametrize(
    ("segments", "place"),
    [
        ((drug(AMLODIPINE),), "RXO"),
        ((drug(AMLODIPINE), "ORC|NW|O1||RX3", drug(ASPIRIN)), "RXO"),
        (("ORC|NW|O1||RX3",), "ORC"),
        (("ORC|NW|O1||RX3", drug(ASPIRIN), "ORC|XO|O2||RX3"), "ORC"),
        (("ORC|CA|||RX3",), "ORC-2.1, ORC-3.1"),
    ],
)
def test_an_order_that_cannot_be_one_is_refused(send: Send, segments: tuple[str, ...], place: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        send(*segments)
    assert caught.value.issues[0].expression == place


def test_a_second_patient_in_one_message_is_refused(send: Send) -> None:
    with pytest.raises(InvalidMessage) as caught:
        send(PID.replace("PID0003", "PID0004"), "ORC|NW|O1||RX3", drug(AMLODIPINE))
    assert caught.value.issues[0].expression == "PID[2]"


def test_a_second_patient_in_a_registration_is_refused(library: Mappings, context: Make) -> None:
    lines = [MSH.replace("OMP^O09^OMP_O09", "ADT^A04"), PID, PID.replace("PID0003", "PID0004"), ""]
    with pytest.raises(InvalidMessage) as caught:
        library.named("hl7v2/adt").map("\r".join(lines).encode(), context())
    assert caught.value.issues[0].expression == "PID[2]"


@pytest.mark.parametrize(
    "numbers", [("O1", "O2"), ("CF1", "CF1")], ids=["own numbers", "one number for both"]
)
@pytest.mark.parametrize("control", ["CA", "DC", "OC", "CR"])
def test_ending_the_second_line_ends_no_other(send: Send, numbers: tuple[str, str], control: str) -> None:
    first, second = (f"ORC|NW|{number}||RX3" for number in numbers)
    known = orders(send(first, drug(ASPIRIN), second, drug(AMLODIPINE)))
    ended = trees(send(second.replace("NW", control), drug(AMLODIPINE)), "MedicationRequest")
    assert [tree["id"] for tree in ended] == [known["XC08CAA000A000010100001"]]
    assert ended[0]["status"] == ("stopped" if control == "DC" else "cancelled")


def test_the_line_of_an_order_does_not_depend_on_its_place(send: Send) -> None:
    both = send("ORC|NW|O1||RX3", drug(ASPIRIN), "ORC|NW|O2||RX3", drug(AMLODIPINE))
    alone = send("ORC|XO|O2||RX3", drug(AMLODIPINE))
    lines = [tree["identifier"][0]["value"] for tree in trees(both, "MedicationRequest")]
    assert lines == ["RX3-O1", "RX3-O2"]
    assert trees(alone, "MedicationRequest")[0]["identifier"][0]["value"] == "RX3-O2"
    assert trees(alone, "MedicationRequest")[0]["id"] == trees(both, "MedicationRequest")[1]["id"]


def test_an_ended_order_is_told_not_to_touch_the_claim(send: Send) -> None:
    found = send("ORC|CA|O1||RX3||IP", drug(AMLODIPINE), PRICE)
    assert trees(found, "Claim") == []
    order = trees(found, "MedicationRequest")[0]
    assert (order["status"], tags(order)) == ("cancelled", ["claim-not-cancelled"])
    assert [one.diagnostics for one in found.issues] == [
        "ORC-1: the claim of this prescription is not cancelled by this message"
    ]


def test_an_ended_line_is_no_part_of_the_claim_of_the_others(send: Send) -> None:
    found = send("ORC|CA|O1||RX3", drug(ASPIRIN), PRICE, "ORC|NW|O2||RX3", drug(AMLODIPINE), PRICE)
    claims = trees(found, "Claim")
    assert [claim["status"] for claim in claims] == ["active"]
    known = orders(found)
    links = [one["valueReference"]["reference"] for one in claims[0]["supportingInfo"]]
    assert links == [f"MedicationRequest/{known['XC08CAA000A000010100001']}"]
    assert [item["informationSequence"] for item in claims[0]["item"]] == [[1]]
    assert claims[0]["total"]["value"] == 120.0


@pytest.mark.parametrize(
    ("order", "number"), [("ORC|CA|O1|F1", "placer-order|O1"), ("ORC|CR||F,1", "filler-order|F\\,1")]
)
def test_an_order_that_ends_by_its_number_alone_is_to_be_found(send: Send, order: str, number: str) -> None:
    found = send(order)
    assert trees(found, "MedicationRequest") == []
    patient = trees(found, "Patient")[0]["id"]
    change = found.changes[0]
    assert (change.type, change.where) == ("MedicationRequest", "ORC-2.1, ORC-3.1")
    assert dict(change.criteria) == {
        "identifier": f"{BASE}/sid/H37050200001/{number}",
        "subject": f"Patient/{patient}",
    }
    assert change.content["status"] == "cancelled"
    assert [tag["code"] for tag in change.content["meta"]["tag"]] == ["claim-not-cancelled"]
    assert len(found.issues) == 1


def test_the_same_numbers_of_another_patient_are_other_resources(send: Send) -> None:
    segments = ("ORC|NW|O1||RX3", drug(AMLODIPINE), PRICE)
    mine, other = send(*segments), send(*segments, start=(PID.replace("PID0003", "PID0004"), IN1))
    for type_name in ("MedicationRequest", "Claim"):
        assert trees(mine, type_name)[0]["id"] != trees(other, type_name)[0]["id"]


def test_one_order_number_in_two_prescriptions_is_two_orders(send: Send) -> None:
    ids = {
        trees(send(f"ORC|NW|1||{rx}", drug(AMLODIPINE)), "MedicationRequest")[0]["id"] for rx in ("A", "B")
    }
    assert len(ids) == 2


def test_charges_in_two_currencies_have_no_total_and_say_so(send: Send) -> None:
    other = "FT1|2|||20260201||CG||||1|5.00^USD|5.00^USD"
    found = send("ORC|NW|O1||RX3", drug(AMLODIPINE), PRICE, other)
    claim = trees(found, "Claim")[0]
    assert "total" not in claim
    assert tags(claim) == ["several-currencies"]
    assert [one.expression for one in found.issues] == ["FT1-11"]


def test_the_name_of_an_unknown_coding_system_is_kept_as_a_uri(send: Send) -> None:
    system = f"{BASE}/sid/H37050200001/code-system/LOCAL"
    found = send("ORC|NW|O1||RX3", "RXO|ABC123^神药^LOCAL", "RXR|XX^敷^MY OWN")
    order = trees(found, "MedicationRequest")[0]
    assert order["medicationCodeableConcept"]["coding"] == [
        {"system": system, "code": "ABC123", "display": "神药"}
    ]
    route = order["dosageInstruction"][0]["route"]["coding"]
    assert route == [{"system": f"{BASE}/sid/H37050200001/code-system/MY-OWN", "code": "XX", "display": "敷"}]
    assert ("nhsa-drug", system, "ABC123") in found.unmapped
    assert any(system in issue.diagnostics for issue in found.issues)
    assert not any("ABC123" in issue.diagnostics for issue in found.issues)


def test_a_diagnosis_keeps_its_unknown_coding_system_too(send: Send) -> None:
    found = send("DG1|1||A1^某病^OURS", "ORC|NW|O1||RX3", drug(AMLODIPINE))
    coding = trees(found, "Condition")[0]["code"]["coding"]
    assert coding == [
        {"system": f"{BASE}/sid/H37050200001/code-system/OURS", "code": "A1", "display": "某病"}
    ]
    assert ("code-systems", "", "OURS") in found.unmapped


@pytest.mark.parametrize("amount", ["1.2E2", "１２０", "1,200", "12 0", "--1", "+", "."])
def test_an_amount_that_is_no_number_of_hl7_is_refused(send: Send, amount: str) -> None:
    with pytest.raises(InvalidMessage, match="expected a number") as caught:
        send("ORC|NW|O1||RX3", drug(AMLODIPINE), PRICE.replace("120.00", amount))
    issue = caught.value.issues[0]
    assert (issue.code, issue.expression) == ("value", "FT1-11.1")
    assert amount == "." or amount not in issue.diagnostics


@pytest.mark.parametrize(
    ("numbers", "types"),
    [
        ("", "none"),
        ("370502195203140019^^^CHN^NNCHN", "the types NNCHN"),
        ("000^^^HIS^PI~1^^^HIS^测试", "the types PI, none"),
    ],
)
def test_a_patient_without_a_hospital_number_says_what_was_there(
    send: Send, numbers: str, types: str
) -> None:
    with pytest.raises(InvalidMessage) as caught:
        send(start=(PID.replace("PID0003^^^HIS^PI", numbers),))
    assert caught.value.issues[0].diagnostics == (
        "PID-3: Patient without a usable identifier: expected a hospital number (type PI or MR) "
        f"that is no placeholder, found {types}"
    )
    assert (caught.value.issues[0].code, caught.value.issues[0].expression) == ("required", "PID-3")


@pytest.mark.parametrize("text", ["测\x01试", "测\\X01\\试"], ids=["as it is", "escaped"])
def test_a_control_character_has_a_position(send: Send, text: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        send("ORC|NW|O1||RX3", drug(AMLODIPINE), start=(PID.replace("测试丙", text),))
    issue = caught.value.issues[0]
    assert (issue.code, issue.expression) == ("value", "PID-5.1")
    assert issue.diagnostics == "PID-5.1: a text must not contain control characters"


def test_control_characters_that_go_nowhere_refuse_nothing(send: Send) -> None:
    assert send("ORC|NW|O1||RX3", drug(AMLODIPINE), "NTE|1||a\x01b").resources
