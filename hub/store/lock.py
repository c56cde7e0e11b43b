"""One process owns a SQLite file: a lock file beside it says which, and where it answers."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

from hub.errors import Misconfigured


class Owner(msgspec.Struct, frozen=True):
    """Who holds the database: the process id and the base URL of its HTTP interface (may be empty)."""

    pid: int
    url: str = ""


def lock_path(database: Path) -> Path:
    """`hub.db` → `hub.db.lock`."""
    return database.with_name(database.name + ".lock")


def owner_of(database: Path) -> Owner | None:
    """The process that has this database open now, or None."""
    try:
        file = os.open(lock_path(database), os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(file)
    finally:
        os.close(file)
    return None


def take(database: Path, url: str = "") -> int:
    """Lock the database for this process; the file descriptor keeps it until it is closed.

    Raises Misconfigured naming the owner when another process has it.
    """
    file = os.open(lock_path(database), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = _read(file) or Owner(0)
        os.close(file)
        where = f" at {owner.url}" if owner.url else ""
        raise Misconfigured(
            f"database_url: {database} is open in the hub with pid {owner.pid}{where}; "
            "ask that hub, stop it, or give this one another database; processes share only PostgreSQL"
        ) from None
    sign(file, url)
    return file


def sign(file: int, url: str) -> None:
    """Write who holds the lock."""
    os.ftruncate(file, 0)
    os.pwrite(file, msgspec.json.encode(Owner(os.getpid(), url)), 0)


def _read(file: int) -> Owner | None:
    try:
        return msgspec.json.decode(os.pread(file, 4096, 0), type=Owner)
    except msgspec.DecodeError:
        return None
