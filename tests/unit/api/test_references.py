"""Links inside raw JSON: replaced where they are links, untouched everywhere else."""

from __future__ import annotations

import json

import pytest

from hub.api import references

BASE = "http://127.0.0.1:8080/fhir"


def test_only_links_change_and_everything_else_stays_byte_for_byte() -> None:
    body = (
        b'{"resourceType":"Observation", "id":"o",  "subject" : { "reference"\n:\t"urn:uuid:1" },'
        b'"identifier":[{"value":"urn:uuid:1"}],"note":[{"text":"\\"reference\\": \\"urn:uuid:1\\""}],'
        b'"valueQuantity":{"value":1.00e2}}'
    )
    changed = references.replace(body, {"urn:uuid:1": "Patient/9"}.get)
    assert changed == body.replace(b'"urn:uuid:1" }', b'"Patient/9" }')


def test_elements_of_type_uri_and_the_narrative_are_links_too() -> None:
    body = json.dumps(
        {
            "text": {"div": '<div><a href="urn:uuid:1">x</a><img src="urn:uuid:1"/> urn:uuid:1</div>'},
            "extension": [{"url": "e", "valueUri": "urn:uuid:1"}, {"url": "e", "valueString": "urn:uuid:1"}],
        }
    ).encode()
    changed = json.loads(references.replace(body, {"urn:uuid:1": "Patient/9"}.get))
    assert changed["text"]["div"] == '<div><a href="Patient/9">x</a><img src="Patient/9"/> urn:uuid:1</div>'
    assert [list(one.values())[1] for one in changed["extension"]] == ["Patient/9", "urn:uuid:1"]


def test_own_absolute_references_become_relative() -> None:
    body = f'{{"reference":"{BASE}/Patient/1","b":{{"reference":"{BASE}-2/Patient/1"}}}}'.encode()
    assert references.localise(body, BASE) == body.replace(f"{BASE}/".encode(), b"", 1)
    escaped = body.replace(b"/", b"\\/")
    assert b'"reference":"Patient/1"' in references.localise(escaped, BASE)


@pytest.mark.parametrize(
    ("link", "full_url", "found"),
    [
        ("urn:uuid:1", "urn:uuid:2", "Patient/9"),
        ("urn:uuid:1#part", "urn:uuid:2", "Patient/9#part"),
        ("Patient/17", "http://his/fhir/Condition/1", "Patient/8"),
        ("Patient/17/_history/2", "http://his/fhir/Condition/1", "Patient/8"),
        ("Patient/17", "urn:uuid:2", None),
        ("Patient/17", "http://other/fhir/Condition/1", None),
        ("http://his/fhir/Patient/17", "", "Patient/8"),
        ("#contained", "urn:uuid:2", None),
    ],
)
def test_how_links_are_found_in_a_bundle(link: str, full_url: str, found: str | None) -> None:
    known = {"urn:uuid:1": "Patient/9", "http://his/fhir/Patient/17": "Patient/8"}
    assert references.resolver(known, full_url)(link) == found


def test_links_behind_escaped_keys_are_found() -> None:
    body = (
        b'{"subject":{"re\\u0066erence":"urn:uuid:1"},"note":[{"text":"\\u4e2d: \\"x\\":"}],"value":1.00e2}'
    )
    assert references.references(references.plain(body)) == ["urn:uuid:1"]
    assert b"1.00e2" in references.plain(body)
    untouched = b'{"a":"re\\u0066erence","b":"\\",\\"c\\":"}'
    assert references.plain(untouched) is untouched


def test_every_item_of_a_list_of_uris_is_a_link() -> None:
    body = b'{"instantiatesUri":["urn:uuid:1", "urn:uuid:2","http://a.org"],"instantiatesCanonical":["urn:uuid:1"]}'
    known = {"urn:uuid:1": "PlanDefinition/9", "urn:uuid:2": "PlanDefinition/8"}
    assert references.replace(body, known.get) == body.replace(
        b'"urn:uuid:1", "urn:uuid:2"', b'"PlanDefinition/9", "PlanDefinition/8"'
    )
    assert references.links(body) == ["urn:uuid:1", "urn:uuid:2", "http://a.org"]


def test_what_only_looks_like_a_link_stays() -> None:
    body = b'{"identifier":[{"system":"urn:uuid:1","value":"urn:uuid:1"}],"url":"urn:uuid:1|2"}'
    assert references.replace(body, {"urn:uuid:1": "Patient/9"}.get) == body
