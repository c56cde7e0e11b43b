"""What goes wrong on purpose: a list of rules that a simulator consumes in order.

    simulator.faults.add("lose-reply", "2207A")               # the next 2207A acts, its answer is lost
    simulator.faults.add("late", seconds=3, times=2)          # the next two answers take three seconds
    simulator.faults.add("refuse", where=lambda body: "X01" in str(body))

The same words mean the same thing in every simulator:

    lose-request  the connection breaks before the system acts
    lose-reply    the system acts, the connection breaks before the answer
    late          the system acts, and waits `seconds` before it answers
    twice         the request reaches the system twice; a sending system sends the same bytes twice
    refuse        the system says no, in its own words
    down          the connection breaks without effect, and nobody listens for `seconds`
    garble        the system acts, and answers bytes that nobody can read
    gbk           the answer comes in GBK, whatever was agreed
    http-500      HTTP status 500 without effect (the caller cannot know that)
    cut           a sending system breaks off in the middle of a message
    reset         a sending system resets the connection instead of reading the answer
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Literal, get_args

import msgspec

What = Literal[
    "lose-request",
    "lose-reply",
    "late",
    "twice",
    "refuse",
    "down",
    "garble",
    "gbk",
    "http-500",
    "cut",
    "reset",
]
WHATS: tuple[str, ...] = get_args(What)


class Fault(msgspec.Struct, kw_only=True):
    """One rule.

    what     see the module            kind   the message kind it waits for; `*` is any
    seconds  for `late` and `down`     times  how often it strikes before it is used up
    where    further condition on what the simulator shows it (a parsed body, a person); None: always
    """

    what: What
    kind: str = "*"
    seconds: float = 0.0
    times: int = 1
    where: Callable[[Any], bool] | None = None

    def matches(self, kind: str, subject: Any) -> bool:
        """Does it strike here?"""
        return self.kind in ("*", kind) and (self.where is None or self.where(subject))

    async def wait(self) -> None:
        """Sleep its `seconds`."""
        if self.seconds > 0:
            await asyncio.sleep(self.seconds)


class Faults:
    """The rules of one simulator, oldest first; safe to fill from another thread.

    `struck` lists what was met so far, as `(kind, what)`.
    """

    def __init__(self) -> None:
        self.rules: list[Fault] = []
        self.struck: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def add(
        self,
        what: What,
        kind: str = "*",
        *,
        seconds: float = 0.0,
        times: int = 1,
        where: Callable[[Any], bool] | None = None,
    ) -> Fault:
        """Append a rule. Raises ValueError for an unknown word."""
        if what not in WHATS:
            raise ValueError(f"unknown fault {what!r}: expected one of {', '.join(WHATS)}")
        fault = Fault(what=what, kind=kind, seconds=seconds, times=times, where=where)
        with self._lock:
            self.rules.append(fault)
        return fault

    async def next(self, kind: str, subject: Any = None) -> Fault | None:
        """Take the first rule that strikes a message of `kind`, or None; it waits for nothing itself."""
        with self._lock:
            for fault in self.rules:
                if fault.matches(kind, subject):
                    fault.times -= 1
                    if fault.times <= 0:
                        self.rules.remove(fault)
                    self.struck.append((kind, fault.what))
                    return fault
        return None

    def clear(self) -> None:
        """Forget all rules that have not struck."""
        with self._lock:
            self.rules.clear()
