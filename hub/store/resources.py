"""Resources: written with their versions and index rows, read back by name and version.

A resource belongs to the owner that wrote it first. Content that did not change makes no version; an event
older than the newest one known is kept beside the versions (version 0) and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hub import r4
from hub.errors import Forbidden, InvalidResource, PreconditionFailed
from hub.store.apply import Batch, apply
from hub.store.backend import Reader, Row, Tx
from hub.store.body import Parts, split
from hub.store.current import Current, look, look_locked
from hub.store.extracting import extracted
from hub.store.keys import NONE, Packed, pack
from hub.store.memory import Head
from hub.store.names import ANY_VERSION, ASSIGNED, CHANGE_NUMBER, Change, type_number
from hub.store.parameters import R4, Parameters
from hub.store.reading import Stored, get, history, superseded, version
from hub.store.search.planner import resolve

__all__ = [
    "Draft", "Stored", "Written", "delete", "draft", "get", "history", "put", "put_all", "resolve",
    "superseded", "version",
]  # fmt: skip


class Draft(msgspec.Struct):
    """A checked resource on its way into the store.

    content   16 bytes that stand for everything but the id, `meta.versionId` and `meta.lastUpdated`
    rows      its index rows; None while this process knows the stored one to be the same
    posted    the posted search parameters that `rows` have been made for
    message   the inbox row it came with (0: none); `event_time` when the sender says it happened (0: undated)
    mapping   the hash of the mapping that made it
    assigned  whether the server chose its id
    """

    type: str
    id: str
    body: bytes
    parts: Parts
    content: bytes
    owner: str
    rows: Packed | None = None
    posted: tuple[r4.SearchParameter, ...] = ()
    message: int = 0
    event_time: int = 0
    mapping: bytes = b""
    assigned: bool = False

    def index(self, reader: Reader, posted: tuple[r4.SearchParameter, ...]) -> Packed:
        """The index rows, made now if they were spared or made for other posted parameters."""
        if self.rows is None or self.posted != posted:
            self.rows = extracted(r4.decode(self.body, self.type), self.body, posted, reader)
            self.posted = posted
        return self.rows


class Written(msgspec.Struct, frozen=True):
    """What became of a draft: `version`, `updated` (microseconds) and stored body of the current state.

    `superseded`: the draft was kept, and `version`, `updated` are those of the newer state that stays.
    `rows` are the index rows of a new version; None where nothing new became current.
    """

    type: str
    id: str
    pid: int
    version: int
    updated: int
    change: Change
    body: bytes
    rows: Packed | None = None


def draft(
    store: Reader,
    body: bytes,
    *,
    type: str = "",
    id: str = "",
    owner: str,
    message: int = 0,
    event_time: int = 0,
    mapping: bytes = b"",
    fallback: bool = False,
) -> Draft:
    """Check a resource and work out its index rows.

    `type` and `id` default to those in the body. What this process remembers to be stored with the same
    content was checked then and is not decoded again; a `fallback`, which is written only where there is
    none, not even with another. Raises InvalidResource with every issue.
    """
    parts = split(body)
    made = Draft(type or parts.type, id or parts.id, body, parts, parts.content(), owner)
    made.message, made.event_time, made.mapping = message, event_time, mapping
    memory = getattr(store, "memory", None)
    stored: Head | None = memory.get((made.type, made.id)) if memory is not None else None
    spared = stored is not None and (fallback or (stored.content == made.content and not stored.deleted))
    if not spared or parts.type != made.type:
        known: Parameters = getattr(store, "known", R4)
        made.index(store, known.indexed(made.type))
    if not made.id:
        raise InvalidResource("A resource needs an id to be stored", expression=f"{made.type}.id")
    return made


async def put(
    tx: Tx, draft: Draft, *, if_match: int | None = None, must_not_exist: bool = False, message: int = 0
) -> Written:
    """Store one draft.

    if_match        the version that must be current, else PreconditionFailed
    must_not_exist  PreconditionFailed when there is one (a deleted one does not count)
    message         overrides `draft.message`

    Raises Forbidden when another owner has it.
    """
    conditions = {(draft.type, draft.id): (if_match, must_not_exist)}
    return (await _put(tx, [draft], conditions, message))[0]


async def put_all(tx: Tx, drafts: Sequence[Draft], *, message: int = 0) -> list[Written]:
    """Store several drafts as `put` does each, in few round trips; a repeated name is written twice."""
    written: list[Written] = []
    rest = list(drafts)
    while rest:
        names: set[tuple[str, str]] = set()
        now: list[Draft] = []
        later: list[Draft] = []
        for one in rest:
            name = (one.type, one.id)
            (later if name in names else now).append(one)
            names.add(name)
        written += await _put(tx, now, {}, message)
        rest = later
    return written


async def _put(
    tx: Tx,
    drafts: list[Draft],
    conditions: dict[tuple[str, str], tuple[int | None, bool]],
    message: int,
) -> list[Written]:
    currents = await look(tx, drafts)
    batch = Batch()
    written = []
    for one, current in zip(drafts, currents, strict=True):
        if_match, must_not_exist = conditions.get((one.type, one.id), (None, False))
        _check(one, current.head, if_match, must_not_exist)
        written.append(_decide(tx, batch, one, current, message or one.message))
    await apply(tx, batch)
    await _tell(tx, written)
    return written


async def _tell(tx: Tx, written: list[Written]) -> None:
    changed = [one for one in written if one.change not in ("unchanged", "superseded")]
    if changed:
        for call in tx.changed:
            await call(tx, changed)


def _check(draft: Draft, head: Head | None, if_match: int | None, must_not_exist: bool) -> None:
    name = f"{draft.type}/{draft.id}"
    if head is None or (head.deleted and if_match == ANY_VERSION):
        if if_match is not None:
            raise PreconditionFailed(f"{name} does not exist; If-Match asks for {_asked(if_match)}")
        return
    if head.owner != draft.owner:
        raise Forbidden(f"{name} belongs to {head.owner}; {draft.owner} may not change it")
    if must_not_exist and not head.deleted:
        raise PreconditionFailed(f"{name} exists already, as version {head.version}")
    if if_match not in (None, ANY_VERSION, head.version):
        raise PreconditionFailed(f"{name} is at version {head.version}, not {if_match}; read it again")


def _asked(if_match: int) -> str:
    return "any version" if if_match == ANY_VERSION else f"version {if_match}"


def _decide(tx: Tx, batch: Batch, draft: Draft, current: Current, message: int) -> Written:
    head = current.head
    if head is None:
        return _write(tx, batch, draft, current, "created", message)
    same = not head.deleted and head.content == draft.content
    if same:
        return _unchanged(tx, batch, draft, head)
    if draft.event_time and (
        draft.event_time < head.event_time or (head.deleted and draft.event_time == head.event_time)
    ):
        return _supersede(tx, batch, draft, current, message)
    return _write(tx, batch, draft, current, "restored" if head.deleted else "updated", message)


def _unchanged(tx: Tx, batch: Batch, draft: Draft, head: Head) -> Written:
    if draft.event_time > head.event_time:
        batch.events.append((draft.event_time, type_number(draft.type), draft.id))
        head = msgspec.structs.replace(head, event_time=draft.event_time)
        tx.memory.keep((draft.type, draft.id), head)
    body = draft.parts.body(draft.type, draft.id, head.version, head.updated)
    return Written(draft.type, draft.id, head.pid, head.version, head.updated, "unchanged", body)


def _supersede(tx: Tx, batch: Batch, draft: Draft, current: Current, message: int) -> Written:
    head = current.head
    assert head is not None
    body = draft.parts.body(draft.type, draft.id, 0, tx.now)
    number = type_number(draft.type)
    change = CHANGE_NUMBER["superseded"]
    line = (current.sequence, head.pid, number, 0, change, tx.now, message, draft.event_time, draft.mapping)
    batch.versions.append((*line, current.xid, body))
    batch.histories.append((head.pid, 0, current.sequence))
    return Written(draft.type, draft.id, head.pid, head.version, head.updated, "superseded", body)


def _write(tx: Tx, batch: Batch, draft: Draft, current: Current, change: Change, message: int) -> Written:
    rows = draft.index(tx, current.known.indexed(draft.type))
    before = current.head
    number = before.version + 1 if before else 1
    updated = max(tx.now, before.updated) if before else tx.now
    body = draft.parts.body(draft.type, draft.id, number, updated)
    head = Head(
        pid=current.pid,
        version=number,
        sequence=current.sequence,
        updated=updated,
        deleted=False,
        owner=draft.owner,
        event_time=max(draft.event_time, before.event_time if before else 0),
        content=draft.content,
    )
    _append(batch, draft.type, draft.id, head, current, change, rows)
    line = (message, draft.event_time, draft.mapping, current.xid, body)
    kind = ASSIGNED if draft.assigned and change == "created" else CHANGE_NUMBER[change]
    batch.versions.append(_version(head, draft.type, kind, line))
    tx.memory.keep((draft.type, draft.id), head)
    return Written(draft.type, draft.id, head.pid, number, updated, change, body, rows)


def _version(head: Head, type_name: str, change: int, rest: Row) -> Row:
    return (head.sequence, head.pid, type_number(type_name), head.version, change, head.updated, *rest)


def _append(
    batch: Batch, type_name: str, id: str, head: Head, current: Current, change: Change, rows: Packed
) -> None:
    """Everything about a new current state but its version row."""
    number = type_number(type_name)
    values = (head.pid, head.version, head.sequence, head.updated, head.deleted, head.owner)
    batch.heads.append((number, id, *values, head.event_time, head.content))
    batch.resources.append((head.pid, number, id, head.sequence, head.updated, rows.date, pack(rows)))
    batch.types.append((number, head.updated, head.sequence, head.pid))
    if current.head is not None:
        batch.histories.append((head.pid, current.head.version, current.head.sequence))
    batch.removed.add(head.pid, current.rows, rows)
    batch.added.add(head.pid, rows, current.rows)


async def delete(
    tx: Tx,
    type: str,
    id: str,
    *,
    owner: str,
    if_match: int | None = None,
    message: int = 0,
    event_time: int = 0,
    mapping: bytes = b"",
) -> Written | None:
    """Delete a resource; None when there is none (or it is deleted already).

    Without `event_time` the deletion happens now: an older event does not bring the resource back.
    Raises Forbidden for another owner's, PreconditionFailed when `if_match` is not the current version.
    """
    current = await look_locked(tx, type, id)
    before = current.head
    if before is None or before.deleted:
        if if_match is not None and (before is None or before.version != if_match):
            raise PreconditionFailed(f"{type}/{id} does not exist; If-Match asks for {_asked(if_match)}")
        return None
    if before.owner != owner:
        raise Forbidden(f"{type}/{id} belongs to {before.owner}; {owner} may not delete it")
    if if_match not in (None, ANY_VERSION, before.version):
        raise PreconditionFailed(f"{type}/{id} is at version {before.version}, not {if_match}; read it again")
    head = msgspec.structs.replace(
        before,
        version=before.version + 1,
        sequence=current.sequence,
        updated=max(tx.now, before.updated),
        deleted=True,
        event_time=max(event_time or tx.now, before.event_time),
        content=b"",
    )
    batch = Batch()
    _append(batch, type, id, head, current, "deleted", NONE)
    line = (message, event_time, mapping, current.xid, b"")
    batch.versions.append(_version(head, type, CHANGE_NUMBER["deleted"], line))
    tx.memory.keep((type, id), head)
    await apply(tx, batch)
    written = Written(type, id, head.pid, head.version, head.updated, "deleted", b"")
    await _tell(tx, [written])
    return written
