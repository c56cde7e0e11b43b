"""Concept maps as CSV files, read once, looked up by code.

    source,code,display,system,source_system,equivalence,...
    PO,1,口服,urn:oid:2.16.156.10011.2.3.1.158,,
    /^[XZT][A-Z]\\d{2}.*$/,$0,,%base/CodeSystem/nhsa-drug,,inexact

`source` and `code` are required. `code` empty: known, and deliberately mapped to nothing; `$0`: the source
code itself. A source between slashes is a regular expression, tried in order after the exact ones.
`source_system` limits a row to one system. `%base` in `code` and `system` is the canonical base. Rows with
equivalence `inexact` map, and are reported (http://hl7.org/fhir/R4/valueset-concept-map-equivalence.html).
Further columns are looked up by name: lookup('frequency', 'period'). Lines starting with `#` are comments.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import msgspec

from hub.errors import Misconfigured

COLUMNS = ("source", "code", "display", "system", "source_system", "equivalence")


class Target(msgspec.Struct, frozen=True):
    """What a code maps to. `columns` are the further columns of its row."""

    code: str
    display: str = ""
    system: str = ""
    equivalence: str = ""
    columns: dict[str, str] = {}


class ConceptMap:
    """One map. `find` answers in constant time for exact rows."""

    def __init__(self, name: str, rows: list[dict[str, str]], base: str, origin: str) -> None:
        self.name = name
        self._exact: dict[tuple[str, str], Target] = {}
        self._patterns: list[tuple[re.Pattern[str], str, Target]] = []
        for number, row in enumerate(rows, 2):
            self._add(row, base, f"{origin}:{number}")

    def _add(self, row: dict[str, str], base: str, where: str) -> None:
        source, system = row["source"], row.get("source_system", "")
        target = Target(
            code=row["code"].replace("%base", base),
            display=row.get("display", ""),
            system=row.get("system", "").replace("%base", base),
            equivalence=row.get("equivalence", ""),
            columns={key: value for key, value in row.items() if key not in COLUMNS and value},
        )
        if len(source) > 2 and source[0] == source[-1] == "/":
            try:
                self._patterns.append((re.compile(source[1:-1]), system, target))
            except re.error as error:
                raise Misconfigured(
                    f"{where}: expected a regular expression between slashes: {error}"
                ) from None
        elif (source, system) in self._exact:
            raise Misconfigured(f"{where}: expected every source once, found {source!r} again")
        else:
            self._exact[source, system] = target

    def find(self, code: str, system: str = "") -> Target | None:
        """The target of a code; with a system, rows for that system count before rows for any."""
        found = (self._exact.get((code, system)) if system else None) or self._exact.get((code, ""))
        if found is not None:
            return _own(found, code) if found.code == "$0" else found
        for pattern, wanted, target in self._patterns:
            if (not wanted or wanted == system) and pattern.fullmatch(code):
                return _own(target, code)
        return None

    def rows(self) -> list[tuple[str, str, Target]]:
        """Every exact row: source code, source system (empty: any), target (`$0` filled in)."""
        return [(source, system, _own(target, source)) for (source, system), target in self._exact.items()]

    def __len__(self) -> int:
        return len(self._exact) + len(self._patterns)


def _own(target: Target, code: str) -> Target:
    return msgspec.structs.replace(target, code=code) if target.code == "$0" else target


def read_map(path: Path, *, base: str) -> ConceptMap:
    """Read `NAME.map.csv`; raises Misconfigured with file and line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{path}: expected UTF-8, found other bytes at offset {error.start}") from None
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    reader = csv.DictReader(lines, restval="")
    missing = {"source", "code"} - set(reader.fieldnames or ())
    if missing:
        raise Misconfigured(
            f"{path}:1: expected the columns source and code, found {', '.join(reader.fieldnames or ())}"
        )
    rows = []
    for number, row in enumerate(reader, 2):
        if None in row:
            raise Misconfigured(
                f"{path}:{number}: expected {len(reader.fieldnames or ())} columns, found more"
            )
        rows.append({key: value.strip() for key, value in row.items()})
    return ConceptMap(path.name.removesuffix(".map.csv"), rows, base, str(path))
