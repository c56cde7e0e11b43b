"""Concept maps in CSV."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub import content
from hub.errors import Misconfigured
from hub.terminology.maps import read_map

BASE = "https://example.org/fhir"


def write(folder: Path, text: str) -> Path:
    path = folder / "things.map.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_patterns_and_columns(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "# what things are\nsource,code,display,system,source_system,equivalence,period\n"
        "QD,1,daily,%base/CodeSystem/x,,,24\nQD,2,daily,,urn:other,,\n/[A-Z]\\d+/,$0,,%base/CodeSystem/y,,inexact,\nNO,,,,,,\n",
    )
    found = read_map(path, base=BASE)
    first = found.find("QD")
    assert first is not None
    assert (first.code, first.system, first.columns) == ("1", f"{BASE}/CodeSystem/x", {"period": "24"})
    other, pattern, nothing = found.find("QD", "urn:other"), found.find("A12"), found.find("NO")
    assert other is not None and other.code == "2"
    assert pattern is not None and (pattern.code, pattern.equivalence) == ("A12", "inexact")
    assert nothing is not None and nothing.code == ""
    assert found.find("a12") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("code\nx\n", "columns source and code"),
        ("source,code\na,b,c\n", ":2: expected 2 columns"),
        ("source,code\na,b\na,c\n", ":3: expected every source once"),
        ("source,code\n/(/,b\n", ":2: expected a regular expression"),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said.replace("(", r"\(")):
        read_map(write(tmp_path, text), base=BASE)


def test_every_map_of_the_repository_can_be_read() -> None:
    for path in content.mappings().glob("*/*.map.csv"):
        assert len(read_map(path, base=BASE)), path


def test_the_demo_drugs_are_known_and_others_are_reported() -> None:
    drugs = read_map(content.mappings() / "hl7v2" / "nhsa-drug.map.csv", base=BASE)
    known, shaped = drugs.find("XC08CAA000A000010100001"), drugs.find("XN01BBA064B002010178765")
    assert known is not None and known.equivalence == ""
    assert shaped is not None and shaped.equivalence == "inexact"
    assert drugs.find("XC08CAA000A0000101") is None
