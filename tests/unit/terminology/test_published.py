"""What HL7 publishes with R4, read from the pack."""

from __future__ import annotations

import pytest

from hub.errors import NotFound, NotSupported
from hub.r4 import terms
from hub.terminology.compose import Composer
from hub.terminology.source import Published


async def codes(url: str) -> list[str]:
    source = Published()
    value_set = await source.value_set(url)
    assert value_set is not None
    return [code for _, code in await Composer(source).members(value_set)]


async def test_a_published_value_set_has_its_codes() -> None:
    found = await codes("http://hl7.org/fhir/ValueSet/administrative-gender")
    assert found == ["male", "female", "other", "unknown"]


async def test_a_published_value_set_is_filtered_by_hierarchy() -> None:
    found = await codes("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode")
    assert {"AMB", "EMER", "IMP", "ACUTE", "NONAC", "OBSENC", "VR"} <= set(found)
    assert "ACCTRECEIVABLE" not in found


@pytest.mark.parametrize("kind", ["CodeSystem", "ValueSet", "ConceptMap"])
def test_every_entry_lies_where_the_table_says(kind: terms.TermKind) -> None:
    for url in terms.published_urls(kind):
        one = terms.published(kind, url)
        assert one is not None and (one["resourceType"], one["url"]) == (kind, url)


async def test_codes_under_somebody_elses_copyright_are_not_shipped() -> None:
    snomed = await Published().code_system("http://snomed.info/sct")
    assert snomed is not None and not snomed.listed and not snomed.concepts
    with pytest.raises(NotSupported, match=r"snomed\.info"):
        await codes("http://hl7.org/fhir/ValueSet/body-site")
    with pytest.raises(NotSupported, match="copyright notice"):
        await codes("http://hl7.org/fhir/ValueSet/condition-severity")


async def test_a_published_value_set_is_listed_or_refused_by_the_name_of_what_is_missing() -> None:
    source, refused = Published(), 0
    urls = terms.published_urls("ValueSet")
    for url in urls:
        value_set = await source.value_set(url)
        assert value_set is not None
        try:
            await Composer(source).members(value_set)
        except (NotFound, NotSupported) as error:
            refused += 1
            assert any(name in str(error) for name in ("http", "urn:")), url
    assert refused < len(urls) / 6


async def test_a_version_that_is_not_published_is_not_known() -> None:
    source = Published()
    assert await source.code_system("http://hl7.org/fhir/administrative-gender", "4.0.1") is not None
    assert await source.code_system("http://hl7.org/fhir/administrative-gender", "3.0.0") is None
    assert await source.value_set("http://hl7.org/fhir/ValueSet/administrative-gender", "3.0.0") is None
