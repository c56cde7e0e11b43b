"""`hub conformance run`: what it prints, writes and exits with."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hub import r4
from tests.integration.cli.conftest import Place, free_port

ONE = {
    "resourceType": "TestScript",
    "id": "demanding",
    "url": "https://example.org/TestScript/demanding",
    "name": "Demanding",
    "status": "draft",
    "test": [
        {
            "name": "no server does this",
            "action": [
                {"operation": {"type": {"code": "capabilities"}, "encodeRequestUrl": True}},
                {"assert": {"response": "gone", "warningOnly": False}},
            ],
        }
    ],
}


def url(place: Place) -> str:
    return f"http://127.0.0.1:{place.port}/fhir"


def test_the_whole_suite_passes_and_is_reported(running: Place) -> None:
    running.within = True
    ended = running.run("conformance", "run", "--target", url(running), "--report", "a report")
    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.split()[:7] == ["suite", "result", "tests", "passed", "failed", "skipped", "reason"]
    names = [line.split()[0] for line in ended.stdout.splitlines()[1:]]
    folder = running.folder / "a report"
    assert {file.name for file in folder.iterdir()} == {
        "junit.xml",
        *(f"TestReport-{name}.json" for name in names),
    }
    for name in names:
        body = (folder / f"TestReport-{name}.json").read_bytes()
        r4.decode(body, "TestReport")
        report = json.loads(body)
        assert (report["result"], report["status"], report["score"]) == ("pass", "completed", 100)
        assert report["testScript"]["reference"] == f"TestScript/{name}"
    suites = ElementTree.parse(folder / "junit.xml").getroot()
    assert [suite.get("name") for suite in suites] == names
    assert {(suite.get("failures"), suite.get("errors")) for suite in suites} == {("0", "0")}


def test_a_failure_is_told_and_ends_with_1(running: Place) -> None:
    running.within = True
    (running.folder / "demanding.json").write_text(json.dumps(ONE), "utf-8")
    asked = (
        "conformance",
        "run",
        "--target",
        url(running),
        "--suite",
        "demanding.json",
        "--suite",
        "metadata",
    )
    ended = running.run(*asked, "--json", "--report", "r")
    assert ended.returncode == 1
    first, second = json.loads(ended.stdout)
    assert first == {
        "suite": "demanding",
        "result": "fail",
        "tests": 1,
        "passed": 0,
        "failed": 1,
        "skipped": 0,
        "reason": "no server does this: expected the status 410, came 200",
    }
    assert (second["suite"], second["result"]) == ("metadata", "pass")
    suite, _ = ElementTree.parse(running.folder / "r" / "junit.xml").getroot()
    (case,) = suite
    assert case.get("name") == "no server does this"
    assert [one.tag for one in case] == ["failure"]
    report = json.loads((running.folder / "r" / "TestReport-demanding.json").read_bytes())
    assert report["result"] == "fail" and report["score"] == 0
    assert [next(iter(action.values()))["result"] for action in report["test"][0]["action"]] == [
        "pass",
        "fail",
    ]


def test_what_was_skipped_did_not_pass(running: Place) -> None:
    running.within = True
    action = {"operation": {"type": {"code": "of-nobody"}, "encodeRequestUrl": True}}
    script = ONE | {"test": [{"name": "unknown", "action": [action]}]}
    (running.folder / "skipped.json").write_text(json.dumps(script), "utf-8")
    ended = running.run(
        "conformance", "run", "--target", url(running), "--suite", "skipped.json", "--report", "r"
    )
    assert ended.returncode == 1 and "not supported" in ended.stdout
    body = (running.folder / "r" / "TestReport-demanding.json").read_bytes()
    r4.decode(body, "TestReport")
    assert json.loads(body)["result"] == "pending"
    (suite,) = ElementTree.parse(running.folder / "r" / "junit.xml").getroot()
    assert suite.get("skipped") == "1"


def test_nobody_there_is_3_and_bad_usage_is_2(place: Place) -> None:
    place.within = True
    ended = place.run("conformance", "run", "--target", f"http://127.0.0.1:{free_port()}/fhir")
    assert ended.returncode == 3 and "does not answer" in ended.stderr
    assert place.run("conformance", "run").returncode == 2
    for arguments in (
        ("--target", "nonsense"),
        ("--target", url(place), "--suite", "nonsense"),
        ("--target", url(place), "--suite", "."),
    ):
        ended = place.run("conformance", "run", *arguments)
        assert ended.returncode == 2, arguments
        assert ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "content", ["{", '{"resourceType": "Patient"}', '{"resourceType": "TestScript"}', "[]"]
)
def test_a_file_that_is_no_testscript_is_2(content: str, place: Place) -> None:
    place.within = True
    file: Path = place.folder / "bad.json"
    file.write_text(content, "utf-8")
    ended = place.run("conformance", "run", "--target", url(place), "--suite", "bad.json")
    assert ended.returncode == 2 and "bad.json" in ended.stderr
