"""JSON in and out: what was written is what comes back."""
# ruff: noqa: E501 (tables)

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from hub import r4
from hub.errors import InvalidResource
from tests.unit.r4.samples import CLAIM, OBSERVATION, PATIENT


def literal(body: bytes) -> Any:
    """The JSON with every number as its text."""
    return json.loads(
        body, parse_float=lambda text: ("number", text), parse_int=lambda text: ("number", text)
    )


@pytest.mark.parametrize("body", [PATIENT, OBSERVATION, CLAIM])
def test_decoding_and_encoding_keep_every_literal(body: bytes) -> None:
    assert literal(r4.encode(r4.decode(body))) == literal(body)


@pytest.mark.parametrize("body", [PATIENT, OBSERVATION, CLAIM])
def test_a_tree_keeps_every_literal(body: bytes) -> None:
    assert literal(r4.untree(r4.tree(body))) == literal(body)


def test_decimals_of_a_tree_are_decimals() -> None:
    item = r4.tree(CLAIM)["item"][0]
    assert item["unitPrice"]["value"] == Decimal("105.00")
    assert item["factor"] == Decimal(100) and str(item["factor"]) == "1e2"
    assert r4.untree({"value": Decimal("105.00") * 2}) == b'{"value":210.00}'


def test_a_struct_has_plain_members() -> None:
    patient = r4.decode(PATIENT)
    assert patient.name[0].given == ["晓月"]
    assert patient.deceasedBoolean is False and patient.deceasedDateTime is None
    assert patient._birthDate.extension[0].valueDateTime == "1968-09-12T08:15:00+08:00"


def test_contained_and_bundled_resources_are_decoded() -> None:
    body = b'{"resourceType":"Bundle","type":"collection","entry":[{"resource":' + PATIENT + b"}]}"
    assert r4.decode(body).entry[0].resource.gender == "female"
    assert literal(r4.encode(r4.decode(body))) == literal(body)


def test_the_type_can_be_demanded() -> None:
    assert r4.decode(PATIENT, "Patient").id == "p1"
    with pytest.raises(InvalidResource, match="expected Claim, found Patient"):
        r4.decode(PATIENT, "Claim")


def test_loading_skips_nothing_but_the_look_at_raw_bytes() -> None:
    assert r4.load(PATIENT, "Patient") == r4.decode(PATIENT)
    with pytest.raises(InvalidResource):
        r4.load(PATIENT.replace(b"female", b"lady"), "Patient")


def test_splice_puts_id_and_meta_first_and_leaves_the_rest_alone() -> None:
    body = b'{"status" : "active","total":{"value": 1e2 },"meta":{"source":"urn:a","versionId":"1"},"resourceType":"X"}'
    spliced = r4.splice(body, id="c9", meta={"versionId": "2", "source": None})
    assert spliced == (
        b'{"resourceType":"X","id":"c9","meta":{"versionId":"2"},"status":"active","total":{"value": 1e2 }}'
    )
    assert r4.splice(spliced) == spliced
    assert r4.splice(b'{"resourceType":"X","id":"a"}', meta={}) == b'{"resourceType":"X","id":"a"}'


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"nonsense", b'{"id":"1"}', b"[" * 5000])
def test_splice_refuses_what_is_no_resource(body: bytes) -> None:
    with pytest.raises(InvalidResource):
        r4.splice(body, id="1")


def test_duplicate_members_are_found_on_request() -> None:
    body = PATIENT.replace(b'"active":true', b'"active":true,"active":true')
    assert r4.decode(body).active is True
    with pytest.raises(InvalidResource) as refused:
        r4.decode(body, strict_keys=True)
    assert refused.value.issues[0].expression == "Patient"
    assert "active" in refused.value.issues[0].diagnostics
    assert r4.decode(PATIENT, strict_keys=True).active is True


HOSTILE = {
    "no bytes": b"",
    "not JSON": b"{'a': 1}",
    "cut off": PATIENT[:100],
    "not UTF-8": PATIENT.replace("林".encode(), b"\xc1\xd6"),
    "byte order mark": b"\xef\xbb\xbf" + PATIENT,
    "escaped NUL": PATIENT.replace("晓月".encode(), b"\\u0000"),
    "raw NUL": PATIENT.replace("晓月".encode(), b"\x00"),
    "half a surrogate pair": PATIENT.replace("晓月".encode(), b"\\ud83d"),
    "NaN": CLAIM.replace(b"105.00", b"NaN"),
    "out of range": CLAIM.replace(b"105.00", b"1e99999999999999999999"),
    "huge whole number": CLAIM.replace(b'"sequence":1', b'"sequence":' + b"9" * 6000),
    "5,000 lists": b'{"resourceType":"Patient","name":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "5,000 extensions": b'{"resourceType":"Patient","extension":'
    + b'[{"url":"a","extension":' * 5000 + b"[]" + b"}]" * 5000 + b"}",
    "5,000 contained": b'{"resourceType":"Patient","contained":'
    + b'[{"resourceType":"Patient","contained":' * 5000 + b"[]" + b"}]" * 5000 + b"}",
    "a list": b"[" + PATIENT + b"]",
    "unknown type": b'{"resourceType":"Patients"}',
    "no type": b'{"id":"p1"}',
    "type of another type": b'{"resourceType":["Patient"]}',
}  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bytes_are_invalid_and_nothing_worse(body: bytes) -> None:
    for strict in (False, True):
        with pytest.raises(InvalidResource) as refused:
            r4.decode(body, strict_keys=strict)
        assert all(issue.diagnostics for issue in refused.value.issues)


def test_importing_loads_no_definitions() -> None:
    code = "import hub.r4.structs as s, hub.r4; assert not s._structs"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_string_has_an_end() -> None:
    longest = "患" * (1024 * 1024)
    body: dict[str, Any] = {"resourceType": "DocumentReference", "status": "current"}
    body["content"] = [{"attachment": {"title": "x", "data": "AAAA" * 300_000}}]
    r4.decode(json.dumps(body | {"description": longest}).encode())
    body["content"][0]["attachment"]["title"] = longest + "x"
    with pytest.raises(InvalidResource) as caught:
        r4.decode(json.dumps(body, ensure_ascii=False).encode())
    assert [one.expression for one in caught.value.issues] == [
        "DocumentReference.content[0].attachment.title"
    ]
    assert longest not in str(caught.value)


def _roc(**members: str) -> bytes:
    inside = ",".join(f'"{name}":{text}' for name, text in members.items())
    quality = f'[{{"type":"snp","roc":{{{inside}}}}}]'
    return f'{{"resourceType":"MolecularSequence","coordinateSystem":1,"quality":{quality}}}'.encode()


def test_lists_of_decimals_keep_their_text_and_their_gaps() -> None:
    for body in (
        _roc(precision="[2.50,1e-3]"),
        _roc(precision="[2.50,null]", _precision='[null,{"id":"a"}]'),
    ):
        assert r4.encode(r4.decode(body)) == body


@pytest.mark.parametrize("precision", ["[2.5,null]", '["2.5"]', "[]", "2.5", "[{}]"])
def test_lists_of_decimals_have_numbers_only(precision: str) -> None:
    with pytest.raises(InvalidResource) as refused:
        r4.decode(_roc(precision=precision))
    assert refused.value.issues[0].expression.startswith("MolecularSequence.quality[0].roc.precision")
