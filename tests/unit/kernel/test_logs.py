"""Log lines carry ids and paths, never values."""

from __future__ import annotations

import logging
import sys

from hub.cli.logs import Lines, MaskQuery
from hub.errors import Conflict


def line(record: logging.LogRecord) -> str:
    MaskQuery().filter(record)
    return Lines().format(record)


def record(text: str, *args: object, error: bool = False, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("hub.x", logging.INFO, "f", 1, text, args, sys.exc_info() if error else None)
    vars(made).update(extra)
    return made


def test_one_line_with_its_fields() -> None:
    text = line(record("stored %s", "message 7", channel="ward", path="a b\n"))
    assert text.endswith(' info hub.x stored message 7 channel=ward path="a b "')
    assert text[:4].isdigit() and "\n" not in text


def test_query_strings_are_masked() -> None:
    assert line(record('"GET %s HTTP/1.1" %d', "/fhir/Patient?name=wang", 200)).endswith(
        '"GET /fhir/Patient?*** HTTP/1.1" 200'
    )


def test_an_exception_is_told_by_its_type_and_place() -> None:
    try:
        raise ValueError("张三")
    except ValueError:
        text = line(record("failed", error=True))
    assert "error=ValueError at=" in text and "test_logs.py:" in text and "张三" not in text


def test_the_hubs_own_errors_keep_their_text() -> None:
    try:
        raise Conflict("Patient/1 is at version 2")
    except Conflict:
        assert "Patient/1 is at version 2" in line(record("failed", error=True))
