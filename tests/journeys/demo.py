"""Running `hub demo` as a person would: a process of its own, its JSON read back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def demo(*arguments: str, folder: Path, database_url: str = "") -> dict[str, Any]:
    """The JSON object that `hub demo --once --json` prints; the test fails with its errors otherwise."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HUB_")}
    environment["TMPDIR"] = str(folder)
    if database_url:
        environment["HUB_DATABASE_URL"] = database_url
    done = subprocess.run(
        [sys.executable, "-c", "from hub.cli import main; main()", "demo", "--once", "--json", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def words(journey: dict[str, Any]) -> list[str]:
    """The steps of a journey, in order."""
    return [step["step"] for step in journey["steps"]]
