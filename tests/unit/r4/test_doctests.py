"""The examples in docstrings and in the reference are true."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["definitions", "hashes", "ranges"])
def test_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"hub.r4.{name}")).failed == 0


def test_the_reference_page() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "r4-pack.md"
    found = doctest.testfile(str(page), module_relative=False)
    assert found.attempted and not found.failed
