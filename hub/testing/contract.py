"""AdapterContract: the suite that every adapter must pass, chosen by its capabilities.

    from hub.testing.contract import AdapterContract

    class TestMyAdapter(AdapterContract):
        adapter_class = MyAdapter

        def settings(self, simulator):
            return MyAdapter.Settings(url=simulator.address, timeout=0.5)

        def deliveries(self, simulator):
            return [Delivery(id=1, channel="target", kind="order", body=b"...")]

        def effects(self, simulator):
            return len(simulator.books()["orders"])

A check that cannot hold for a system is exempted with its reason:

        exemptions = {"test_confirm_tells_the_truth": "the platform offers no query for orders"}

Needs pytest and pytest-asyncio.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import ipaddress
import re
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from hub.adapters import Adapter, AdapterSettings
from hub.errors import HubError, Misconfigured, OutcomeUnknown, Rejected, Retryable
from hub.messages import Applied, Delivery, Message, NotApplied, Outcome, StillUnknown
from hub.testing.faults import What
from hub.testing.simulator import Simulator, running

_SECRET = re.compile(r"(^|_)(password|passwd|secret|token|private_key|credential|auth_code|sign_key)($|_)")
_NOT_FOR_ADAPTERS = ("hub.r4", "hub.models", "hub.store", "hub.pipeline", "hub.api", "hub.app", "fhir")
_PATIENCE = 5.0


class AdapterContract:
    """Subclass it as `Test...`; set `adapter_class`, write `settings`, and what its capabilities ask for.

    exemptions  check name -> reason why this system cannot pass it
    """

    adapter_class: ClassVar[type[Adapter]]
    exemptions: ClassVar[Mapping[str, str]] = {}

    pytestmark = pytest.mark.asyncio

    # What a subclass tells

    def make_simulator(self) -> Simulator:
        """A fresh simulator of the system; by default the one the adapter names."""
        return _simulator_class(self.adapter_class)()

    def settings(self, simulator: Simulator) -> AdapterSettings:
        """Settings that reach the running simulator, with time-outs well under a second."""
        raise NotImplementedError

    def deliveries(self, simulator: Simulator) -> Sequence[Delivery]:
        """Writing adapters: one or more deliveries the simulator accepts; the first has an effect.

        They are sent in order. Called once per check, so it may prepare the simulator.
        """
        raise NotImplementedError

    def effects(self, simulator: Simulator) -> int:
        """Writing adapters: how often the effect of the first delivery took place, from the books."""
        raise NotImplementedError

    async def provoke(self, simulator: Simulator, adapter: Adapter) -> None:
        """Reading adapters: let the outside world produce one message for the open adapter."""
        raise NotImplementedError

    # The open adapter

    @asynccontextmanager
    async def opened(self, simulator: Simulator) -> AsyncIterator[Adapter]:
        """The adapter, opened on the running simulator, and closed at the end."""
        adapter = self.adapter_class("contract", self.settings(simulator))
        await adapter.open()
        try:
            yield adapter
        finally:
            await adapter.close()

    @pytest.fixture(autouse=True)
    def _exempted(self, request: pytest.FixtureRequest) -> None:
        name = getattr(request.node, "originalname", request.node.name)
        if name in self.exemptions:
            pytest.skip(f"exempted: {self.exemptions[name]}")

    def _needs(self, capability: str) -> None:
        if not getattr(self.adapter_class.capabilities, capability):
            pytest.skip(f"{self.adapter_class.kind} does not declare {capability}")

    # Every adapter

    async def test_exemptions_name_a_check_and_a_reason(self) -> None:
        for name, reason in self.exemptions.items():
            assert hasattr(AdapterContract, name), f"{name} is no check of the contract"
            assert len(reason) > 10, f"{name}: say why"

    async def test_kind_is_a_plain_name(self) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", self.adapter_class.kind)

    async def test_every_setting_is_described(self) -> None:
        fields = self.adapter_class.Settings.model_fields
        undescribed = [name for name, field in fields.items() if not field.description]
        assert not undescribed, f"settings without a description: {undescribed}"

    async def test_secrets_are_secret(self) -> None:
        fields = self.adapter_class.Settings.model_fields
        open_secrets = [
            name
            for name, field in fields.items()
            if _SECRET.search(name) and "SecretStr" not in str(field.annotation)
        ]
        assert not open_secrets, f"settings that must be {SecretStr.__name__}: {open_secrets}"

    async def test_unknown_settings_are_refused(self) -> None:
        assert self.adapter_class.Settings.model_config.get("extra") == "forbid"

    async def test_simulator_is_named_and_of_the_same_kind(self) -> None:
        found = _simulator_class(self.adapter_class)
        assert issubclass(found, Simulator)
        assert found.kind == self.adapter_class.kind

    async def test_simulator_shares_no_code_with_the_adapter(self) -> None:
        module = _simulator_class(self.adapter_class).__module__
        package = module.rpartition(".")[0]
        shared = {f"{package}.{name}" for name in ("adapter", "wire", "settings")}
        assert not shared & _imports(module), (
            "a simulator is checked against samples, not against its adapter"
        )

    async def test_adapter_builds_no_fhir_and_uses_public_names(self) -> None:
        package = self.adapter_class.__module__.rpartition(".")[0]
        for part in ("adapter", "wire", "settings"):
            for name in _imports(f"{package}.{part}"):
                assert not name.startswith(_NOT_FOR_ADAPTERS), f"{package}.{part} imports {name}"

    async def test_simulator_listens_on_loopback_only(self) -> None:
        async with running(self.make_simulator()) as simulator:
            if simulator.address:
                assert _is_loopback(simulator.address), simulator.address

    async def test_check_passes(self) -> None:
        async with running(self.make_simulator()) as simulator:
            adapter = self.adapter_class("contract", self.settings(simulator))
            await adapter.check()
            await adapter.close()

    async def test_close_may_be_called_twice_and_without_open(self) -> None:
        async with running(self.make_simulator()) as simulator:
            adapter = self.adapter_class("contract", self.settings(simulator))
            await adapter.close()
            async with self.opened(simulator) as adapter:
                await adapter.close()
                await adapter.close()

    # Reading adapters

    async def test_receives_and_acknowledges(self) -> None:
        self._needs("reads")
        async with running(self.make_simulator()) as simulator, self.opened(simulator) as adapter:
            provoked = asyncio.ensure_future(self.provoke(simulator, adapter))
            stream = adapter.receive("")
            cursor, message = await asyncio.wait_for(anext(stream), _PATIENCE)
            assert isinstance(cursor, str)
            assert message.key and message.body and message.problem is None
            assert message.kind, "mappings are chosen by the kind"
            await adapter.acknowledge(message, Outcome(code="accepted", message=1))
            await asyncio.wait_for(provoked, _PATIENCE)
            await _ended(stream)

    async def test_acknowledging_a_sender_that_left_is_harmless(self) -> None:
        self._needs("reads")
        async with running(self.make_simulator()) as simulator, self.opened(simulator) as adapter:
            provoked = asyncio.ensure_future(self.provoke(simulator, adapter))
            stream = adapter.receive("")
            _, message = await asyncio.wait_for(anext(stream), _PATIENCE)
            provoked.cancel()
            await asyncio.gather(provoked, return_exceptions=True)
            await simulator.stop()
            await adapter.acknowledge(message, Outcome(code="accepted", message=1))
            await _ended(stream)

    # Writing adapters

    async def test_send_returns_the_reply(self) -> None:
        self._needs("writes")
        async with running(self.make_simulator()) as simulator, self.opened(simulator) as adapter:
            for delivery in self.deliveries(simulator):
                reply = await adapter.send(delivery)
                assert reply is None or _is_reply(reply, delivery)
            assert self.effects(simulator) == 1

    async def test_nobody_there_is_retryable(self) -> None:
        self._needs("writes")
        async with running(self.make_simulator()) as simulator:
            first, settings = self.deliveries(simulator)[0], self.settings(simulator)
        adapter = self.adapter_class("contract", settings)
        await adapter.open()
        with pytest.raises(Retryable):
            await adapter.send(first)
        with pytest.raises(HubError) as told:
            await adapter.check()
        assert isinstance(told.value, Retryable | Misconfigured)
        await adapter.close()

    @pytest.mark.parametrize("what", ["lose-request", "lose-reply", "garble", "http-500", "late"])
    async def test_no_readable_answer_is_an_unknown_outcome(self, what: What) -> None:
        self._needs("writes")
        async with running(self.make_simulator()) as simulator, self.opened(simulator) as adapter:
            first = self.deliveries(simulator)[0]
            simulator.faults.add(what, first.kind, seconds=_PATIENCE / 2)
            with pytest.raises(OutcomeUnknown):
                await adapter.send(first)

    async def test_a_refusal_carries_its_reply(self) -> None:
        self._needs("writes")
        async with running(self.make_simulator()) as simulator, self.opened(simulator) as adapter:
            first = self.deliveries(simulator)[0]
            simulator.faults.add("refuse", first.kind)
            with pytest.raises(Rejected) as refused:
                await adapter.send(first)
            assert isinstance(refused.value.reply, Message)
            assert _is_reply(refused.value.reply, first)
            assert self.effects(simulator) == 0

    async def test_idempotent_means_once(self) -> None:
        self._needs("idempotent")
        async with running(self.make_simulator()) as simulator, self.opened(simulator) as adapter:
            first = self.deliveries(simulator)[0]
            await adapter.send(first)
            await adapter.send(first)
            assert self.effects(simulator) == 1

    @pytest.mark.parametrize("what", ["lose-request", "lose-reply"])
    async def test_confirm_tells_the_truth(self, what: What) -> None:
        self._needs("writes")
        async with running(self.make_simulator()) as simulator, self.opened(simulator) as adapter:
            first = self.deliveries(simulator)[0]
            simulator.faults.add(what, first.kind)
            with pytest.raises(OutcomeUnknown):
                await adapter.send(first)
            before = self.effects(simulator)
            told = await adapter.confirm(first)
            assert self.effects(simulator) == before, "confirm only asks"
            if not self.adapter_class.capabilities.can_confirm:
                assert isinstance(told, StillUnknown)
            elif what == "lose-reply":
                assert isinstance(told, Applied)
            else:
                assert isinstance(told, NotApplied | StillUnknown)


def _simulator_class(adapter: type[Adapter]) -> type[Simulator]:
    assert adapter.simulator, f"{adapter.__name__}.simulator names no simulator"
    module, _, name = adapter.simulator.partition(":")
    found: Any = getattr(importlib.import_module(module), name)
    assert isinstance(found, type) and issubclass(found, Simulator)
    return found


def _imports(module: str) -> set[str]:
    """The absolute names a module imports; nothing for a module that is not there."""
    try:
        path = importlib.import_module(module).__file__
    except ModuleNotFoundError:
        return set()
    package = module.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(ast.parse(Path(path or "").read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(part for part in ((package if node.level else ""), node.module or "") if part)
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


def _is_loopback(address: str) -> bool:
    host = urlsplit(address if "//" in address else f"//{address}").hostname or ""
    return all(ipaddress.ip_address(found[4][0]).is_loopback for found in socket.getaddrinfo(host, None))


def _is_reply(reply: Message, delivery: Delivery) -> bool:
    return bool(reply.key and reply.body and reply.kind) and reply.in_reply_to == delivery.id


async def _ended(stream: AsyncIterator[Any]) -> None:
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()
