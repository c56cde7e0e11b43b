"""The Dockerfile, without a Docker daemon: its own steps, in a clean environment and an empty folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT, run

pytestmark = pytest.mark.timeout(420)


def steps() -> list[tuple[str, str]]:
    """(instruction, argument) of every step, line continuations joined, comments and mounts left out."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    pairs = (line.split(maxsplit=1) for line in lines)
    return [(name, re.sub(r"--mount=\S+\s+", "", rest).strip()) for name, rest in pairs]


def argument(name: str) -> str:
    """The argument of the one step of this kind in the last stage."""
    found = [rest for step, rest in steps() if step == name]
    return found[-1]


@pytest.fixture(scope="module")
def image(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment made by the two `pip` steps; the second has no index."""
    folder = tmp_path_factory.mktemp("an image")
    wheels, home = folder / "wheels", folder / "env"
    venv.create(home, with_pip=True)
    for name, rest in steps():
        if name == "RUN" and rest.startswith("pip "):
            asked = rest.replace("/wheels", shlex.quote(str(wheels)))
            asked = asked.replace("pip ", f"{shlex.quote(str(home / 'bin' / 'python'))} -m pip ", 1)
            run(["sh", "-c", asked], source, timeout=400)
    return home / "bin"


def test_the_image_is_made_of_wheels_only() -> None:
    asked = [rest for name, rest in steps() if name == "RUN" and "pip install" in rest]
    assert len(asked) == 1
    assert "--no-index" in asked[0] and "--find-links /wheels" in asked[0]


def test_it_does_not_run_as_root_and_keeps_its_data_in_a_volume() -> None:
    assert int(argument("USER")) > 0
    assert argument("VOLUME") == argument("WORKDIR") == "/var/lib/hub"
    assert argument("ENV") == "HUB_DATABASE_URL=sqlite:////var/lib/hub/hub.db"


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def serving(image: Path, port: int, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What CMD starts, in an empty folder; its environment."""
    environment = {
        "PATH": f"{image}{os.pathsep}{os.defpath}",
        "HUB_PORT": str(port),
        "HUB_DATABASE_URL": f"sqlite:///{tmp_path / 'hub.db'}",
    }
    with (tmp_path / "log").open("wb") as log:
        command = json.loads(argument("CMD"))
        hub = subprocess.Popen(
            [image / command[0], *command[1:]], cwd=tmp_path, env=environment, stdout=log, stderr=log
        )
    try:
        yield environment
    finally:
        hub.terminate()
        assert hub.wait(30) in (0, -15)


def test_what_it_starts_becomes_healthy_and_stops_when_told(
    serving: dict[str, str], image: Path, tmp_path: Path
) -> None:
    _, _, check = argument("HEALTHCHECK").partition(" CMD ")
    command = json.loads(check)
    done = None
    for _ in range(100):
        done = subprocess.run(
            [image / command[0], *command[1:]], env=serving, capture_output=True, timeout=20, check=False
        )
        if done.returncode == 0:
            break
        time.sleep(0.2)
    assert done is not None and done.returncode == 0, (tmp_path / "log").read_text()
    assert (tmp_path / "hub.db").stat().st_mode & 0o077 == 0


def test_its_health_check_says_when_nothing_answers(image: Path, port: int) -> None:
    _, _, check = argument("HEALTHCHECK").partition(" CMD ")
    command = json.loads(check)
    environment = {"HUB_PORT": str(port)}
    done = subprocess.run(
        [image / command[0], *command[1:]], env=environment, capture_output=True, timeout=20, check=False
    )
    assert done.returncode != 0
