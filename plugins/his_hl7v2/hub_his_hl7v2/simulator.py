"""A hospital: it composes HL7 v2.4 messages by its own rules and sends them over MLLP.

It shares no code with the adapter; its messages are checked field by field against the reference samples.

    hospital = Simulator(code="H37050200002", charset="GB18030", target="127.0.0.1:2575")
    async with running(hospital):
        await hospital.act("register", person=PEOPLE[1])
        await hospital.act("prescribe", person=PEOPLE[1], weeks=12)
        hospital.books()["sent"][-1]["code"]          # "AA"

Faults it knows: `cut` (breaks off in the middle of the frame), `lose-request` (breaks off before it),
`twice` (sends the frame twice), `late` (stops for `seconds` in the middle), `reset` and `lose-reply`
(does not wait for the acknowledgement: resets, or closes), `gbk` (GB18030 bytes under a wrong label),
`garble` (bytes of no charset).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import msgspec

from hub.clock import Clock, now, to_datetime
from hub.testing import PEOPLE, Fault, Person
from hub.testing import Simulator as Base

_CODECS = {"UTF-8": ("utf-8", "UNICODE UTF-8"), "GB18030": ("gb18030", "GB 18030-2000")}
_KNOWN_FAULTS = ("cut", "lose-request", "twice", "late", "reset", "lose-reply", "gbk", "garble")


class Drug(msgspec.Struct, frozen=True, kw_only=True):
    """One drug as this hospital writes it: one box a week, one dose a day."""

    code: str
    name: str
    dose: str
    unit: str
    form: str = "片"
    pack: str = "盒"


DRUGS: tuple[Drug, ...] = (
    Drug(code="XC08CAA000A000010100001", name="苯磺酸氨氯地平片", dose="5", unit="mg"),
    Drug(code="XC09AAL000A000010100002", name="马来酸依那普利片", dose="10", unit="mg"),
)
"""Invented codes in the shape of the insurer's drug list; the first is that of the samples."""

DIAGNOSIS = ("I10.x00x002", "高血压", "ICD10YB2.0")


class Sent(msgspec.Struct, kw_only=True):
    """One message that went out, and what came back (empty: nothing)."""

    control_id: str
    kind: str
    body: bytes
    patient: str = ""
    prescription: str = ""
    ack: str = ""
    times: int = 0

    @property
    def code(self) -> str:
        """MSA-1 of the acknowledgement."""
        for line in self.ack.split("\r"):
            if line.startswith("MSA"):
                return line.split(line[3])[1]
        return ""


class Simulator(Base):
    """One hospital.

    code      its institution code (MSH-4)           name     for people to read
    charset   `UTF-8` or `GB18030`                   target   host:port of the hub's listener
    clock     when things happen there               zone     the zone its clocks show
    timeout   seconds it waits for an acknowledgement
    patience  seconds for which it sends an unanswered message again (the same bytes); 0: not at all
    """

    kind: ClassVar[str] = "his-hl7v2"

    def __init__(
        self,
        *,
        code: str = "H37050200001",
        name: str = "测试医院",
        charset: str = "UTF-8",
        target: str = "127.0.0.1:2575",
        clock: Clock = now,
        zone: str = "Asia/Shanghai",
        timeout: float = 30.0,
        patience: float = 0.0,
    ) -> None:
        super().__init__(clock=clock)
        if charset not in _CODECS:
            raise ValueError(f"charset: expected {' or '.join(_CODECS)}, found {charset!r}")
        self.code = code
        self.name = name
        self.codec, self.charset = _CODECS[charset]
        self.target = target
        self.zone = ZoneInfo(zone)
        self.timeout = timeout
        self.patience = patience
        self.sent: list[Sent] = []
        self._visits: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._line = _Line()
        self._busy = asyncio.Lock()

    async def stop(self) -> None:
        """Hang up; the books stay."""
        await self._line.hang_up()

    def books(self) -> dict[str, Any]:
        """`sent`: every message with its acknowledgement (`ack`, `code`); `prescriptions`: their numbers."""
        return {
            "code": self.code,
            "name": self.name,
            "sent": [msgspec.structs.asdict(one) | {"code": one.code} for one in self.sent],
            "prescriptions": [one.prescription for one in self.sent if one.prescription],
        }

    # Scenes

    async def scene_register(self, *, person: Person = PEOPLE[0], visit: str = "") -> str:
        """A patient comes in: ADT^A04; returns the acknowledgement's text."""
        visit = visit or self._number("V{day}{n:03d}")
        self._visits[person.number] = visit
        return await self._compose(("ADT", "A04", "ADT_A01"), person, _registration, visit=visit)

    async def scene_prescribe(
        self,
        *,
        person: Person = PEOPLE[0],
        weeks: int = 12,
        drug: Drug = DRUGS[0],
        price: str = "10.00",
        prescription: str = "",
    ) -> str:
        """The doctor prescribes for so many weeks, one box each at `price` yuan: OMP^O09; returns the ACK."""
        visit = self._visits.get(person.number) or self._number("V{day}{n:03d}")
        self._visits[person.number] = visit
        return await self._compose(
            ("OMP", "O09", "OMP_O09"),
            person,
            _prescription,
            visit=visit,
            weeks=weeks,
            drug=drug,
            price=Decimal(price),
            order=self._number("ORD{n:04d}"),
            prescription=prescription or self._number("RX{day}{n:03d}"),
        )

    async def scene_visit(self, *, person: Person = PEOPLE[0], **prescription: Any) -> list[str]:
        """Register and prescribe; both acknowledgements."""
        return [
            await self.scene_register(person=person),
            await self.scene_prescribe(person=person, **prescription),
        ]

    async def scene_send(self, *, content: str | bytes, kind: str = "") -> str:
        """Send any content in a frame (text in the hospital's charset); returns the ACK, "" if none came."""
        body = content.encode(self.codec) if isinstance(content, str) else content
        header = body.split(b"\r", 1)[0].decode(self.codec, "replace").split("|")
        named = header + [""] * 12
        sent = Sent(control_id=named[9], kind=kind or "^".join(named[8].split("^")[:2]), body=body)
        return await self._send(sent)

    async def scene_resend(self, *, control_id: str = "") -> str:
        """The same bytes again: the last message, or the last one with this control id."""
        for one in reversed(self.sent):
            if one.body and control_id in ("", one.control_id):
                return await self._send(msgspec.structs.replace(one, ack="", times=0))
        raise ValueError(f"nothing with control id {control_id!r} was sent")

    # Composing

    def _number(self, shape: str) -> str:
        self._counts[shape] = self._counts.get(shape, 0) + 1
        return shape.format(day=self._now().strftime("%Y%m%d"), n=self._counts[shape])

    def _now(self) -> datetime:
        return to_datetime(self.clock()).astimezone(self.zone)

    async def _compose(
        self,
        type_: tuple[str, str, str],
        person: Person,
        body: Callable[..., list[str]],
        **facts: Any,
    ) -> str:
        moment = self._now()
        control_id = self._number("MSG{n}")
        header = _segment(
            "MSH", {
                2: "^~\\&", 3: "HIS", 4: self.code, 5: "HUB", 6: "HUB", 7: _stamp(moment), 9: "^".join(type_),
                10: control_id, 11: "P", 12: "2.4", 17: "CHN", 18: self.charset,
            }
        )  # fmt: skip
        lines = [header, *body(facility=self.code, person=person, moment=moment, **facts)]
        sent = Sent(
            control_id=control_id,
            kind="^".join(type_[:2]),
            body="".join(line + "\r" for line in lines).encode(self.codec),
            patient=person.number,
            prescription=facts.get("prescription", ""),
        )
        return await self._send(sent)

    # Sending

    async def _send(self, sent: Sent) -> str:
        self.sent.append(sent)
        async with self._busy:
            deadline = asyncio.get_running_loop().time() + self.patience
            while True:
                try:
                    sent.times += 1
                    ack = await self._once(sent, await self.faults.next(sent.kind, sent))
                except (OSError, EOFError, TimeoutError):
                    await self._line.hang_up()
                    if asyncio.get_running_loop().time() >= deadline:
                        raise
                    ack = ""
                sent.ack = ack
                if ack or asyncio.get_running_loop().time() >= deadline:
                    return ack
                await asyncio.sleep(0.05)

    async def _once(self, sent: Sent, fault: Fault | None) -> str:
        """One attempt; "" where the fault left no answer to wait for."""
        what = fault.what if fault is not None else ""
        if what and what not in _KNOWN_FAULTS:
            raise ValueError(f"a hospital cannot {what!r}: expected one of {', '.join(_KNOWN_FAULTS)}")
        body = sent.body
        if what == "gbk":
            body = body.decode(self.codec).encode("gb18030")
        elif what == "garble":
            body = body.replace(b"PID|1|", b"PID|1\xff\xfe|", 1)
        frame = b"\x0b" + body + b"\x1c\x0d"
        line = self._line
        await line.call(self.target, self.timeout)
        if what in ("cut", "lose-request"):
            await line.say(frame[: len(frame) // 2] if what == "cut" else b"")
            await line.hang_up()
            return ""
        if fault is not None and what == "late":
            await line.say(frame[: len(frame) // 2])
            await fault.wait()
            await line.say(frame[len(frame) // 2 :])
        else:
            await line.say(frame * 2 if what == "twice" else frame)
        if what in ("reset", "lose-reply"):
            await line.hang_up(reset=what == "reset")
            return ""
        if what == "twice":
            await line.hear(self.timeout)
        return (await line.hear(self.timeout)).decode(self.codec, "replace")


class _Line:
    """The hospital's one connection."""

    def __init__(self) -> None:
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def call(self, target: str, timeout: float) -> None:
        """Connect, unless the connection still stands."""
        if self.writer is not None and self.reader is not None:
            if not (self.writer.is_closing() or self.reader.at_eof()):
                return
            await self.hang_up()
        host, _, port = target.rpartition(":")
        self.reader, self.writer = await asyncio.wait_for(
            asyncio.open_connection(host.strip("[]"), int(port), limit=1 << 26), timeout
        )

    async def say(self, data: bytes) -> None:
        assert self.writer is not None
        self.writer.write(data)
        await self.writer.drain()

    async def hear(self, timeout: float) -> bytes:
        """What stands in the next frame."""
        assert self.reader is not None
        frame = await asyncio.wait_for(self.reader.readuntil(b"\x1c\x0d"), timeout)
        return frame[frame.index(b"\x0b") + 1 : -2]

    async def hang_up(self, *, reset: bool = False) -> None:
        writer, self.reader, self.writer = self.writer, None, None
        if writer is None:
            return
        if reset:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()
        try:
            await writer.wait_closed()
        except OSError:
            pass


def _registration(*, facility: str, person: Person, moment: datetime, visit: str) -> list[str]:
    """ADT^A04 after its MSH: EVN, PID, PV1, DG1, IN1."""
    time, day = _stamp(moment), moment.strftime("%Y%m%d")
    address = f"{_text(person.street)}^^{_text(person.city)}^{_text(person.province)}^{person.postcode}^CHN"
    pid = _pid(person) | {11: address, 13: person.phone}
    return [
        _segment("EVN", {1: "A04", 2: time}),
        _segment("PID", pid),
        _segment("PV1", _pv1(facility, visit) | {44: time}),
        _segment("DG1", {1: "1", 3: "^".join(DIAGNOSIS), 5: day, 6: "A"}),
        _segment("IN1", _in1(person, moment)),
    ]


def _prescription(
    *,
    facility: str,
    person: Person,
    moment: datetime,
    visit: str,
    weeks: int,
    drug: Drug,
    price: Decimal,
    order: str,
    prescription: str,
) -> list[str]:
    """OMP^O09 after its MSH: PID, PV1, IN1, ORC, RXO, RXR, FT1. The diagnosis stands in RXO-20."""
    time, first = _stamp(moment), moment.strftime("%Y%m%d")
    last = (moment + timedelta(weeks=weeks)).strftime("%Y%m%d")
    coded = f"{drug.code}^{_text(drug.name)}^NHSA"
    orc = {
        1: "NW", 2: f"{order}^HIS", 4: f"{prescription}^HIS",
        7: f"^QD^D{weeks * 7}^{first}^{last}", 9: time, 12: _DOCTOR,
    }  # fmt: skip
    rxo = {
        1: coded, 2: drug.dose, 4: drug.unit, 5: drug.form,
        11: str(weeks), 12: drug.pack, 20: "^".join(DIAGNOSIS),
    }  # fmt: skip
    ft1 = {
        1: "1", 4: time, 6: "CG", 7: coded, 10: str(weeks), 11: f"{price * weeks}^CNY", 12: f"{price}^CNY",
    }  # fmt: skip
    return [
        _segment("PID", _pid(person)),
        _segment("PV1", _pv1(facility, visit)),
        _segment("IN1", _in1(person, moment)),
        _segment("ORC", orc),
        _segment("RXO", rxo),
        _segment("RXR", {1: "PO^口服^HL70162"}),
        _segment("FT1", ft1),
    ]


_DOCTOR = "D370502000001^测试医师"


def _pid(person: Person) -> dict[int, str]:
    numbers = f"{person.number}^^^HIS^PI~{person.id_card}^^^CHN^NNCHN"
    return {1: "1", 3: numbers, 5: _text(person.name), 7: person.birth, 8: person.gender}


def _pv1(facility: str, visit: str) -> dict[int, str]:
    return {1: "1", 2: "O", 3: f"A02^^^{facility}", 7: _DOCTOR, 19: f"{visit}^^^HIS^VN"}


def _in1(person: Person, moment: datetime) -> dict[int, str]:
    return {
        1: "1", 2: "390^城乡居民基本医疗保险", 3: "370502^东营区医疗保障局", 4: "东营区医疗保障局",
        12: f"{moment.year}0101", 13: f"{moment.year}1231", 36: person.id_card,
    }  # fmt: skip


def _segment(name: str, fields: dict[int, str]) -> str:
    """One segment from its fields by number; MSH-1 is the bar itself."""
    first = 2 if name == "MSH" else 1
    return "|".join([name, *(fields.get(number, "") for number in range(first, max(fields) + 1))])


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y%m%d%H%M%S")


def _text(text: str) -> str:
    """Text with the delimiters escaped."""
    return text.translate(_ESCAPES)


_ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"})
