"""The package under conformance/: all of it is valid R4, and profiles mean what their examples say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub import content, fhirpath, r4
from hub.conformance.scripts import read_resource
from hub.terminology.identifiers import ID_CARD_SYSTEM, id_card_is_valid
from tests.unit.conformance.differential import broken
from tests.unit.conformance.rules_of_r4 import violated

PACKAGE = content.conformance()
BASE = "https://sanyi-hub.org/fhir"
NAMES = {
    "Claim-another-currency": "amount-currency",
    "Claim-three-decimals": "amount-decimals",
    "Claim-wrong-total": "total-is-sum",
    "Medication-without-expiry-date": "Medication.batch.expirationDate",
    "Medication-without-lot-number": "Medication.batch.lotNumber",
    "MedicationRequest-short-drug-code": "drug-code",
    "MedicationRequest-supplied-for-too-long": "long-prescription",
    "MedicationRequest-without-prescription-number": "MedicationRequest.groupIdentifier",
    "Patient-without-name": "Patient.name",
    "Patient-wrong-check-digit": "resident-check",
    "SupplyDelivery-completed-without-receipt": "received",
    "SupplyDelivery-contained-without-lot": "contained-lot",
    "SupplyDelivery-nothing-supplied": "shipped-count",
}
"""The one rule that each invalid example breaks."""
PROFILED = {
    "Claim": "claim",
    "Medication": "medication-lot",
    "MedicationRequest": "medication-request",
    "Patient": "patient",
    "SupplyDelivery": "supply-delivery",
}


def resources() -> list[Path]:
    return [file for file in sorted(PACKAGE.rglob("*.json")) if file.name != "package.json"]


def profile(name: str) -> dict[str, Any]:
    return read_resource(PACKAGE / "profiles" / f"{name}.json")


def of_example(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """An example and its profile."""
    example = read_resource(file)
    (claimed,) = example["meta"]["profile"]
    return example, profile(claimed.removeprefix(f"{BASE}/StructureDefinition/"))


@pytest.mark.parametrize("file", resources(), ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_every_resource_is_valid_r4(file: Path) -> None:
    r4.decode(file.read_bytes(), strict_keys=True)
    assert violated(read_resource(file)) == []


@pytest.mark.parametrize("file", sorted((PACKAGE / "examples").glob("*.json")), ids=lambda file: file.stem)
def test_a_valid_example_keeps_every_rule(file: Path) -> None:
    example, rules = of_example(file)
    assert broken(rules, example) == set()


def test_an_invariant_that_is_broken_is_seen() -> None:
    person = {"resourceType": "Patient", "contact": [{"gender": "male"}]}
    assert violated(person) == ["Patient.contact[0]: pat-1"]
    assert violated(person | {"contained": [{"resourceType": "Basic", "id": "b"}]})[0] == "Patient: dom-3"


def test_each_profile_has_a_valid_and_an_invalid_example() -> None:
    valid = {file.stem.partition("-")[0] for file in (PACKAGE / "examples").glob("*.json")}
    invalid = {file.stem.partition("-")[0] for file in (PACKAGE / "examples" / "invalid").glob("*.json")}
    profiled = {read_resource(file)["type"] for file in (PACKAGE / "profiles").glob("*.json")}
    assert valid == invalid == profiled == set(PROFILED)


@pytest.mark.parametrize(
    "file", sorted((PACKAGE / "examples" / "invalid").glob("*.json")), ids=lambda file: file.stem
)
def test_an_invalid_example_breaks_the_rule_it_names_and_no_other(file: Path) -> None:
    example, rules = of_example(file)
    assert broken(rules, example) == {NAMES[file.stem]}


def test_every_invalid_example_is_told_of_in_the_guide() -> None:
    guide = read_resource(PACKAGE / "ImplementationGuide-sanyi-hub.json")["definition"]["resource"]
    told = {
        one["reference"]["reference"].replace("/", "-"): one["description"]
        for one in guide
        if "description" in one
    }
    assert told == {name: f"Breaks {rule} and nothing else." for name, rule in NAMES.items()}


def test_the_guide_lists_what_the_package_carries() -> None:
    guide = read_resource(PACKAGE / "ImplementationGuide-sanyi-hub.json")
    listed = [one["reference"]["reference"] for one in guide["definition"]["resource"]]
    found = [read_resource(file) for file in resources()]
    carried = sorted(
        f"{one['resourceType']}/{one['id']}" for one in found if one["resourceType"] != "ImplementationGuide"
    )
    assert sorted(listed) == carried
    named = json.loads((PACKAGE / "package.json").read_text("utf-8"))
    assert (named["name"], named["canonical"]) == (guide["packageId"], BASE)
    assert named["fhirVersions"] == guide["fhirVersion"] == ["4.0.1"]


@pytest.mark.parametrize(
    "file",
    [*sorted((PACKAGE / "profiles").glob("*.json")), *sorted((PACKAGE / "extensions").glob("*.json"))],
    ids=lambda file: file.stem,
)
def test_a_differential_names_elements_that_r4_has(file: Path) -> None:
    found = read_resource(file)
    assert found["url"] == f"{BASE}/StructureDefinition/{file.stem}" and found["id"] == file.stem
    for element in found["differential"]["element"]:
        path = element["path"]
        assert r4.element(path) is not None if "." in path else path == found["type"], path
        for rule in element.get("constraint", []):
            assert rule["source"] == found["url"]
            fhirpath.compile(rule["expression"])


@pytest.mark.parametrize(
    ("number", "valid"),
    [
        # the worked example of GB 11643-1999, then the same with its neighbours' check characters
        ("11010519491231002X", True),
        ("11010519491231002x", True),
        ("110105194912310021", False),
        ("440524188001010014", True),
        ("440524188001010015", False),
        ("370502195203140019", True),
        ("730502195203140019", False),
    ],
)
def test_the_check_of_the_resident_number_is_that_of_gb_11643(number: str, valid: bool) -> None:
    patient = {
        "resourceType": "Patient",
        "identifier": [{"system": ID_CARD_SYSTEM, "value": number}],
        "name": [{"text": "测试甲"}],
    }
    assert ("resident-check" not in broken(profile("patient"), patient)) is valid
    assert id_card_is_valid(number) is valid


def mapped() -> Iterator[tuple[str, dict[str, Any]]]:
    """What the hub's own mappings make of their samples."""
    for file in sorted(content.mappings().glob("*/samples/*.expected.json")):
        for one in json.loads(file.read_text("utf-8")).get("resources", []):
            if one["resourceType"] in PROFILED:
                yield file.name.removesuffix(".expected.json"), one


def test_what_the_mappings_write_keeps_the_profiles() -> None:
    """Apart from what the sources of a few samples lack on purpose."""
    found = set()
    for sample, written in mapped():
        resource = r4.tree(json.dumps(written).encode())
        for rule in broken(profile(PROFILED[written["resourceType"]]), resource, warnings=False):
            found.add((sample, rule))
    assert found == {
        ("adt.id-card", "resident-check"),  # a number with a wrong check character, kept and tagged
        ("prescription.mismatch", "amount-currency"),  # charges in another currency
        ("prescription.rde", "MedicationRequest.groupIdentifier"),  # a pharmacy's message without ORC-4
    }
