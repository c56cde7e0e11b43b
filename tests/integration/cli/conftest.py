"""Commands as people run them: a process, its output and its exit code."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest

from hub.cli import commands


def free_port() -> int:
    """A port of the loopback interface that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Place:
    """A folder with a `hub.toml`; `port` is the hub's, `mllp` the hospital channel's.

    `within`: commands run in this process, which spares them the start of Python;
    `serve` never does, nor a command with a PYTHONPATH of its own.
    """

    within = False

    def __init__(self, folder: Path, database_url: str = "") -> None:
        self.folder = folder
        self.port, self.mllp = free_port(), free_port()
        lines = [
            f"port = {self.port}",
            "access_log = true",
            f"database_url = {json.dumps(database_url)}" if database_url else "",
            "[channels.ward]",
            'adapter = "his-hl7v2"',
            f'listen = "127.0.0.1:{self.mllp}"',
            'mapping = "hl7v2"',
        ]
        (folder / "hub.toml").write_text("\n".join(lines) + "\n", "utf-8")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
        self.environment = kept | {"COLUMNS": "200", "PYTHONUTF8": "1"}

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `hub ...` to its end."""
        if self.within and arguments[0] != "serve" and "PYTHONPATH" not in environment:
            return self._within(*arguments, **environment)
        return subprocess.run(
            [sys.executable, "-c", "from hub.cli import main; main()", *arguments],
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _within(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        root, out, err = logging.getLogger(), io.StringIO(), io.StringIO()
        handlers, level = root.handlers[:], root.level
        try:
            with (
                contextlib.chdir(self.folder),
                mock.patch.dict(os.environ, self.environment | environment, clear=True),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                code = commands.run(list(arguments))
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    def json(self, *arguments: str) -> Any:
        """Run it with --json; what it printed."""
        ended = self.run(*arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def serve(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start `hub serve` (or another command that stays) and wait until it is ready."""
        with (self.folder / "serve.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", "from hub.cli import main; main()", *(arguments or ("serve",))],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        for _ in range(200):
            try:
                if (
                    httpx.get(f"http://127.0.0.1:{self.port}/health/ready", trust_env=False).status_code
                    == 200
                ):
                    return process
            except httpx.TransportError:
                pass
            assert process.poll() is None, self.log()
            time.sleep(0.1)
        raise AssertionError(self.log())

    def log(self) -> str:
        """What the running hub wrote."""
        return (self.folder / "serve.log").read_text("utf-8", "replace")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A folder whose name has a space, with settings."""
    folder = tmp_path / "a hub"
    folder.mkdir()
    return Place(folder)


def end(process: subprocess.Popen[bytes]) -> int:
    """Interrupt a running hub; its exit code."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(20)
    finally:
        process.kill()


@pytest.fixture
def running(place: Place) -> Iterator[Place]:
    """The same with `hub serve` running in it."""
    process = place.serve()
    yield place
    end(process)
