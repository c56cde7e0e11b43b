"""`make fuzz`: the long run, on SQLite and on a real PostgreSQL.

python -m tests.fuzz --minutes 10 --seed 7 --only postgresql
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.machine import Postgres
from tests.fuzz.rounds import fuzz

DATABASES = ("sqlite", "postgresql")


def main() -> int:
    """0 when nothing was wrong; what was wrong is printed, and the logs stay in a folder that is named."""
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    read.add_argument("--minutes", type=float, default=10.0, help="for all databases together")
    read.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    read.add_argument("--only", choices=DATABASES)
    asked = read.parse_args()
    chosen = [asked.only] if asked.only else list(DATABASES)
    folder = Path(tempfile.mkdtemp(prefix="hub-fuzz-"))
    print(f"seed {asked.seed}; logs in {folder}")
    wrong = [
        name
        for name in chosen
        if not _sound(folder / name, name, asked.seed, asked.minutes * 60 / len(chosen))
    ]
    print(f"WRONG on {', '.join(wrong)}" if wrong else "nothing was wrong")
    return 1 if wrong else 0


def _sound(folder: Path, name: str, seed: int, seconds: float) -> bool:
    folder.mkdir()
    server = Postgres(folder) if name == "postgresql" else None
    try:
        url = server.database() if server else f"sqlite:///{folder / 'hub.db'}"
        found = asyncio.run(fuzz(folder, url, seed=seed, seconds=seconds))
    finally:
        if server:
            server.stop()
    print(found)
    return not found


if __name__ == "__main__":
    sys.exit(main())
