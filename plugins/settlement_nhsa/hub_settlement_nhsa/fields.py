"""Is a request complete? Every missing, too long or mistyped field is named before anything is sent.

`fields.tsv` is the table: transaction (2206 stands for 2206A, and so on; * is the envelope), node (with
[] a list), field, type, length (characters, or digits in all and decimals), required, and where our
mappings take it from.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from hub.errors import Issue


class Field(msgspec.Struct, frozen=True):
    """One row of the table."""

    txn: str
    node: str
    field: str
    type: str
    length: str
    required: str
    source: str


@cache
def table() -> dict[str, dict[str, tuple[Field, ...]]]:
    """Fields by transaction and node."""
    rows: dict[str, dict[str, tuple[Field, ...]]] = {}
    with files("hub_settlement_nhsa").joinpath("fields.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            field = Field(**row)
            nodes = rows.setdefault(field.txn, {})
            nodes[field.node] = (*nodes.get(field.node, ()), field)
    return rows


def check(body: bytes, optional: Sequence[str] = ()) -> list[Issue]:
    """What is wrong with an envelope (UTF-8 JSON); `optional` holds `2204 prd_days`-like exceptions.

    A transaction that the table does not know is checked for its envelope only.
    """
    try:
        envelope = json.loads(body, parse_float=Decimal)
    except ValueError as error:
        return [Issue(code="structure", diagnostics=f"the request is not JSON: {error}")]
    infno = str(envelope.get("infno") or "")
    issues = list(_node("", envelope, table()["*"][""], infno, optional))
    nodes = table().get(infno) or table().get(infno.removesuffix("A")) or {}
    given = envelope.get("input")
    for name, fields in nodes.items():
        node = name.removesuffix("[]")
        content = given.get(node) if isinstance(given, dict) else None
        items = content if name.endswith("[]") else [content]
        if not isinstance(items, list) or not items:
            issues.append(
                Issue(code="required", diagnostics=f"input.{node} is missing", expression=f"input.{node}")
            )
            continue
        for index, item in enumerate(items):
            where = f"input.{node}[{index}]." if name.endswith("[]") else f"input.{node}."
            issues.extend(_node(where, item if isinstance(item, dict) else {}, fields, infno, optional))
    return issues


def _node(
    where: str, content: dict[str, Any], fields: Sequence[Field], infno: str, optional: Sequence[str]
) -> Iterator[Issue]:
    for field in fields:
        value = content.get(field.field)
        path = where + field.field
        if value is None or value == "":
            if field.required and f"{infno} {field.field}" not in optional:
                text = f"{path} is missing; it comes from: {field.source}"
                yield Issue(code="required", diagnostics=text, expression=path)
            continue
        wrong = _wrong(value, field)
        if wrong:
            yield Issue(code="value", diagnostics=f"{path} {wrong}", expression=path)


def _wrong(value: Any, field: Field) -> str:
    """What is wrong with a value, without quoting it."""
    if field.type == "number":
        return _wrong_number(value, field.length)
    if not isinstance(value, str):
        return "should be text"
    if field.type == "time":
        return "" if _is_time(value) else "should be a time as yyyy-MM-dd HH:mm:ss"
    return (
        f"has {len(value)} characters, allowed are {field.length}" if len(value) > int(field.length) else ""
    )


def _wrong_number(value: Any, length: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return "should be a number"
    digits, decimals = (int(part) for part in length.split(","))
    number = Decimal(value)
    fits = abs(number) < Decimal(10) ** (digits - decimals) and number == round(number, decimals)
    return "" if fits else f"does not fit {digits} digits with {decimals} decimals"


def _is_time(value: str) -> bool:
    try:
        datetime.strptime(value, "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return False
    return True
