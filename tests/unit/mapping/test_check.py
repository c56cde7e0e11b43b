"""`hub map test`: differences are shown, and a mapping without a sample fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.errors import InvalidResource
from hub.mapping import check, load
from hub.mapping.library import read_json

DOCUMENT = """\
mapping: set/doc
format: json
resources:
  - resourceType: Patient
    $as: person
    $id: = no
    name: [{text: = name}]
  - resourceType: Condition
    $id: = no
    subject: {$ref: person}
"""


def prepare(folder: Path, sample: str | None, expected: str | None) -> list[check.Result]:
    samples = folder / "set" / "samples"
    samples.mkdir(parents=True)
    (folder / "set" / "doc.yaml").write_text(DOCUMENT, encoding="utf-8")
    if sample is not None:
        (samples / "doc.case.json").write_text(sample, encoding="utf-8")
    if expected is not None:
        (samples / "doc.case.expected.json").write_text(expected, encoding="utf-8")
    return check.test([folder])


def test_as_expected_with_free_names_as_ids(tmp_path: Path) -> None:
    results = prepare(
        tmp_path,
        '{"no": "1", "name": "a"}',
        '{"resources": [{"resourceType": "Patient", "id": "p", "name": [{"text": "a"}]},'
        '{"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/p"}}]}',
    )
    assert [(one.sample, one.ok) for one in results] == [("doc.case.json", True)]


def test_differences_carry_their_path(tmp_path: Path) -> None:
    results = prepare(
        tmp_path,
        '{"no": "1", "name": "a"}',
        '{"resources": [{"resourceType": "Patient", "id": "p", "name": [{"text": "b"}], "active": true},'
        '{"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/other"}}], '
        '"facts": {"x": 1}}',
    )
    found = "\n".join(results[0].differences)
    assert 'resources[0].name[0].text: expected "b", found "a"' in found
    assert "resources[0].active: expected true, found nothing" in found
    assert 'resources[1].subject.reference: expected "Patient/other"' in found
    assert "facts.x: expected 1, found nothing" in found


def test_an_expected_error(tmp_path: Path) -> None:
    assert prepare(tmp_path, "{}", '{"error": "usable identifier"}')[0].ok


def test_another_error_and_no_error(tmp_path: Path) -> None:
    assert not prepare(tmp_path / "a", "{}", '{"error": "something else"}')[0].ok
    assert not prepare(tmp_path / "b", '{"no": "1"}', '{"error": "usable identifier"}')[0].ok


def test_no_sample_and_no_expected_result_are_failures(tmp_path: Path) -> None:
    assert "expected at least one sample of set/doc" in prepare(tmp_path / "a", None, None)[0].differences[0]
    assert "expected the hand-written result" in prepare(tmp_path / "b", "{}", None)[0].differences[0]


def test_a_broken_document_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "doc.yaml").write_text("mapping: set/doc\nformat: [\n", encoding="utf-8")
    assert "doc.yaml:3" in check.test([tmp_path])[0].differences[0]


def test_numbers_are_compared_as_written() -> None:
    assert list(check.compare(read_json(b"[105.00]"), read_json(b"[105.0]"), "x"))
    assert not list(check.compare(read_json(b"[105.00]"), read_json(b"[105.00]"), "x"))
    assert list(check.compare([1], [True], "x"))
    assert list(check.compare(["1"], [1], "x"))


INVALID = """
mapping: set/doc
format: json
resources:
  - resourceType: Patient
    $id: = no
    gender: = sex
"""


def test_what_is_no_valid_r4_fails_in_run_and_test(tmp_path: Path) -> None:
    folder = tmp_path / "set" / "samples"
    folder.mkdir(parents=True)
    (tmp_path / "set" / "doc.yaml").write_text(INVALID, encoding="utf-8")
    (folder / "doc.json").write_text('{"no": "1", "sex": "both"}', encoding="utf-8")
    (folder / "doc.expected.json").write_text(
        '{"resources": [{"resourceType": "Patient", "id": "p", "gender": "both"}]}', encoding="utf-8"
    )
    (result,) = check.test([tmp_path])
    assert [one.startswith("Patient: no valid R4: Patient.gender") for one in result.differences] == [True]
    found = check.run(load([tmp_path]).named("set/doc"), folder / "doc.json")
    (issue,) = found["entry"][-1]["resource"]["issue"]
    assert issue["severity"] == "error" and "Patient.gender" in issue["diagnostics"]
    assert check.is_faulty(found)


def test_an_outbound_resource_that_is_no_valid_r4_fails_too(tmp_path: Path) -> None:
    folder = tmp_path / "set" / "samples"
    folder.mkdir(parents=True)
    text = "mapping: set/doc\ndirection: out\nformat: fhir\nmessage: {resourceType: Patient, gender: = sex}\n"
    (tmp_path / "set" / "doc.yaml").write_text(text, encoding="utf-8")
    (folder / "doc.json").write_text('{"sex": "both"}', encoding="utf-8")
    (folder / "doc.expected.json").write_text(
        '{"resourceType": "Patient", "gender": "both"}', encoding="utf-8"
    )
    assert "message: no valid R4: Patient.gender" in check.test([tmp_path])[0].differences[0]
    with pytest.raises(InvalidResource):
        check.run(load([tmp_path]).named("set/doc"), folder / "doc.json")
