"""Commands, settings, routes and hooks are all in the reference, because it is made from them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from hub.settings import ENVIRONMENT, ChannelSettings, Settings
from tests.docs.pages import ROOT
from tools import build_reference

PAGES = [
    "commands.md",
    "settings.md",
    "http.md",
    "fhir-interactions.md",
    "fhir-operations.md",
    "fhir-search-parameters.md",
]


@pytest.mark.parametrize("page", PAGES)
def test_the_page_says_what_the_code_says(page: str) -> None:
    written = (build_reference.REFERENCE / page).read_text("utf-8")
    assert written == build_reference.pages()[page], "run make docs"


def models() -> list[type[BaseModel]]:
    return [Settings, ChannelSettings, *(one.Settings for one in build_reference.ours().adapters.values())]


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_every_setting_is_described(model: type[BaseModel]) -> None:
    bare = [name for name, field in model.model_fields.items() if not (field.description or field.exclude)]
    assert bare == []


def test_every_variable_is_listed_and_in_the_example() -> None:
    for file in (Path("docs/reference/settings.md"), Path("hub.example.toml")):
        text = (ROOT / file).read_text("utf-8")
        assert [name for name in ENVIRONMENT if name not in text] == [], file


def test_every_variable_of_the_tests_is_listed() -> None:
    read = re.compile(r"environ(?:\.get\(|\[)\"(HUB_[A-Z0-9_]+)|\"(HUB_[A-Z0-9_]+)\" (?:not )?in os.environ")
    found = {
        name
        for file in (ROOT / "tests").rglob("*.py")
        for pair in read.findall(file.read_text("utf-8"))
        for name in pair
    }
    listed = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert [name for name in found if name and name not in ENVIRONMENT and f"`{name}`" not in listed] == []


def test_every_command_and_route_explains_itself() -> None:
    pages = build_reference.pages()
    for page in ("commands.md", "http.md", "fhir-operations.md"):
        assert [line for line in pages[page].splitlines() if line.endswith(("|  |", "| |"))] == [], page
