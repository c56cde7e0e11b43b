"""The wheels, built once from what git tracks, and an environment that knows nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(command: Sequence[str | Path], folder: Path, timeout: float = 120) -> str:
    """The standard output of a command in a folder, with neither our environment variables nor our path."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HUB_", "PYTHON", "VIRTUAL_ENV", "MAKE"))
    }
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def tracked() -> list[str]:
    """The files of the repository, as git knows them."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this is not a git checkout: what belongs to the source cannot be told from build litter")
    names = run(["git", "-c", "core.quotepath=off", "ls-files", "-z"], ROOT).split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tracked files, so that building leaves no litter in the checkout."""
    folder = tmp_path_factory.mktemp("a source")
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def wheels(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel of the kernel and of each plugin, by distribution name (`sanyi_hub`, ...)."""
    dist = tmp_path_factory.mktemp("dist")
    for part in (source, *sorted((source / "plugins").iterdir())):
        run([sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", dist, part], source)
    return {wheel.name.partition("-")[0]: wheel for wheel in sorted(dist.glob("*.whl"))}


@pytest.fixture(scope="session")
def installed(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of a new environment that holds the wheels and what they ask for."""
    folder = tmp_path_factory.mktemp("somebody's computer") / "a clean .venv"
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    run([programs / "python", *install, *wheels.values()], folder, timeout=300)
    return programs
