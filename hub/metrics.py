"""Counters of one hub and their Prometheus text (https://prometheus.io/docs/instrumenting/exposition_formats/).

`DESCRIBED` is the list of all of them; an unknown name or label is refused. Labels are ids, names of
channels, states and outcomes: never a value of a message or resource.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

Labels = tuple[str, ...]
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Described(msgspec.Struct, frozen=True):
    """What a metric is: its type, its help text and the names of its labels."""

    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Labels = ()


DESCRIBED: dict[str, Described] = {
    "hub_messages_total": Described("counter", "Messages by outcome", ("channel", "outcome")),
    "hub_deliveries_total": Described("counter", "Sends by how they ended", ("channel", "outcome")),
    "hub_deliveries": Described("gauge", "Outbox rows by state", ("state",)),
    "hub_subscriptions": Described("gauge", "Subscriptions that are told of changes", ("status",)),
    "hub_backlog": Described("gauge", "Messages received and not yet mapped", ("channel",)),
    "hub_store_commits_total": Described("counter", "Transactions committed by the writer"),
    "hub_store_writes_total": Described("counter", "Writes that shared those commits"),
    "hub_http_requests_total": Described("counter", "HTTP requests", ("interaction", "status")),
    "hub_http_seconds": Described("histogram", "Time to answer an HTTP request", ("interaction",)),
    "hub_channels": Described("gauge", "Channels by state", ("state",)),
    "hub_ready": Described("gauge", "1 when the store is open and the channels run"),
}

Reading = tuple[str, Labels, float]
"""Name, label values in the described order, value."""


class _Histogram(msgspec.Struct):
    counts: list[int]
    total: float = 0.0


class Metrics:
    """All figures of one hub. Every method is cheap enough for the hot path and safe in one thread."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, Labels], float] = {}
        self._histograms: dict[tuple[str, Labels], _Histogram] = {}
        self._sources: list[Callable[[], Iterable[Reading]]] = []

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Add to a counter; labels in the described order."""
        key = (name, labels)
        if key not in self._numbers:
            self._check(name, labels)
            self._numbers[key] = 0
        self._numbers[key] += by

    def put(self, name: str, *labels: str, value: float) -> None:
        """Set a gauge."""
        self._check(name, labels)
        self._numbers[name, labels] = value

    def observe(self, name: str, *labels: str, seconds: float) -> None:
        """Add one duration to a histogram."""
        key = (name, labels)
        found = self._histograms.get(key)
        if found is None:
            self._check(name, labels)
            found = self._histograms[key] = _Histogram([0] * (len(BUCKETS) + 1))
        found.counts[bisect_left(BUCKETS, seconds)] += 1
        found.total += seconds

    def source(self, read: Callable[[], Iterable[Reading]]) -> None:
        """Figures that are read when somebody asks (numbers the store or a channel keeps anyway)."""
        self._sources.append(read)

    def value(self, name: str, *labels: str) -> float:
        """One figure, 0 if it never moved."""
        return self._numbers.get((name, labels), 0)

    def text(self, more: Iterable[Reading] = ()) -> str:
        """The exposition, version 0.0.4; `more` are readings taken for this answer."""
        numbers = dict(self._numbers)
        for source in self._sources:
            numbers.update(((name, labels), value) for name, labels, value in source())
        numbers.update(((name, labels), value) for name, labels, value in more)
        lines: list[str] = []
        for name, described in DESCRIBED.items():
            lines += (f"# HELP {name} {described.help}", f"# TYPE {name} {described.type}")
            rows = sorted((labels, value) for (key, labels), value in numbers.items() if key == name)
            lines += (f"{name}{_labels(described.labels, labels)} {_number(value)}" for labels, value in rows)
            for (key, labels), histogram in sorted(self._histograms.items()):
                if key == name:
                    lines += _histogram_lines(name, described.labels, labels, histogram)
        return "\n".join(lines) + "\n"

    def _check(self, name: str, labels: Labels) -> None:
        if name not in DESCRIBED or len(labels) != len(DESCRIBED[name].labels):
            raise KeyError(f"no metric {name!r} with {len(labels)} labels; hub/metrics.py lists them")


def _histogram_lines(name: str, names: Labels, labels: Labels, histogram: _Histogram) -> list[str]:
    lines, running = [], 0
    bounds = (*(_number(bound) for bound in BUCKETS), "+Inf")
    for bound, count in zip(bounds, histogram.counts, strict=True):
        running += count
        lines.append(f"{name}_bucket{_labels((*names, 'le'), (*labels, bound))} {running}")
    lines.append(f"{name}_sum{_labels(names, labels)} {_number(histogram.total)}")
    lines.append(f"{name}_count{_labels(names, labels)} {running}")
    return lines


def _labels(names: Labels, values: Labels) -> str:
    pairs = ",".join(f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{pairs}}}" if pairs else ""


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
