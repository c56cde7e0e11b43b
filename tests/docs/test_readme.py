"""The Chinese README says what the English one says."""

from __future__ import annotations

import re

from tests.docs.pages import ROOT, blocks, prose

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh.md"
TWO = (ENGLISH, CHINESE)


def test_the_headings_correspond() -> None:
    first, second = ([len(one) for one in re.findall(r"^(#+) ", prose(page), re.MULTILINE)] for page in TWO)
    assert first == second


def test_the_commands_are_the_same() -> None:
    def commands(text: str) -> list[str]:
        """Every command up to what a reader puts in its place."""
        found = re.findall(r"`((?:make|hub)\b[^`]*)`", text)
        return [re.sub(r'(--messages) [^"]*', r"\1", one) for one in found]

    first, second = (commands(prose(page)) for page in TWO)
    assert first == second
    shown = [
        [line.partition("#")[0].strip() for code in blocks(page, "sh") for line in code.splitlines()]
        for page in TWO
    ]
    assert shown[0] == shown[1] == ["make demo", "make test"]


def test_the_links_are_the_same() -> None:
    first, second = (re.findall(r"\]\(([^)]+)\)", prose(page)) for page in TWO)
    assert [one.replace("README.zh.md", "README.md") for one in first] == second


def test_the_tables_have_the_same_rows() -> None:
    first, second = (len(re.findall(r"^\|", prose(page), re.MULTILINE)) for page in TWO)
    assert first == second
