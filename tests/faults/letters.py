"""HL7 v2 messages as bytes, for a sender that may do anything wrong; every person in them is invented."""

from __future__ import annotations

import asyncio

from hub.testing import PEOPLE

VT, FS, CR = b"\x0b", b"\x1c", b"\r"
DRUG = "XC08CAA000A000010100001"
CARD = PEOPLE[0].id_card
WRONG_CARD = CARD[:-1] + "0"
assert WRONG_CARD != CARD

_MSH = "MSH|^~\\&|HIS|H37050200009|HUB|HUB|20260201085500||{kind}|{control}|P|2.4|||||CHN|UNICODE UTF-8\r"
_PID = "PID|1||{person}^^^HIS^PI~{card}^^^CHN^NNCHN||{name}||19500101|M\r"
_PV1 = "PV1|1|O|A02^^^H37050200009||||D370502000001^测试医师||||||||||||V{person}^^^HIS^VN\r"


def registration(
    control: str, *, person: str = "", card: str = CARD, name: str = "测试甲", more: str = ""
) -> bytes:
    """ADT^A04 with MSH-10 `control`; the person's number follows from it unless it is given."""
    person = person or f"P{control}"
    text = _MSH.format(kind="ADT^A04^ADT_A01", control=control) + "EVN|A04|20260201085500\r"
    return (
        text + _PID.format(person=person, card=card, name=name) + _PV1.format(person=person) + more
    ).encode()


def prescription(control: str, *, drug: str = DRUG) -> bytes:
    """OMP^O09 over twelve boxes of a drug."""
    person, coded = f"P{control}", f"{drug}^测试药品^NHSA"
    text = _MSH.format(kind="OMP^O09^OMP_O09", control=control)
    text += _PID.format(person=person, card=CARD, name="测试甲") + _PV1.format(person=person)
    text += f"ORC|NW|O{control}^HIS||R{control}^HIS|||^QD^D84^20260201^20260426||20260201090000\r"
    text += f"RXO|{coded}|5||mg|片||||||12|盒\rRXR|PO^口服^HL70162\r"
    text += f"FT1|1|||20260201090000||CG|{coded}|||12|120.00^CNY|10.00^CNY\r"
    return text.encode()


def other(control: str, kind: str) -> bytes:
    """A message of any type."""
    return (_MSH.format(kind=kind, control=control) + "EVN||20260201085500\r").encode()


class Ack:
    """What came back: MSA-1, MSA-2, and whether an ERR segment says where it hurts."""

    def __init__(self, body: bytes) -> None:
        self.text = body.decode()
        segments = [line.split("|") for line in self.text.split("\r") if line]
        msa = next(one for one in segments if one[0] == "MSA")
        self.code, self.control = msa[1], msa[2]
        self.error = any(one[0] == "ERR" and len(one) > 1 and one[1] for one in segments)


class Line:
    """One MLLP connection; `async with Line("127.0.0.1:2575") as line`."""

    def __init__(self, target: str) -> None:
        self.host, _, port = target.rpartition(":")
        self.port = int(port)

    async def __aenter__(self) -> Line:
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port, limit=1 << 26)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass

    async def say(self, data: bytes) -> None:
        """Bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def hear(self) -> Ack:
        """The next acknowledgement."""
        frame = await self.reader.readuntil(FS + CR)
        return Ack(frame[frame.index(VT) + 1 : -2])

    async def ask(self, body: bytes) -> Ack:
        """A framed message and its acknowledgement."""
        await self.say(VT + body + FS + CR)
        return await self.hear()


async def ask(target: str, body: bytes) -> Ack:
    """One message over a line of its own."""
    async with Line(target) as line:
        return await line.ask(body)
