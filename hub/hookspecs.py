"""The hooks a plugin may implement. A hook registers; no hook is called per message.

from hub.hookspecs import hookimpl

@hookimpl
def register_adapters() -> list[type[Adapter]]:
    return [MyAdapter]
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import pluggy

from hub.errors import Issue

if TYPE_CHECKING:
    from hub.adapters import Adapter

NAMESPACE = "sanyi_hub"
hookspec = pluggy.HookspecMarker(NAMESPACE)
hookimpl = pluggy.HookimplMarker(NAMESPACE)


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A check that every stored resource of `resource` passes through, after structure and bindings.

    `check(tree, values)` gets the resource as plain JSON (numbers with a decimal point are Decimal) and
    the non-secret settings of the channel it came by; it returns its findings. An error keeps the
    resource, and everything of its message, out of the store.
    """

    name: str
    resource: str
    check: Callable[[dict[str, Any], dict[str, Any]], Sequence[Issue]]


class OperationContext(Protocol):
    """What an operation may do, on behalf of its caller."""

    async def search(self, resource: str, parameters: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """All matches of a FHIR search, as plain JSON."""

    async def read(self, reference: str) -> dict[str, Any] | None:
        """`Type/id` as plain JSON, or None."""

    async def transact(self, bundle: dict[str, Any]) -> dict[str, Any]:
        """A FHIR transaction: all or nothing."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """A FHIR operation `POST /fhir/{resource}/${name}` (http://hl7.org/fhir/R4/operations.html).

    `run(context, parameters)` gets the Parameters resource (or an empty one) and returns a resource.
    """

    name: str
    resource: str
    description: str
    run: Callable[[OperationContext, dict[str, Any]], Awaitable[dict[str, Any]]]


class Hooks:
    """The specifications."""

    @hookspec
    def register_adapters(self) -> Sequence[type[Adapter]]:
        """Adapter classes; each `kind` is unique over all installed plugins."""
        raise NotImplementedError

    @hookspec
    def register_rules(self) -> Sequence[Rule]:
        """Checks on stored resources."""
        raise NotImplementedError

    @hookspec
    def register_operations(self) -> Sequence[Operation]:
        """FHIR operations, authorised and audited like the hub's own."""
        raise NotImplementedError
