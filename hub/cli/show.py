"""How commands print: tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hub.messages import json_line


def rows(found: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """A listing: one JSON array, or a table of these columns."""
    if as_json:
        print(json_line(found))
        return
    if not found:
        print("nothing")
        return
    cells = [[_cell(row.get(column)) for column in columns] for row in found]
    widths = [max(len(column), *(len(line[place]) for line in cells)) for place, column in enumerate(columns)]
    for line in [list(columns), *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def one(found: Mapping[str, Any], *, as_json: bool, body: str = "body") -> None:
    """One thing: a JSON object, or `name: value` lines with its body last."""
    if as_json:
        print(json_line(found))
        return
    for name, value in found.items():
        if name != body and value not in (None, "", []):
            print(f"{name}: {_cell(value)}")
    if body in found:
        print()
        print(str(found[body]).replace("\r\n", "\n").replace("\r", "\n"))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return "; ".join(str(item.get("diagnostics", json_line(item))) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json_line(value)
