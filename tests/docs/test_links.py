"""Every link leads somewhere, every file and command that a page names is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from hub.cli.commands import app
from tests.docs.pages import ROOT, blocks, name, pages, prose

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FOLDERS = ("hub/", "plugins/", "mappings/", "tests/", "tools/", "docs/", "conformance/")
every_page = pytest.mark.parametrize("page", pages(), ids=name)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the usual viewers make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@every_page
def test_every_link_resolves(page: Path) -> None:
    for target in LINK.findall(prose(page)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{target}: no such file"
        assert found.is_relative_to(ROOT), f"{target}: outside the repository"
        if anchor:
            assert anchor in anchors(found), f"{target}: {found.name} has no such heading"


@every_page
def test_every_file_a_page_names_is_there(page: Path) -> None:
    for code in CODE.findall(prose(page)):
        if code.startswith(FOLDERS) and " " not in code:
            pattern = re.sub(r"<[^>]*>|NAME|[A-Z_]{4,}", "*", code).rstrip("/")
            pattern = re.sub(r"\{([^{}]*)\}", "*", pattern)
            assert any(ROOT.glob(pattern)) or pattern.startswith("conformance"), f"{code}: no such file"


def commands() -> set[str]:
    """Every `hub` command and group of commands, as one writes it."""

    def below(words: str, command: Any) -> list[str]:
        inner = getattr(command, "commands", {})
        return [words, *(leaf for word, one in inner.items() for leaf in below(f"{words} {word}", one))]

    return set(below("hub", typer.main.get_command(app)))


def targets() -> set[str]:
    """Every target of the Makefile that `make help` shows."""
    return set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def is_known(words: list[str]) -> bool:
    """A command, with anything after it; `hub message list|show` stands for both."""
    known = commands()
    if words[:1] != ["hub"] or words[1:2] in ([], ["--help"], ["--config"]):
        return words[:1] == ["hub"]
    if f"hub {words[1]}" not in known:
        return False
    inner = {one for one in known if one.startswith(f"hub {words[1]} ")}
    return not inner or all(f"hub {words[1]} {one}" in inner for one in words[2].split("|"))


@every_page
def test_every_command_a_page_names_exists(page: Path) -> None:
    lines = [line for code in blocks(page, "sh") for line in code.splitlines()]
    for one in [*CODE.findall(prose(page)), *lines]:
        words = one.split()
        if one.startswith("make ") and "=" not in words[1]:
            assert words[1] in targets(), one
        if one.startswith("hub "):
            assert is_known(words), f"{one}: no such command"


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    named = {(index.parent / target).resolve() for target in LINK.findall(prose(index))}
    missing = [name(page) for page in (ROOT / "docs").rglob("*.md") if page not in named and page != index]
    assert [one for one in missing if not one.startswith("docs/changes/")] == []


def test_every_change_says_what_it_is() -> None:
    fragments = list((ROOT / "docs" / "changes").glob("*/*.md"))
    assert fragments
    assert [name(one) for one in fragments if not re.match(r"# \S", one.read_text("utf-8"))] == []
