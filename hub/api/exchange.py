"""What one FHIR interaction gets and gives: `Ask` and `Answer`, with `Api` as the hub around them.

They are the same whether the request came by HTTP or as an entry of a batch
(http://hl7.org/fhir/R4/http.html).
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import msgspec

from hub import clock
from hub.api.auditing import Auditor
from hub.api.body import Room
from hub.api.converting import Converter
from hub.api.vocabulary import Vocabulary
from hub.audit import Action
from hub.errors import Issue
from hub.exports import Exports
from hub.hookspecs import Operation
from hub.messages import Caller
from hub.metrics import Metrics
from hub.subscriptions import Acceptance
from hub.validation.rules import Rules

if TYPE_CHECKING:
    from hub.store.backend import Reader
    from hub.store.store import Store

Return = Literal["", "minimal", "representation", "OperationOutcome"]
Parameters = list[tuple[str, str]]


class Api:
    """Everything the interactions share.

    store       where writes go; `reader` is what reads see: the store, or a transaction (`within`)
    base        our own absolute FHIR base, without a slash at the end
    rules       checks that plugins brought
    operations  by (type, name), from plugins
    new_id      ids of resources created by POST
    acceptance  which Subscriptions are accepted
    vocabulary  code systems, value sets and concept maps
    exports     bulk exports; None: this hub has no place for their files
    """

    def __init__(
        self,
        store: Store,
        *,
        base: str,
        rules: Rules | None = None,
        operations: Sequence[Operation] = (),
        metrics: Metrics | None = None,
        now: clock.Clock = clock.now,
        new_id: Callable[[], str] = lambda: str(uuid4()),
        max_body: int = 64 * 1024 * 1024,
        name: str = "Sanyi Hub",
        acceptance: Acceptance | None = None,
        vocabulary: Vocabulary | None = None,
        exports: Exports | None = None,
    ) -> None:
        self.store = store
        self.base = base.rstrip("/")
        self.rules = rules or Rules()
        self.operations = {(one.resource, one.name): one for one in operations}
        self.metrics = metrics or Metrics()
        self.now = now
        self.new_id = new_id
        self.max_body = max_body
        self.name = name
        self.acceptance = acceptance or Acceptance(now=now)
        self.vocabulary = vocabulary or Vocabulary(store, base=self.base)
        self.exports = exports
        self.reader: Reader = store
        self.auditor = Auditor(store)
        self.converter = Converter()
        self.room = Room(4 * max_body)
        self.statements: dict[str, Any] = {}

    def within(self, reader: Reader) -> Api:
        """The same, but what is read is read in a transaction."""
        inner = copy.copy(self)
        inner.reader = reader
        return inner


class Ask(msgspec.Struct, kw_only=True):
    """One request for one interaction.

    type, id, version, name   from the URL (`name` of an operation)
    inside                    the type asked for in a compartment, `*`: any
    query                     the parameters in their order, decoded
    body                      the resource, Bundle, Parameters as it came
    if_match                  the version the caller saw, or ANY_VERSION; None: not said
    if_none_match             "" or `*` or versions as text, joined by commas
    if_none_exist             criteria of a conditional create
    returns, lenient          Prefer: return=..., handling=lenient
    asynchronous              Prefer: respond-async
    """

    caller: Caller
    method: str = "GET"
    type: str = ""
    id: str = ""
    version: str = ""
    name: str = ""
    inside: str = ""
    query: Parameters = msgspec.field(default_factory=list)
    body: bytes = b""
    if_match: int | None = None
    if_none_match: str = ""
    if_modified_since: int = 0
    if_none_exist: str = ""
    returns: Return = ""
    lenient: bool = False
    asynchronous: bool = False


class Answer(msgspec.Struct, kw_only=True):
    """What an interaction gives.

    body      FHIR JSON; empty where the status has none
    version   for the ETag (0: none); `updated` for Last-Modified, microseconds (0: none)
    location  relative to the base: `Patient/1/_history/1`
    issues    warnings that go with a success
    headers   more of them, lower-case names
    media     of a body that is no FHIR resource and goes out as it is (`application/fhir+ndjson`)
    file      path of a body that lies on the disk, and how many of its bytes to send; goes with `media`
    about     names for the audit row: of parameters, or the version
    """

    status: int = 200
    body: bytes = b""
    version: int = 0
    updated: int = 0
    location: str = ""
    issues: tuple[Issue, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    media: str = ""
    file: tuple[Path, int] | None = None
    about: str = ""


Run = Callable[[Api, Ask], Awaitable[Answer]]


class Interaction(msgspec.Struct, frozen=True):
    """An interaction by its FHIR name; `action` is what it is authorised and audited as."""

    name: str
    action: Action
    run: Run
    writes: bool = False


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """An operation of the hub's own (http://hl7.org/fhir/R4/operations.html).

    url       of its OperationDefinition
    on        the levels it can be asked at
    types     the resource types it belongs to; empty: every type
    reads     it changes nothing, so that GET may ask it
    instantiates  the CapabilityStatement of a guide that a server with this operation follows
    """

    name: str
    url: str
    run: Run
    on: frozenset[Literal["system", "type", "instance", "version"]]
    types: frozenset[str] = frozenset()
    reads: bool = True
    description: str = ""
    instantiates: str = ""
