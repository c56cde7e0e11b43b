"""A pipeline on a store, with a fake adapter on each side, for the flow's own tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import cache
from typing import Any, ClassVar

from hub import content, mapping
from hub.adapters import Adapter, AdapterSettings, Capabilities
from hub.channels import Channel
from hub.conversations import Conversations
from hub.hookspecs import Rule
from hub.mapping import Mappings
from hub.messages import Confirmation, Delivery, Message, Outcome, StillUnknown
from hub.metrics import Metrics
from hub.pipeline import Pipeline
from hub.settings import ChannelSettings
from hub.store import Store
from hub.testing import PEOPLE, Person
from hub.understanding import Elsewhere, Understanding
from hub.validation.rules import Rules

CANONICAL = "https://sanyi-hub.org/fhir"


@cache
def shipped() -> Mappings:
    """The shipped mappings, loaded once."""
    return mapping.load([content.mappings()])


class Fake(Adapter):
    """An adapter in memory: what it received, what it was told, what it says to a delivery."""

    kind: ClassVar[str] = "fake"
    capabilities: ClassVar[Capabilities] = Capabilities(reads=True, writes=True, can_confirm=True)

    def __init__(self, channel: str = "his", settings: AdapterSettings | None = None) -> None:
        super().__init__(channel, settings or AdapterSettings())
        self.coming: list[tuple[str, Message]] = []
        self.told: list[tuple[Message, Outcome]] = []
        self.sent: list[Delivery] = []
        self.answers: list[Message | Exception | None] = []
        self.confirmations: list[Confirmation] = []

    async def receive(self, cursor: str) -> AsyncIterator[tuple[str, Message]]:
        for one in self.coming:
            yield one

    async def acknowledge(self, message: Message, outcome: Outcome) -> None:
        self.told.append((message, outcome))

    async def send(self, delivery: Delivery) -> Message | None:
        self.sent.append(delivery)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def confirm(self, delivery: Delivery) -> Confirmation:
        return self.confirmations.pop(0) if self.confirmations else StillUnknown("no idea")


def channel(name: str = "his", adapter: Adapter | None = None, **settings: Any) -> Channel:
    """A channel with the shipped HL7 v2 mappings."""
    return Channel(
        name, ChannelSettings(adapter="fake", **({"mapping": "hl7v2"} | settings)), adapter or Fake(name)
    )


def pipeline(
    store: Store,
    *,
    rules: Sequence[Rule] = (),
    conversations: Conversations | None = None,
    mappings: Mappings | None = None,
) -> Pipeline:
    """A pipeline on a store."""
    understanding = Understanding(
        store, mappings or shipped(), Rules(rules), hub_key=b"test", canonical=CANONICAL
    )
    return Pipeline(
        store,
        understanding,
        Elsewhere(_no_recipe),
        conversations or Conversations({}, []),
        metrics=Metrics(),
    )


def _no_recipe() -> Understanding:
    raise AssertionError("no message of these tests is long")


def registration(
    person: Person = PEOPLE[0], *, control_id: str = "1", time: str = "20260201085500", kind: str = "ADT^A04"
) -> Message:
    """An ADT as the listener hands it over."""
    text = "\r".join(
        (
            f"MSH|^~\\&|HIS|H37050200001|HUB|HUB|{time}||{kind}|{control_id}|P|2.4|||||CHN|UNICODE UTF-8",
            f"EVN|A04|{time}",
            f"PID|1||{person.number}^^^HIS^PI~{person.id_card}^^^CHN^NNCHN||{person.name}||{person.birth}|{person.gender}",
            "PV1|1|O|A02^^^H37050200001||||D370502000001^测试医师||||||||||||V1^^^HIS^VN",
            "",
        )
    )
    return Message(
        key=f"HIS|H37050200001|{time}|{control_id}",
        body=text.encode(),
        kind=kind,
        content_type="application/hl7-v2",
        charset="UNICODE UTF-8",
        arrival=control_id,
    )
