"""The command `hub`. `main` is its entry point; everything else is imported when a command needs it."""

from __future__ import annotations


def main() -> None:
    """Run and exit: 0 good, 1 what was checked is bad, 2 usage or set-up, 3 not reachable."""
    from hub.cli.commands import run

    raise SystemExit(run())
