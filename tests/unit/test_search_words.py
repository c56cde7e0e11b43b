"""What `_text` and `_content` understand (http://hl7.org/fhir/R4/search.html#text)."""

from __future__ import annotations

import json

import pytest

from hub.store.search.escapes import BadValue
from hub.store.search.words import check_words, matcher


def _found(value: str, div: str, code: str = "_text") -> bool:
    text = {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{div}</div>'}
    body = json.dumps({"resourceType": "Condition", "text": text, "note": [{"text": "Café am Rhein"}]})
    return matcher(code, value)(body.encode())


@pytest.mark.parametrize(
    ("value", "div", "expected"),
    [
        ("metastases", "<p>Bone <b>metastases</b></p>", True),
        ("METASTASES", "metastases", True),
        ("metastase", "metastases", False),
        ("bone metastases", "metastases in the bone", True),
        ('"bone metastases"', "metastases in the bone", False),
        ('"bone metastases"', "bone  metastases", True),
        ("(bone OR liver) and metastases", "liver metastases", True),
        ("(bone OR liver) and metastases", "lung metastases", False),
        ("metastases NOT liver", "liver metastases", False),
        ("metastases NOT liver", "bone metastases", True),
        ("头痛", "<p>偏头痛三天</p>", True),
        ("CT", "头部CT检查", True),
        ("b", "<b>x</b>", False),
        ("a & b", "a &amp; b", True),
        ("rhein", "nothing here", False),
    ],
)
def test_words_are_looked_for_in_the_narrative(value: str, div: str, expected: bool) -> None:
    assert _found(value, div) is expected


def test_content_is_everything_the_resource_says() -> None:
    assert _found("cafe rhein", "x", "_content")
    assert _found("x", "x", "_content")
    assert not _found("xmlns", "x", "_content")


@pytest.mark.parametrize("value", ["", "  ", "(a", "a)", "OR a", "a OR", "NOT", "()", '""', "a " * 101])
def test_what_cannot_be_read_is_refused(value: str) -> None:
    with pytest.raises(BadValue):
        check_words(value)
