"""schemathesis against a hub that runs: from the FHIR routes' document, and from the admin API's own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.fuzz import openapi


async def ask(url: str, folder: Path, *, seconds: int, seed: int) -> str:
    """Run both for half the time each; what failed, or empty. The full reports are in `folder`."""
    routes = folder / "fhir-openapi.json"
    routes.write_text(json.dumps(openapi.document()), "utf-8")
    found = [
        await _run(folder, str(routes), url=f"{url}/fhir", seconds=seconds * 3 // 4, seed=seed),
        await _run(folder, f"{url}/openapi.json", url=url, seconds=seconds // 4, seed=seed),
    ]
    return "\n".join(filter(None, found))


async def _run(folder: Path, schema: str, *, url: str, seconds: int, seed: int) -> str:
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", schema, "--url", url,
        "--max-time", str(max(seconds, 1)), "--phases", "examples,coverage,fuzzing",
        "--checks", "sound_answer", "--seed", str(seed), "--no-color",
        "--continue-on-failure", "--no-shrink", "--request-timeout", "60", "--suppress-health-check", "all",
        "--generation-database", "none", "--warnings", "off",
    ]  # fmt: skip
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.fuzz.checks"}
    running = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await running.communicate()
    text = output.decode("utf-8", "replace")
    with (folder / "schemathesis.log").open("a", encoding="utf-8") as log:
        log.write(text)
    return "" if running.returncode == 0 else text[-8000:]
