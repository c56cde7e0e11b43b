"""Results for others: TestReport (http://hl7.org/fhir/R4/testreport.html), JUnit, rows of a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from hub import r4
from hub.conformance.results import Action, Part, Result
from hub.errors import Misconfigured

ENGINE = "https://sanyi-hub.org"
_ODD = re.compile(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FILE = re.compile(r"[^A-Za-z0-9_.\-]+")


def rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    """One row per script: counts of its tests, and why the first of them did not pass."""
    return [
        {
            "suite": one.id,
            "result": one.verdict,
            "tests": len(one.tests),
            "passed": one.count("pass"),
            "failed": one.count("fail"),
            "skipped": one.count("skip"),
            "reason": next((_told(part) for part in (one.setup, *one.tests) if part.verdict != "pass"), ""),
        }
        for one in results
    ]


def _told(part: Part) -> str:
    return _plain(f"{part.name}: {part.reason}")


def test_report(result: Result, issued: datetime) -> dict[str, Any]:
    """The R4 TestReport of a run; what was skipped makes its result `pending`, never `pass`."""
    total = len(result.tests)
    score = Decimal(100 * result.count("pass")) / total if total else Decimal(0)
    report: dict[str, Any] = {
        "resourceType": "TestReport",
        "name": _plain(result.title),
        "status": "completed",
        "testScript": {"reference": f"TestScript/{result.id}", "display": _plain(result.title)},
        "result": {"pass": "pass", "fail": "fail", "skip": "pending"}[result.verdict],
        "score": round(score, 1),
        "tester": "Sanyi Hub",
        "issued": issued.isoformat(timespec="seconds"),
        "participant": [
            {"type": "test-engine", "uri": ENGINE, "display": "Sanyi Hub"},
            {"type": "server", "uri": result.target},
        ],
    }
    if result.setup.actions:
        report["setup"] = {"action": [_reported(one) for one in result.setup.actions]}
    tests = [_test(part) for part in result.tests if part.actions]
    if tests:
        report["test"] = tests
    if result.teardown.actions:
        report["teardown"] = {"action": [_reported(one) for one in result.teardown.actions]}
    return report


def _test(part: Part) -> dict[str, Any]:
    found: dict[str, Any] = {"name": _plain(part.name)}
    if part.description:
        found["description"] = _plain(part.description)
    return found | {"action": [_reported(one) for one in part.actions]}


def _reported(action: Action) -> dict[str, Any]:
    message = f"{action.label}: {action.message}" if action.label else action.message
    return {action.kind: {"result": action.outcome, "message": _plain(message)}}


def junit(results: Sequence[Result]) -> bytes:
    """The JUnit XML of several runs: a suite per script, a case per test, setup among them if it failed."""
    root = ElementTree.Element("testsuites")
    for one in results:
        parts = [*([one.setup] if one.setup.verdict != "pass" else []), *one.tests]
        counts = {
            "tests": len(parts),
            "failures": sum(part.verdict == "fail" for part in parts),
            "errors": 0,
            "skipped": sum(part.verdict == "skip" for part in parts),
        }
        suite = ElementTree.SubElement(root, "testsuite", name=one.id, time=f"{one.seconds:.3f}")
        for name, count in counts.items():
            suite.set(name, str(count))
        for part in parts:
            case = ElementTree.SubElement(suite, "testcase", classname=one.id, name=_plain(part.name))
            if part.verdict != "pass":
                kind = "failure" if part.verdict == "fail" else "skipped"
                ElementTree.SubElement(case, kind, message=_plain(part.reason))
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def write(results: Sequence[Result], folder: Path, issued: datetime) -> None:
    """One TestReport per script and junit.xml, into a folder that is made. Raises Misconfigured."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for one in results:
            name = _FILE.sub("-", one.id) or "script"
            (folder / f"TestReport-{name}.json").write_bytes(r4.untree(test_report(one, issued)))
        (folder / "junit.xml").write_bytes(junit(results))
    except OSError as error:
        raise Misconfigured(f"--report {folder}: cannot be written: {error.strerror}") from None


def _plain(text: str) -> str:
    """Text that XML and FHIR allow, not longer than a report needs."""
    return (_ODD.sub("", text).strip() or "-")[:2_000]
