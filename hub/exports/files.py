"""The files of one export: written in chunks, each on the disk before it is counted.

Only what is counted is ever given out. Each claim of an export writes files of its own, so that a process
that lost its claim without noticing spoils nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from hub.exports.asked import File, Kind

FOLDER_MODE, FILE_MODE = 0o700, 0o600


class Files:
    """Adds lines to the files of a folder. `limit`: lines of one file."""

    def __init__(self, folder: Path, files: list[File], fence: int, limit: int) -> None:
        self.files = files
        self._folder = folder
        self._fence = fence
        self._limit = limit

    def restore(self) -> bool:
        """Cut off what was never counted; False when something that was counted is missing."""
        for path in self._folder.glob("*.ndjson"):
            if path.name not in {one.name for one in self.files}:
                path.unlink(missing_ok=True)
        for one in self.files:
            path = self._folder / one.name
            if not path.is_file() or path.stat().st_size < one.size:
                return False
            os.truncate(path, one.size)
        return True

    def clear(self) -> None:
        """Begin again."""
        remove(self._folder)
        self.files.clear()

    def add(self, kind: Kind, type_name: str, lines: Sequence[bytes]) -> None:
        """Write these lines; OSError when the disk does not take them."""
        start = 0
        while start < len(lines):
            file = self._last(kind, type_name)
            some = lines[start : start + self._limit - file.count]
            self._write(file, b"\n".join(some) + b"\n")
            file.count += len(some)
            start += len(some)

    def _last(self, kind: Kind, type_name: str) -> File:
        """The one with room, or a new one."""
        mine = [one for one in self.files if one.fence == self._fence and one.kind == kind]
        mine = [one for one in mine if one.type == type_name]
        if mine and mine[-1].count < self._limit:
            return mine[-1]
        label = type_name if kind == "output" else f"{type_name}-deleted"
        name = f"{label}.{self._fence}-{len(mine) + 1}.ndjson"
        self.files.append(File(kind, type_name, name, self._fence))
        return self.files[-1]

    def _write(self, file: File, content: bytes) -> None:
        self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        target = os.open(self._folder / file.name, os.O_WRONLY | os.O_CREAT, FILE_MODE)
        try:
            os.ftruncate(target, file.size)
            os.lseek(target, file.size, os.SEEK_SET)
            left = memoryview(content)
            while left:
                left = left[os.write(target, left) :]
            os.fsync(target)
        finally:
            os.close(target)
        if not file.size:
            _sync(self._folder)
        file.size += len(content)


def remove(folder: Path) -> None:
    """Remove the files of an export, if there are any."""
    shutil.rmtree(folder, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Make new names in a folder last."""
    target = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(target)
    finally:
        os.close(target)
