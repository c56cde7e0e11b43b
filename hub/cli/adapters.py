"""`hub adapter list`: what is installed, and what FAILED."""

from __future__ import annotations

from hub import plugins
from hub.api.rows import adapters
from hub.cli import show

COLUMNS = ("adapter", "plugin", "version", "state", "simulator", "reason")


def listing(*, as_json: bool) -> int:
    """Print every adapter and plugin; 1 if one FAILED."""
    found = adapters(plugins.load())
    show.rows(found, COLUMNS, as_json=as_json)
    return 1 if any(row["state"] == "FAILED" for row in found) else 0
