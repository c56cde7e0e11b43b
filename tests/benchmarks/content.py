"""Messages of an invented hospital, as many as wanted and each one different.

A registration (ADT^A04) per person, then orders (OMP^O09) for these persons: the drug, its price and the
diagnosis, shaped like the samples of the hub's HL7 v2 adapter. Only the order is new in an order: patient,
visit, doctor, hospital, insurer and coverage were there before.
"""

from __future__ import annotations

from collections.abc import Iterator

from hub.testing.people import invented

_MSH = "MSH|^~\\&|HIS|H37050200001|HUB|HUB|20260201{time}||{kind}|{id}|P|2.4|||||CHN|UNICODE UTF-8\r"
_INSURANCE = (
    "IN1|1|390^城乡居民基本医疗保险|370502^东营区医疗保障局|东营区医疗保障局"
    "||||||||20260101|20261231|||||||||||||||||||||||{card}\r"
)
_REGISTRATION = (
    "EVN|A04|20260201080000\r"
    "PID|1||{number}^^^HIS^PI~{card}^^^CHN^NNCHN||{name}||{birth}|{gender}|||"
    "东营市东营区史口镇^^东营市^山东省^257082^CHN||13800000000\r"
    "PV1|1|O|A02^^^H37050200001||||D37050200000{doctor}^测试医师{doctor}||||||||||||{visit}^^^HIS^VN"
    "|||||||||||||||||||||||||20260201080000\r"
    "DG1|1||I10.x00x002^高血压^ICD10YB2.0||20260201|A\r"
)
_ORDER = (
    "PID|1||{number}^^^HIS^PI~{card}^^^CHN^NNCHN||{name}||{birth}|{gender}\r"
    "PV1|1|O|A02^^^H37050200001||||D37050200000{doctor}^测试医师{doctor}||||||||||||{visit}^^^HIS^VN\r"
)
_DRUG = (
    "ORC|NW|ORD@@^HIS||RX@@^HIS|||^QD^D84^20260201^20260426||20260201090000|||"
    "D37050200000{doctor}^测试医师{doctor}\r"
    "RXO|XC08CAA000A000010100001^苯磺酸氨氯地平片^NHSA|5||mg|片||||||12|盒||||||||"
    "I10.x00x002^高血压^ICD10YB2.0\r"
    "RXR|PO^口服^HL70162\r"
    "FT1|1|||20260201090000||CG|XC08CAA000A000010100001^苯磺酸氨氯地平片^NHSA|||12|120.00^CNY|10.00^CNY\r"
)


def _persons(count: int) -> Iterator[dict[str, str]]:
    for index, one in enumerate(invented(count)):
        yield {
            "number": one.number, "name": one.name, "card": one.id_card, "birth": one.birth,
            "gender": one.gender, "doctor": str(index % 10), "visit": f"V20260201{index:06}",
        }  # fmt: skip


def registrations(count: int) -> Iterator[bytes]:
    """ADT^A04 of so many persons, in MLLP frames."""
    for index, person in enumerate(_persons(count)):
        head = _MSH.format(time="080000", kind="ADT^A04^ADT_A01", id=f"A{index}")
        yield _frame(head + (_REGISTRATION + _INSURANCE).format(**person))


def orders(persons: int, first: int = 0) -> Iterator[bytes]:
    """OMP^O09 without end, in MLLP frames: an order for each person in turn, numbered from after `first`."""
    head = _MSH.format(time="090000", kind="OMP^O09^OMP_O09", id="@@")
    templates = [
        _frame(head + (_ORDER + _INSURANCE + _DRUG).format(**person)).split(b"@@")
        for person in _persons(persons)
    ]
    number = first
    while True:
        number += 1
        yield (b"%09d" % number).join(templates[number % persons])


def _frame(text: str) -> bytes:
    return b"\x0b" + text.encode() + b"\x1c\r"
