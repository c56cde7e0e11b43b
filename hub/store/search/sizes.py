"""How many index rows conditions had when they were last counted: what chooses the driver of a search."""

from __future__ import annotations

import time

from hub.store.search.conditions import Condition

SECONDS = 60.0
"""How long a size is believed. One that is no longer right costs time, never a match."""
REMEMBERED = 4096


class Sizes:
    """Sizes by condition, the oldest dropped first."""

    def __init__(self) -> None:
        self._known: dict[Condition, tuple[float, int]] = {}

    def get(self, condition: Condition) -> int | None:
        """The size, if it was counted within the last minute."""
        known = self._known.get(condition)
        return known[1] if known is not None and known[0] > time.monotonic() else None

    def keep(self, condition: Condition, size: int) -> None:
        """Remember a size."""
        self._known.pop(condition, None)
        self._known[condition] = (time.monotonic() + SECONDS, size)
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
