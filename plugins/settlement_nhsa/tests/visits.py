"""Requests for the simulated insurer, built from the interface's samples."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec

SAMPLES = Path(__file__).parent / "samples"
CARD = "370502195001010013"
CONVERSATION = (
    *("01_9001", "02_1101", "06_2201", "07_2203A", "08_2204", "09_2206A", "10_2207A"),
    *("11_5201", "12_5203", "13_5204", "14_2601"),
)
encode = msgspec.json.Encoder(decimal_format="number").encode


def sample(name: str) -> dict[str, Any]:
    """One sample conversation: its request and response."""
    found: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"), parse_float=Decimal)
    return found


class Visit:
    """One outpatient visit at the simulator, request after request, each with its own msgid."""

    def __init__(self, base_url: str, number: int = 1, certno: str = CARD, name: str = "测试甲") -> None:
        self.url = base_url
        self.number = number * 100
        self.visit = number
        self.certno, self.name = certno, name
        self.known: dict[str, Any] = {}
        self.answers: dict[str, dict[str, Any]] = {}

    def envelope(self, file: str, **changed: Any) -> dict[str, Any]:
        """The sample's request for this visit: a new msgid, and what earlier answers told."""
        self.number += 1
        request: dict[str, Any] = sample(file)["request"]
        request["msgid"] = f"H3705020000120260202090000{self.number:04d}"
        request["sign_no"] = self.known.get("sign_no")
        known = self.known | {"certno": self.certno, "mdtrt_cert_no": self.certno, "psn_name": self.name}
        known |= {"ipt_otp_no": f"MZ20260202{self.visit:04d}"} | changed
        for node in request["input"].values():
            for item in node if isinstance(node, list) else [node]:
                item.update({name: value for name, value in known.items() if name in item})
        return request

    def body(self, file: str, **changed: Any) -> bytes:
        return encode(self.envelope(file, **changed))

    async def say(self, file: str, **changed: Any) -> dict[str, Any]:
        """Send it and return the answer; ids in the answer are used from then on."""
        return await self.post(self.body(file, **changed), file)

    async def post(self, body: bytes, file: str = "") -> dict[str, Any]:
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            response = await client.post(self.url, content=body)
        answer: dict[str, Any] = json.loads(response.content, parse_float=Decimal)
        self.answers[file] = answer
        self._learn(answer.get("output"))
        return answer

    def _learn(self, value: Any) -> None:
        if isinstance(value, dict):
            for name in ("sign_no", "psn_no", "mdtrt_id", "setl_id", "insuplc_admdvs"):
                if value.get(name):
                    self.known[name] = value[name]
            for one in value.values():
                self._learn(one)
        elif isinstance(value, list):
            for one in value:
                self._learn(one)

    async def until(self, last: str) -> dict[str, Any]:
        """Everything of the sample visit, up to and including `last`."""
        answer: dict[str, Any] = {}
        for file in ("01_9001", "02_1101", "06_2201", "07_2203A", "08_2204", "09_2206A", "10_2207A"):
            answer = await self.say(file)
            assert answer["infcode"] == 0, answer
            if file == last:
                break
        return answer
