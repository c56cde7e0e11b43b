"""The contract every adapter must pass."""

from __future__ import annotations

from hub.adapters import Adapter, AdapterSettings
from hub.testing import PEOPLE, Simulator
from hub.testing.contract import AdapterContract
from hub_his_hl7v2.adapter import HisHl7v2
from hub_his_hl7v2.settings import HisHl7v2Settings
from hub_his_hl7v2.simulator import Simulator as Hospital


class TestHisHl7v2(AdapterContract):
    adapter_class = HisHl7v2

    def settings(self, simulator: Simulator) -> AdapterSettings:
        return HisHl7v2Settings(listen="127.0.0.1:0")

    async def provoke(self, simulator: Simulator, adapter: Adapter) -> None:
        assert isinstance(simulator, Hospital) and isinstance(adapter, HisHl7v2)
        simulator.target = adapter.address
        assert "MSA|AA|MSG1" in await simulator.act("register", person=PEOPLE[1])
