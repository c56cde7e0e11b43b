"""docs/reference/mapping.md: its example runs, and it names every key, directive and function."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from hub import r4
from hub.mapping import Context, load
from hub.mapping.document import TOP_LEVEL
from hub.mapping.functions import FUNCTIONS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "mapping.md"
TEXT = PAGE.read_text("utf-8") if PAGE.is_file() else ""
CODE = Path(__file__).parents[3] / "hub" / "mapping"

if not TEXT:
    pytest.skip("the documentation is not here", allow_module_level=True)


def test_the_example_runs(tmp_path: Path, context: Callable[..., Context]) -> None:
    folder = tmp_path / "example"
    folder.mkdir()
    (folder / "greeting.yaml").write_text(TEXT.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    (folder / "gender.map.csv").write_text("source,code\n1,male\n", encoding="utf-8")
    source = {"number": "N1", "name": "测试甲", "sex": "1", "when": "2026-02-01 09:00:00", "text": "hello"}
    mapped = load([tmp_path]).named("example/greeting").map(source, context())
    assert [one.type for one in mapped.resources] == ["Patient", "Communication"]
    for one in mapped.resources:
        r4.decode(one.body, one.type)


def test_every_key_directive_and_function_is_named() -> None:
    used = "".join(path.read_text("utf-8") for path in CODE.glob("*.py"))
    directives = set(
        re.findall(r"\$(?:as|when|for|let|id|system|existing|ref|reference|value|code|\w+)", used)
    )
    directives -= {"$this", "$index", "$total", "$0"}
    for name in sorted(TOP_LEVEL | directives):
        assert f"`{name}" in TEXT or f"{name}" in re.findall(r"\$?\w+", TEXT), name
    for function in FUNCTIONS:
        assert re.search(rf"`{function}\(", TEXT), function
