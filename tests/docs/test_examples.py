"""What pages and docstrings show as an example is true; example settings load."""

from __future__ import annotations

import doctest
import importlib
import json
import re
import tomllib
from io import StringIO
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from hub import settings
from hub.settings import ChannelSettings, Settings
from tests.docs.pages import FENCED, ROOT, blocks, name, pages
from tools import build_reference

EXAMPLE = ROOT / "hub.example.toml"


def with_examples() -> list[str]:
    """The modules of the hub whose docstrings have examples."""
    found = [
        file for file in (ROOT / "hub").rglob("*.py") if re.search(r"^\s*>>> ", file.read_text("utf-8"), re.M)
    ]
    return [file.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for file in sorted(found)]


@pytest.mark.parametrize("module", with_examples())
def test_examples_in_docstrings(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module.removesuffix(".__init__")))
    assert found.attempted and not found.failed


@pytest.mark.parametrize("page", [page for page in pages() if ">>> " in page.read_text("utf-8")], ids=name)
def test_examples_in_pages(page: Path) -> None:
    text = re.sub(r"^```.*$", "", page.read_text("utf-8"), flags=re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(text, {}, name(page), str(page), 0)
    found = doctest.DocTestRunner().run(test)
    assert found.attempted and not found.failed


@pytest.mark.parametrize(
    "page", [page for page in pages() if FENCED.search(page.read_text("utf-8"))], ids=name
)
def test_code_blocks_can_be_read(page: Path) -> None:
    for code in blocks(page, "toml"):
        tomllib.loads(code)
    for code in blocks(page, "json"):
        json.loads(code)
    for code in blocks(page, "yaml"):
        list(YAML(typ="safe").load_all(StringIO(code)))
    for code in blocks(page, "python"):
        if ">>> " not in code:
            compile(code, name(page), "exec")


def test_the_example_settings_load() -> None:
    found = settings.load(EXAMPLE, {})
    assert found.channels["county-hospital"].adapter_settings["listen"] == "127.0.0.1:2575"


def test_the_example_shows_only_keys_that_exist() -> None:
    """Also the channels that are commented out."""
    uncommented = re.sub(r"^# (?=\[|[a-z_]+ = )", "", EXAMPLE.read_text("utf-8"), flags=re.MULTILINE)
    shown = {key for key in tomllib.loads(uncommented) if key != "channels"}
    assert shown == {key for key, field in Settings.model_fields.items() if not field.exclude} - {"channels"}
    adapters = build_reference.ours().adapters
    channels = tomllib.loads(uncommented)["channels"]
    assert {one["adapter"] for one in channels.values()} == set(adapters)
    for channel, table in channels.items():
        known = {*ChannelSettings.model_fields, *adapters[table["adapter"]].Settings.model_fields}
        assert set(table) <= known, channel
    told = settings.build({"channels": channels})
    for table in told.channels.values():
        for document in table.conversations:
            assert (ROOT / "mappings" / f"{document}.conversation.yaml").is_file(), document
        assert (ROOT / "mappings" / table.mapping).is_dir()
