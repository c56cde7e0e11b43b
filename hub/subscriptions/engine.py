"""The engine: a stored resource calls for notifications; how they fare is said of the Subscription.

Every move happens inside the transaction that brought its cause. No move sends anything: it writes outbox
rows, one for each Subscription and change, in order per Subscription.
http://hl7.org/fhir/R4/subscription.html
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from hub import r4
from hub.audit import Audit
from hub.clock import Clock
from hub.clock import now as wall
from hub.store import notices
from hub.store import subscriptions as table
from hub.store.audit import record
from hub.store.backend import Tx
from hub.store.current import look_locked
from hub.store.outbox import Row
from hub.store.parameters import Parameters
from hub.store.resources import Written, draft, get, put
from hub.store.search.query import InvalidSearch
from hub.store.store import Store
from hub.subscriptions.acceptance import Acceptance, ends, with_status
from hub.subscriptions.criteria import Criteria, compiled, parse

log = logging.getLogger("hub.subscriptions")

CHANNEL = "subscriptions"
"""The channel of the outbox rows; settings cannot name one so."""
TYPE = "Subscription"
TOLD = frozenset({"created", "updated", "restored"})
TOLD_AFTER = 5
"""Failed attempts at one notification before the Subscription's status is error: a quarter of a minute."""

END_SECONDS = 1.0
"""How often they are looked through for those whose end has come."""


class Watch(msgspec.Struct, frozen=True):
    """One Subscription as the changes of a type are compared with it; `ends` 0: never."""

    id: str
    criteria: Criteria
    ends: int


class Watches(msgspec.Struct, frozen=True):
    """All of one generation, by resource type."""

    generation: int = 0
    known: Parameters | None = None
    by_type: dict[str, list[Watch]] = msgspec.field(default_factory=dict)


class Subscriptions:
    """All Subscriptions of one hub.

    Hang `stored` and `committed` into the store. `woken` is called with the channel's name when a commit gave
    it something to send.
    """

    def __init__(
        self,
        acceptance: Acceptance | None = None,
        woken: Callable[[str], None] = lambda channel: None,
        *,
        now: Clock = wall,
    ) -> None:
        self.acceptance = acceptance or Acceptance(now=now)
        self.woken = woken
        self.now = now
        self._watches = Watches()
        self._fresh = False

    async def stored(self, tx: Tx, changes: Sequence[Written]) -> None:
        """Note Subscriptions that came, changed or went, and write what these changes call for."""
        for one in changes:
            if one.type == TYPE:
                await self._noted(tx, one)
        told = [one for one in changes if one.change in TOLD]
        watches = await self._current(tx) if told else self._watches
        news = [
            (f"{TYPE}/{watch.id}", f"{one.type}/{one.id}/_history/{one.version}")
            for one in told
            for watch in watches.by_type.get(one.type, ())
            if not 0 < watch.ends <= tx.now and await watch.criteria.match(tx, one)
        ]
        if news:
            await notices.notify(tx, CHANNEL, news)
            self._fresh = True

    def committed(self) -> None:
        """After a commit: wake the channel if it has something new to send."""
        if self._fresh:
            self._fresh = False
            self.woken(CHANNEL)

    async def _current(self, tx: Tx) -> Watches:
        generation, known = await table.generation(tx), self.acceptance.known()
        if generation != self._watches.generation or known is not self._watches.known:
            self._watches = Watches(generation, known, await self._loaded(tx, known) if generation else {})
        return self._watches

    async def _loaded(self, tx: Tx, known: Parameters) -> dict[str, list[Watch]]:
        by_type: dict[str, list[Watch]] = {}
        for row in await table.listing(tx):
            try:
                query = parse(row.criteria, known, self.acceptance.base)
            except InvalidSearch:
                log.error("%s/%s is told of nothing: its criteria use what is gone", TYPE, row.id)
                continue
            watch = Watch(row.id, await compiled(query, tx.zone, tx.base_url), row.ends)
            by_type.setdefault(query.type, []).append(watch)
        return by_type

    async def _noted(self, tx: Tx, change: Written) -> None:
        """A Subscription was stored or deleted: it is told from now on, told otherwise, or told no longer."""
        tree = r4.tree(change.body) if change.change != "deleted" else {}
        row = await table.load(tx, change.id)
        if tree.get("status") not in ("active", "error"):
            await self._dropped(tx, change.id, row)
            return
        if row is None and any(self.acceptance.issues(tree)):
            log.error("%s/%s did not come by the FHIR API and is told of nothing", TYPE, change.id)
            return
        criteria, until = tree["criteria"], ends(tree)
        if row is None:
            await table.add(tx, table.Row(id=change.id, criteria=criteria, ends=until, since=tx.now))
            await table.change(tx)
        elif (criteria, until) != (row.criteria, row.ends):
            await table.alter(tx, change.id, criteria, until)
            await table.change(tx)
        if tree["status"] == "error":
            await table.mark(tx, change.id, True, tree.get("error", ""))
        elif row is not None and row.failed:
            await table.mark(tx, change.id, False, "")
            if await notices.replay_key(tx, CHANNEL, f"{TYPE}/{change.id}"):
                self._fresh = True

    async def _dropped(self, tx: Tx, name: str, row: table.Row | None) -> None:
        """Off or gone: what is open is given up."""
        if row is not None:
            await table.remove(tx, name)
            await table.change(tx)
            await notices.cancel_key(tx, CHANNEL, f"{TYPE}/{name}", f"the {TYPE} is off or gone")

    async def delivered(self, tx: Tx, row: Row) -> None:
        """A notification arrived: what failed before is active again."""
        name = named(row)
        before = await table.load(tx, name)
        await table.count(tx, name)
        if before is not None and before.failed:
            await self._say(tx, name, "active")

    async def failed(self, tx: Tx, row: Row, why: str, *, dead: bool = False) -> None:
        """An attempt went wrong; after several, or at the end of them, the Subscription's status says so."""
        name = named(row)
        before = await table.load(tx, name)
        if before is None:
            return
        if before.failed or not (dead or row.attempts >= TOLD_AFTER):
            await table.note(tx, name, why)
        else:
            await self._say(tx, name, "error", why)

    async def keep_ending(self, store: Store) -> None:
        """Turn off each Subscription when its end comes; for as long as the hub runs."""
        while True:
            try:
                await self.end(store, self.now())
            except Exception:
                log.exception("what has ended could not be turned off; again in %ss", END_SECONDS)
            await asyncio.sleep(END_SECONDS)

    async def end(self, store: Store, now: int) -> int:
        """Turn off what has ended; how many."""
        names = await table.ended(store, now)
        for name in names:
            await store.write(lambda tx, name=name: self._say(tx, name, "off"))  # type: ignore[misc]
        return len(names)

    async def _say(self, tx: Tx, name: str, status: str, error: str = "") -> None:
        """A new version of a Subscription, by the hub; it stays its owner's."""
        head = (await look_locked(tx, TYPE, name)).head
        stored = await get(tx, TYPE, name)
        if head is None or stored is None or stored.deleted or r4.tree(stored.body)["status"] == "off":
            return
        body = with_status(stored.body, status, error)
        written = await put(tx, draft(tx, body, type=TYPE, id=name, owner=head.owner))
        target, detail = f"{TYPE}/{name}", f"version {written.version}, {status}"
        row = Audit(at=tx.now, organisation="hub", via=CHANNEL, action="update", target=target, detail=detail)
        await record(tx, [row])


def named(row: Row) -> str:
    """The id of the Subscription that a notification is for."""
    return row.ordering.partition("/")[2]
