"""The contract every adapter must pass, against the simulated insurer."""

from __future__ import annotations

from collections.abc import Sequence

from hub.messages import Delivery
from hub.testing import Simulator as AnySimulator
from hub.testing.contract import AdapterContract
from hub_settlement_nhsa.adapter import NhsaAdapter
from hub_settlement_nhsa.settings import NhsaSettings
from hub_settlement_nhsa.simulator import Simulator
from plugins.settlement_nhsa.tests.visits import Visit


class TestNhsaContract(AdapterContract):
    adapter_class = NhsaAdapter

    def make_simulator(self) -> AnySimulator:
        return Simulator(sign_in=False, auto_enroll=True)

    def settings(self, simulator: AnySimulator) -> NhsaSettings:
        return NhsaSettings(base_url=simulator.address, timeout=0.4, connect_timeout=0.4)

    def deliveries(self, simulator: AnySimulator) -> Sequence[Delivery]:
        visit = Visit(simulator.address)
        return [
            Delivery(
                id=number,
                channel="contract",
                kind=file.partition("_")[2],
                body=visit.body(file),
                business_id=visit.envelope(file)["msgid"],
            )
            for number, file in enumerate(("02_1101", "01_9001"), start=1)
        ]

    def effects(self, simulator: AnySimulator) -> int:
        return len(simulator.books()["persons"])
