"""Mapping documents written on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hub import content
from hub.mapping import Context, Mapping, Mappings, load

Write = Callable[..., Mapping]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(text, **other files)`: the document `set/doc` of a fresh folder."""

    def make(text: str, **files: str) -> Mapping:
        folder = tmp_path / "set"
        folder.mkdir(exist_ok=True)
        for name, body in files.items():
            (folder / name.replace("__", ".")).write_text(dedent(body), encoding="utf-8")
        (folder / "doc.yaml").write_text("mapping: set/doc\n" + dedent(text), encoding="utf-8")
        return load([tmp_path]).named("set/doc")

    return make


@pytest.fixture
def context() -> Callable[..., Context]:
    """A context with the given variables."""

    def make(**env: Any) -> Context:
        return Context(system="test", hub_key=b"key", zone=ZoneInfo("Asia/Shanghai"), env=env)

    return make


@pytest.fixture(scope="session")
def library() -> Mappings:
    """The mappings of the repository."""
    return load([content.mappings()])
