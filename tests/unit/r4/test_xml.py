"""FHIR XML and JSON: http://hl7.org/fhir/R4/xml.html and http://hl7.org/fhir/R4/json.html."""
# ruff: noqa: E501 (tables)

from __future__ import annotations

import pytest

from hub import r4
from hub.errors import InvalidResource, Issue
from hub.r4 import xml
from tests.unit.r4.samples import CLAIM, OBSERVATION, PATIENT
from tests.unit.r4.test_codec import literal

FHIR = 'xmlns="http://hl7.org/fhir"'
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'

PAIRS: dict[str, tuple[str, str]] = {
    "order of the definition, not of the JSON": (
        '{"resourceType":"Patient","birthDate":"1968","active":true,"id":"p"}',
        f'<Patient {FHIR}><id value="p"/><active value="true"/><birthDate value="1968"/></Patient>',
    ),
    "literals of numbers": (
        '{"resourceType":"Observation","component":[{"valueQuantity":{"value":1.00}},'
        '{"valueQuantity":{"value":1e2}},{"valueQuantity":{"value":-0.0050}},{"valueInteger":7}]}',
        f'<Observation {FHIR}><component><valueQuantity><value value="1.00"/></valueQuantity></component>'
        '<component><valueQuantity><value value="1e2"/></valueQuantity></component>'
        '<component><valueQuantity><value value="-0.0050"/></valueQuantity></component>'
        '<component><valueInteger value="7"/></component></Observation>',
    ),
    "id and extensions beside a primitive": (
        '{"resourceType":"Patient","birthDate":"1968-09-12","_birthDate":{"id":"b","extension":'
        '[{"url":"u","valueDateTime":"1968-09-12T08:15:00+08:00"}]}}',
        f'<Patient {FHIR}><birthDate id="b" value="1968-09-12"><extension url="u">'
        '<valueDateTime value="1968-09-12T08:15:00+08:00"/></extension></birthDate></Patient>',
    ),
    "extensions without a value": (
        '{"resourceType":"Patient","_gender":{"extension":[{"url":"u","valueCode":"unknown"}]}}',
        f'<Patient {FHIR}><gender><extension url="u"><valueCode value="unknown"/></extension></gender></Patient>',
    ),
    "nulls in lists of primitives": (
        '{"resourceType":"Patient","name":[{"given":["a",null,"c"],"_given":'
        '[null,{"extension":[{"url":"u","valueCode":"q"}]},null]}]}',
        f'<Patient {FHIR}><name><given value="a"/><given><extension url="u"><valueCode value="q"/></extension>'
        '</given><given value="c"/></name></Patient>',
    ),
    "id of an element is an attribute, of a resource an element": (
        '{"resourceType":"Patient","id":"p","name":[{"id":"n","text":"x"}]}',
        f'<Patient {FHIR}><id value="p"/><name id="n"><text value="x"/></name></Patient>',
    ),
    "nested extensions": (
        '{"resourceType":"Basic","extension":[{"id":"1","extension":[{"url":"a","valueBoolean":false}],"url":"u"}]}',
        f'<Basic {FHIR}><extension id="1" url="u"><extension url="a"><valueBoolean value="false"/></extension>'
        "</extension></Basic>",
    ),
    "contained resources": (
        '{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o"},'
        '{"resourceType":"Practitioner","id":"d"}],"managingOrganization":{"reference":"#o"}}',
        f'<Patient {FHIR}><contained><Organization><id value="o"/></Organization></contained>'
        '<contained><Practitioner><id value="d"/></Practitioner></contained>'
        '<managingOrganization><reference value="#o"/></managingOrganization></Patient>',
    ),
    "resources in a Bundle": (
        '{"resourceType":"Bundle","type":"batch-response","entry":[{"resource":{"resourceType":"Patient","id":"p"},'
        '"response":{"status":"200","outcome":{"resourceType":"OperationOutcome"}}}]}',
        f'<Bundle {FHIR}><type value="batch-response"/><entry><resource><Patient><id value="p"/></Patient></resource>'
        '<response><status value="200"/><outcome><OperationOutcome/></outcome></response></entry></Bundle>',
    ),
    "resources and parts of Parameters": (
        '{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Basic","id":"b"}},'
        '{"name":"p","part":[{"name":"x","valueDecimal":3.10}]}]}',
        f'<Parameters {FHIR}><parameter><name value="resource"/><resource><Basic><id value="b"/></Basic></resource>'
        '</parameter><parameter><name value="p"/><part><name value="x"/><valueDecimal value="3.10"/></part></parameter>'
        "</Parameters>",
    ),
    "narrative as it was written": (
        '{"resourceType":"Patient","text":{"status":"generated","div":'
        '"<div xmlns=\\"http://www.w3.org/1999/xhtml\\" title=\'a>b\'>\\n <!-- c --><p>x &amp; y &#20013;</p><br />'
        '<b></b></div>"}}',
        f"<Patient {FHIR}><text><status value=\"generated\"/><div {XHTML} title='a>b'>\n <!-- c --><p>x &amp; y "
        "&#20013;</p><br /><b></b></div></text></Patient>",
    ),
    "white space and markup in a string": (
        '{"resourceType":"Basic","extension":[{"url":"u","valueString":" a\\tb\\r\\nc <d> & \\"e\\" "}]}',
        f'<Basic {FHIR}><extension url="u"><valueString value=" a&#9;b&#13;&#10;c &lt;d&gt; &amp; &quot;e&quot; "/>'
        "</extension></Basic>",
    ),
    "every plane of Unicode": (
        '{"resourceType":"Patient","name":[{"text":"㐀𠮷珅😀é\u2028"}]}',
        f'<Patient {FHIR}><name><text value="㐀𠮷珅😀é\u2028"/></name></Patient>',
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_both_ways(name: str) -> None:
    json, document = PAIRS[name]
    assert xml.write(json.encode()).decode() == xml.DECLARATION + document
    assert literal(xml.read(document.encode())) == literal(json.encode())


@pytest.mark.parametrize("body", [PATIENT, OBSERVATION, CLAIM])
def test_samples_survive_the_way_through_xml(body: bytes) -> None:
    assert literal(xml.read(xml.write(body))) == literal(body)
    assert literal(xml.read(xml.write(body, pretty=True))) == literal(body)


@pytest.mark.parametrize("type_name", r4.TYPES)
def test_every_type_has_an_xml_form(type_name: str) -> None:
    body = b'{"resourceType":"%b","id":"x","meta":{"tag":[{"code":"t"}]}}' % type_name.encode()
    document = xml.write(body)
    expected = f'<{type_name} {FHIR}><id value="x"/><meta><tag><code value="t"/></tag></meta></{type_name}>'
    assert document.decode() == xml.DECLARATION + expected
    assert literal(xml.read(document)) == literal(body)


def test_pretty_xml_is_indented_but_not_inside_a_narrative() -> None:
    body = PAIRS["narrative as it was written"][0].encode()
    lines = xml.write(body, pretty=True).decode().splitlines()
    assert lines[1:5] == [f"<Patient {FHIR}>", "  <text>", '    <status value="generated"/>', lines[4]]
    assert lines[4].startswith(f"    <div {XHTML}") and lines[5].startswith(" <!-- c -->")


@pytest.mark.parametrize(
    "document",
    [
        f'<?xml version="1.0" encoding="utf-8"?>\n<!-- who --><?style x?><Patient {FHIR}><!-- a -->\n'
        '  <active value="true"/><?b c?></Patient>\n<!-- end -->',
        f'\ufeff<Patient {FHIR} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:schemaLocation="http://hl7.org/fhir http://hl7.org/fhir/R4/fhir-all.xsd"><active value="true"/></Patient>',
        '<f:Patient xmlns:f="http://hl7.org/fhir"><f:active value=" true&#10;"/></f:Patient>',
    ],
)
def test_what_carries_no_content_is_left_out(document: str) -> None:
    assert xml.read(document.encode()) == b'{"resourceType":"Patient","active":true}'


def test_elements_may_come_in_any_order_and_repetitions_keep_theirs() -> None:
    document = f"""<Patient {FHIR}><name><text value="a"/></name><active value="true"/><name><text value="b"/></name>
    <id value="p"/></Patient>"""
    assert literal(xml.read(document.encode())) == {
        "resourceType": "Patient",
        "id": "p",
        "active": True,
        "name": [{"text": "a"}, {"text": "b"}],
    }


def test_a_narrative_with_a_prefix_stands_alone_in_json() -> None:
    document = f'<Patient {FHIR} xmlns:h="http://www.w3.org/1999/xhtml"><text><h:div>a<h:b>c</h:b></h:div></text></Patient>'
    assert literal(xml.read(document.encode()))["text"]["div"] == (
        '<h:div xmlns:h="http://www.w3.org/1999/xhtml">a<h:b>c</h:b></h:div>'
    )


@pytest.mark.parametrize(
    ("div", "written"),
    [
        ("<div>a&nbsp;b</div>", f"<div {XHTML}>a\u00a0b</div>"),
        ("<div>a<br>b</div>", f"<div {XHTML}>&lt;div&gt;a&lt;br&gt;b&lt;/div&gt;</div>"),
        ("</div><script/>", f"<div {XHTML}>&lt;/div&gt;&lt;script/&gt;</div>"),
        ("<!DOCTYPE x><div/>", f"<div {XHTML}>&lt;!DOCTYPE x&gt;&lt;div/&gt;</div>"),
        ('<div xmlns="urn:x">a</div>', f'<div {XHTML}>&lt;div xmlns="urn:x"&gt;a&lt;/div&gt;</div>'),
    ],
)
def test_a_narrative_that_xml_cannot_carry_is_shown_as_text(div: str, written: str) -> None:
    body = r4.untree({"resourceType": "Patient", "text": {"status": "generated", "div": div}})
    document = xml.write(body).decode()
    assert f"{written}</text></Patient>" in document
    xml.read(document.encode())


def test_characters_that_xml_cannot_carry_become_the_replacement_character() -> None:
    document = xml.write('{"resourceType":"Basic","id":"\uffff\ufffe"}'.encode())
    assert '<id value="\ufffd\ufffd"/>' in document.decode()


def issues(document: str | bytes) -> list[tuple[str, str]]:
    """Path and text of what is wrong with a document."""
    with pytest.raises(InvalidResource) as refused:
        xml.read(document.encode() if isinstance(document, str) else document)
    found: list[Issue] = list(refused.value.issues)
    return [(one.expression, one.diagnostics) for one in found]


@pytest.mark.parametrize(
    ("document", "path", "text"),
    [
        (f'<Patient {FHIR}><nickname value="x"/></Patient>', "Patient", "Patient has no element nickname"),
        (
            f'<Patient {FHIR}><name/><name><family value="a"/><clan value="b"/></name></Patient>',
            "Patient.name[1]",
            "HumanName has no element clan",
        ),
        (
            f'<Patient {FHIR}><active value="true"/><active/></Patient>',
            "Patient",
            "the element active may stand",
        ),
        (f'<Patient {FHIR}><active value="yes"/></Patient>', "Patient.active", "expected true or false"),
        (f"<Patient {FHIR}><active/></Patient>", "Patient.active", "an element has a value"),
        (
            f'<Patient {FHIR}><active value="true" status="x"/></Patient>',
            "Patient.active",
            "no attribute status",
        ),
        (f'<Patient {FHIR} id="p"/>', "Patient", "no attribute id"),
        (f"<Patient {FHIR}><name>Wang</name></Patient>", "Patient.name[0]", "text between the elements"),
        (
            f'<Patient {FHIR}><name><id value="n"/></name></Patient>',
            "Patient.name[0]",
            "HumanName has no element id",
        ),
        (
            f'<Patient {FHIR}><multipleBirthInteger value="01"/></Patient>',
            "Patient.multipleBirth",
            "a number (integer)",
        ),
        (
            f"<Patient {FHIR}><contained/></Patient>",
            "Patient.contained[0]",
            "expected a resource in it, found none",
        ),
        (
            f"<Patient {FHIR}><contained><Basic/><Basic/></contained></Patient>",
            "Patient.contained[0]",
            "expected one resource, found another",
        ),
        (f"<Patient {FHIR}><text><div>x</div></text></Patient>", "Patient.text", "in this namespace"),
        (f"<Prescription {FHIR}/>", "", "Prescription is no R4 resource type"),
        ("<Patient/>", "", "expected a resource in the namespace http://hl7.org/fhir"),
    ],
)
def test_what_no_resource_has_is_refused_with_its_path(document: str, path: str, text: str) -> None:
    assert any(found == path and text in told for found, told in issues(document))


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ("", "not well-formed"),
        ("{}", "not well-formed"),
        (f"<Patient {FHIR}>", "not well-formed"),
        (f"<Patient {FHIR}><name></Patient>", "not well-formed"),
        (f'<Patient {FHIR}><active value="true" value="true"/></Patient>', "not well-formed"),
        (f"<Patient {FHIR}>&nbsp;</Patient>", "undefined entity"),
        (f'<Patient {FHIR}><id value="a&#0;"/></Patient>', "not well-formed"),
        (f'<Patient {FHIR}><id value="a\x01"/></Patient>', "not well-formed"),
        (f'<Patient {FHIR}><id value="&#xD800;"/></Patient>', "not well-formed"),
        (f"{BOMB}<Patient {FHIR}><id value='&b;'/></Patient>", "document type declaration"),
        (f'<!DOCTYPE x SYSTEM "file:///etc/passwd"><Patient {FHIR}/>', "document type declaration"),
        (f'<?xml version="1.0" encoding="GB18030"?><Patient {FHIR}/>', "expected the encoding UTF-8"),
        (f"<Patient {FHIR}>" + '<extension url="u">' * 5000, "nested too deeply"),
        (f"<Patient {FHIR}><text><div {XHTML}>" + "<b>" * 5000, "nested too deeply"),
    ],
)
def test_malformed_and_dangerous_documents_are_refused(document: str, text: str) -> None:
    assert text in issues(document)[-1][1]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "gb18030"])
def test_other_encodings_than_utf_8_are_refused(encoding: str) -> None:
    assert issues(f'<Patient {FHIR}><id value="珅"/></Patient>'.encode(encoding))


def test_reading_ends_after_a_hundred_issues() -> None:
    found = issues(f"<Patient {FHIR}>" + "<x/>" * 100_000 + "</Patient>")
    assert len(found) == 101


def test_what_is_no_member_has_no_xml_form() -> None:
    for body in (b'{"resourceType":"Patient","nickname":"x"}', b'{"id":"x"}', b"[]", b'{"resourceType":"X"}'):
        with pytest.raises(ValueError, match=r"type|member"):
            xml.write(body)


def test_ids_and_extensions_beside_attributes_are_refused_in_json_too() -> None:
    for body in (
        b'{"resourceType":"Patient","name":[{"_id":{"id":"x"},"text":"a"}]}',
        b'{"resourceType":"Patient","extension":[{"url":"u","_url":{"id":"1"},"valueString":"a"}]}',
        b'{"resourceType":"Patient","text":{"status":"empty","div":"<div>x</div>","_div":{"id":"a"}}}',
    ):
        with pytest.raises(InvalidResource, match="has no member"):
            r4.decode(body)
    assert r4.decode(b'{"resourceType":"Patient","id":"a","_id":{"id":"x"}}')._id.id == "x"
