"""The plugin loader: walks the entry points one by one, so that a broken plugin stops nobody else.

A plugin is any distribution with an entry point in the group `sanyi_hub`; it is registered as
`distribution:name`, so that equal names cannot hide each other. One manager per hub.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import msgspec
import pluggy

from hub.adapters import Adapter, AdapterSettings, Capabilities
from hub.errors import Misconfigured
from hub.hookspecs import NAMESPACE, Hooks, Operation, Rule


class Loaded(msgspec.Struct, kw_only=True):
    """One entry point and what became of it; `failed` says why it is not there."""

    name: str
    version: str
    failed: str = ""
    adapters: list[str] = msgspec.field(default_factory=list)


class Plugins:
    """All plugins of one hub.

    adapters    class by kind
    rules       checks on stored resources
    operations  FHIR operations
    loaded      every entry point, the failed ones with their reason
    """

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager(NAMESPACE)
        self.manager.add_hookspecs(Hooks)
        self.adapters: dict[str, type[Adapter]] = {}
        self.rules: list[Rule] = []
        self.operations: list[Operation] = []
        self.loaded: list[Loaded] = []
        self._origin: dict[str, str] = {}

    def adapter(self, kind: str) -> type[Adapter]:
        """The adapter class of a kind; Misconfigured names what is installed."""
        if kind in self.adapters:
            return self.adapters[kind]
        broken = [f"{one.name} FAILED: {one.failed}" for one in self.loaded if one.failed]
        known = ", ".join(sorted(self.adapters)) or "none"
        raise Misconfigured(
            "; ".join([f"no adapter of kind {kind!r} is installed (installed: {known})", *broken])
        )

    def register(self, name: str, version: str, plugin: Any) -> None:
        """Register one plugin object; raises Misconfigured if it clashes or has a misspelt hook."""
        entry = Loaded(name=name, version=version)
        self.loaded.append(entry)
        try:
            self.manager.register(plugin, name=name)
            self._check_hooks(plugin)
            self._take(entry, plugin)
        except Exception as error:
            entry.failed = _reason(error)
            entry.adapters = []
            if self.manager.has_plugin(name):
                self.manager.unregister(name=name)
            self._forget(name)

    def _check_hooks(self, plugin: Any) -> None:
        try:
            self.manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise Misconfigured(f"unknown hook: {error}") from error

    def _take(self, entry: Loaded, plugin: Any) -> None:
        adapters, rules, operations = (
            self._call(plugin, hook)
            for hook in ("register_adapters", "register_rules", "register_operations")
        )
        for adapter in adapters:
            self._take_adapter(entry, adapter)
        self.rules.extend(rules)
        self.operations.extend(operations)

    def _call(self, plugin: Any, hook: str) -> list[Any]:
        return list(getattr(plugin, hook)()) if hasattr(plugin, hook) else []

    def _take_adapter(self, entry: Loaded, adapter: type[Adapter]) -> None:
        kind = getattr(adapter, "kind", None)
        if not (isinstance(adapter, type) and issubclass(adapter, Adapter) and isinstance(kind, str)):
            raise Misconfigured(
                f"register_adapters gave {adapter!r}: expected a subclass of Adapter with a kind"
            )
        if not issubclass(adapter.Settings, AdapterSettings) or not isinstance(
            adapter.capabilities, Capabilities
        ):
            raise Misconfigured(
                f"adapter {kind!r}: Settings must extend AdapterSettings, capabilities be Capabilities"
            )
        if kind in self._origin:
            first = self._origin[kind]
            self.adapters.pop(kind, None)
            for other in self.loaded:
                if other.name == first and not other.failed:
                    other.failed = (
                        f"adapter kind {kind!r} is also offered by {entry.name}; uninstall one of them"
                    )
            raise Misconfigured(f"adapter kind {kind!r} is also offered by {first}; uninstall one of them")
        self._origin[kind] = entry.name
        self.adapters[kind] = adapter
        entry.adapters.append(kind)

    def _forget(self, name: str) -> None:
        for kind in [kind for kind, origin in self._origin.items() if origin == name]:
            self.adapters.pop(kind, None)


def load(points: Iterable[EntryPoint] | None = None) -> Plugins:
    """Load every installed plugin; what fails is listed, never raised."""
    plugins = Plugins()
    found = entry_points(group=NAMESPACE) if points is None else points
    for point in sorted(found, key=lambda p: (_distribution(p)[0], p.name)):
        distribution, version = _distribution(point)
        name = f"{distribution}:{point.name}"
        try:
            plugin = point.load()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            plugins.loaded.append(Loaded(name=name, version=version, failed=_reason(error)))
            continue
        plugins.register(name, version, plugin)
    return plugins


def simulator(adapter: type[Adapter]) -> Any:
    """The simulator class an adapter names as `package.module:Class`."""
    if not adapter.simulator:
        raise Misconfigured(f"adapter {adapter.kind!r} names no simulator")
    module, _, name = adapter.simulator.partition(":")
    return getattr(importlib.import_module(module), name)


def _distribution(point: EntryPoint) -> tuple[str, str]:
    dist = getattr(point, "dist", None)
    return (dist.name, dist.version) if dist else ("local", "0")


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
