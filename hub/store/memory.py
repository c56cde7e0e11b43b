"""What this process remembers of the resources it wrote or read last.

On SQLite, where this process owns the file, a remembered head is the truth, so that a resource that comes
again unchanged costs no SQL. On PostgreSQL it is a hint: it saves the decoding, never the look-up.
"""

from __future__ import annotations

import msgspec

Name = tuple[str, str]
"""Type and id."""


class Head(msgspec.Struct, frozen=True):
    """The current state of a resource without its body.

    `content` is the 16-byte hash of everything but `meta.versionId` and `meta.lastUpdated`; `updated` is
    in microseconds; `event_time` is the newest event that spoke of it, 0 if none was dated.
    """

    pid: int
    version: int
    sequence: int
    updated: int
    deleted: bool
    owner: str
    event_time: int
    content: bytes


class Memory:
    """The last `limit` heads, the least recently used dropped first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._heads: dict[Name, Head] = {}

    def get(self, name: Name) -> Head | None:
        """The remembered head."""
        head = self._heads.pop(name, None)
        if head is not None:
            self._heads[name] = head
        return head

    def keep(self, name: Name, head: Head) -> None:
        """Remember this head as the latest."""
        self._heads.pop(name, None)
        self._heads[name] = head
        if len(self._heads) > self._limit:
            del self._heads[next(iter(self._heads))]

    def drop(self, name: Name) -> None:
        """Forget one."""
        self._heads.pop(name, None)

    def clear(self) -> None:
        """Forget everything."""
        self._heads.clear()
