"""Another program may read the hub's SQLite file while the hub runs: nothing stored is lost by it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from hub.store import open_store
from hub.store.resources import draft, get, put

COUNT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("SELECT count(*) FROM resource").fetchone()[0])
connection.close()
"""
BODY = b'{"resourceType":"Organization","id":"%d","name":"County hospital"}'


async def test_a_reader_beside_the_hub_sees_and_spoils_nothing(sqlite_url: str) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    store = await open_store(sqlite_url)

    async def write(number: int) -> None:
        made = draft(store, BODY % number, owner="test")
        await store.write(lambda tx: put(tx, made))

    for number in range(1, 4):
        await write(number)
        found = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", COUNT, str(path)], capture_output=True, check=True
        )
        assert int(found.stdout) == number
        assert path.with_name(path.name + "-wal").exists(), "the reader took the hub for gone"
    await store.close()
    store = await open_store(sqlite_url)
    assert await get(store, "Organization", "3") is not None
    await store.close()
