"""What the how-to says of methods and fields is what the code has."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

import msgspec
import pytest

from hub.adapters import Adapter, Capabilities
from hub.messages import Delivery, Message
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "how-to" / "write-an-adapter.md"


def signatures(code: str) -> list[str]:
    """Every method of the first class, without its body."""
    (found,) = (
        one for one in ast.parse(code).body if isinstance(one, ast.ClassDef) and one.name == "Adapter"
    )
    methods = [one for one in found.body if isinstance(one, ast.AsyncFunctionDef)]
    return [f"{one.name}({ast.unparse(one.args)}) -> {ast.unparse(one.returns or one)}" for one in methods]


def test_the_methods_are_those_of_the_adapter() -> None:
    (shown,) = (code for code in blocks(PAGE, "python") if code.startswith("class Adapter:"))
    assert signatures(shown) == signatures(inspect.getsource(Adapter))


@pytest.mark.parametrize("struct", [Capabilities, Message, Delivery], ids=lambda one: one.__name__)
def test_the_tables_name_every_field_with_its_default(struct: type[msgspec.Struct]) -> None:
    table = PAGE.read_text("utf-8").partition(f"| {struct.__name__} | default |")[2].partition("\n\n")[0]
    shown = re.findall(r"^\| `(\w+)` \| (?:`(.*?)`)? ?\| .", table, re.MULTILINE)
    assert shown == [(one.name, default(one)) for one in msgspec.structs.fields(struct)]


def default(field: Any) -> str:
    """As the page writes it."""
    if field.default is not msgspec.NODEFAULT:
        return f'"{field.default}"' if isinstance(field.default, str) else repr(field.default)
    return "" if field.default_factory is msgspec.NODEFAULT else repr(field.default_factory())
