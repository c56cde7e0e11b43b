"""The mapping language, one behaviour each, over JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from hub.errors import InvalidMessage, Misconfigured
from hub.mapping import Context, Mapped, Mapping, resource_id
from hub.mapping.library import read_json

Make = Callable[..., Context]
Write = Callable[..., Mapping]

PATIENT = """
    format: json
    kinds: [x]
    resources:
      - resourceType: Patient
        $id: = no
"""


def first(mapped: Mapped) -> dict[str, Any]:
    found: dict[str, Any] = read_json(mapped.resources[0].body)
    return found


def patient(
    write: Write, context: Context, body: str, source: dict[str, Any], **files: str
) -> dict[str, Any]:
    lines = "".join(f"        {line}\n" for line in body.strip("\n").splitlines())
    tree = first(write(PATIENT + lines, **files).map({"no": "P1"} | source, context))
    assert tree.pop("resourceType") == "Patient"
    tree.pop("id")
    return tree


def test_ids_are_an_hmac_of_system_type_and_identifier(write: Write, context: Make) -> None:
    tree = first(write(PATIENT).map(b'{"no": "P1"}', context()))
    assert tree["id"] == resource_id(b"key", "test", "Patient", "P1")
    assert tree["id"] != resource_id(b"key", "other", "Patient", "P1")
    assert len(tree["id"]) == 32


def test_the_first_identifier_that_identifies(write: Write, context: Make) -> None:
    text = PATIENT.replace("= no", "[= a, = b.usable(), = no]")
    tree = first(write(text).map({"b": "000", "no": "P1"}, context()))
    assert tree["id"] == resource_id(b"key", "test", "Patient", "P1")


@pytest.mark.parametrize("value", [None, "", "0000", "无"])
def test_nothing_identifies(write: Write, context: Make, value: str | None) -> None:
    with pytest.raises(InvalidMessage, match="Patient without a usable identifier; looked for no"):
        write(PATIENT).map({"no": value} if value is not None else {}, context())


def test_lists_single_values_and_types(write: Write, context: Make) -> None:
    body = """
active: = on
multipleBirthInteger: = born
birthDate: = when.date()
name:
  family: = name.family
  given: = name.given
"""
    source = {"on": "true", "born": "2", "when": "20260201", "name": {"family": "A", "given": ["B", "C"]}}
    assert patient(write, context(), body, source) == {
        "active": True,
        "multipleBirthInteger": 2,
        "birthDate": "2026-02-01",
        "name": [{"family": "A", "given": ["B", "C"]}],
    }


def test_what_yields_nothing_leaves_nothing(write: Write, context: Make) -> None:
    body = """
gender: = none
name: [{use: official, family: = none}]
contact:
  - {name: {text: = none}, relationship: [{coding: [{code: = none, system: x}]}]}
maritalStatus: {coding: [{system: = %base + '/x', code: = none}]}
"""
    assert patient(write, context(), body, {}) == {}


def test_constants_are_typed_by_their_element(write: Write, context: Make) -> None:
    body = """
active: true
deceasedBoolean: false
multipleBirthInteger: 1
language: NO
extension: [{url: x, valueDecimal: 105.00}]
"""
    assert patient(write, context(), body, {}) == {
        "active": True,
        "deceasedBoolean": False,
        "multipleBirthInteger": 1,
        "language": "NO",
        "extension": [{"url": "x", "valueDecimal": Decimal("105.00")}],
    }


def test_numbers_keep_their_digits(write: Write, context: Make) -> None:
    body = """
extension:
  - {url: a, valueDecimal: = amount}
  - {url: b, valueDecimal: = text.number()}
"""
    mapped = write(PATIENT + "".join(f"        {line}\n" for line in body.strip().splitlines())).map(
        b'{"no": "P1", "amount": 105.00, "text": "+1.50"}', context()
    )
    assert b'"valueDecimal":105.00' in mapped.resources[0].body
    assert b'"valueDecimal":1.50' in mapped.resources[0].body


def test_conditions_loops_and_variables(write: Write, context: Make) -> None:
    body = """
name:
  - $for: = names
    $as: one
    $when: = use != 'old'
    $let: {whole: = %one.a & '-' & b}
    text: = %whole & '/' & %index.toString() & '/' & %message.no
"""
    source = {
        "names": [
            {"a": "x", "b": "1", "use": "old"},
            {"a": "y", "b": "2", "use": "new"},
            {"a": "z", "use": "new"},
        ]
    }
    assert patient(write, context(), body, source) == {"name": [{"text": "y-2/1/P1"}, {"text": "z-/2/P1"}]}


def test_references_and_resources_left_out(write: Write, context: Make) -> None:
    mapping = write("""
        format: json
        resources:
          - resourceType: Encounter
            $id: = visit
            status: finished
            class: {code: AMB}
            subject: {$ref: person, display: = name}
            serviceProvider: {$ref: hospital}
            partOf: {$ref: {type: Encounter, id: = before}}
            basedOn: [{$reference: = 'ServiceRequest/' + order}]
          - resourceType: Patient
            $as: person
            $id: = no
          - resourceType: Organization
            $as: hospital
            $when: = hospital.exists()
            $id: = hospital
        """)
    mapped = mapping.map({"visit": "V1", "no": "P1", "before": "V0", "order": "7", "name": "x"}, context())
    tree = first(mapped)
    assert [one.type for one in mapped.resources] == ["Encounter", "Patient"]
    assert tree["subject"] == {"reference": f"Patient/{mapped.resources[1].id}", "display": "x"}
    assert "serviceProvider" not in tree
    assert tree["partOf"] == {"reference": "Encounter/" + resource_id(b"key", "test", "Encounter", "V0")}
    assert tree["basedOn"] == [{"reference": "ServiceRequest/7"}]


def test_groups_of_resources(write: Write, context: Make) -> None:
    mapping = write("""
        format: json
        resources:
          - resourceType: Patient
            $as: person
            $id: = no
          - $for: = visits
            $let: {n: = number}
            resources:
              - resourceType: Encounter
                $as: visit
                $id: = %n
                status: finished
                class: {code: AMB}
                subject: {$ref: person}
              - resourceType: Condition
                $id: = %n + '/c'
                subject: {$ref: person}
                encounter: {$ref: visit}
        """)
    mapped = mapping.map({"no": "P1", "visits": [{"number": "1"}, {"number": "2"}]}, context())
    assert [one.type for one in mapped.resources] == [
        "Patient",
        "Encounter",
        "Condition",
        "Encounter",
        "Condition",
    ]
    assert (
        read_json(mapped.resources[4].body)["encounter"]["reference"] == f"Encounter/{mapped.resources[3].id}"
    )


def test_the_same_resource_twice_is_one_and_two_different_ones_are_reported(
    write: Write, context: Make
) -> None:
    mapping = write("""
        format: json
        resources:
          - resourceType: Organization
            $for: = units
            $id: = no
            name: = name
        """)
    units = [{"no": "1", "name": "a"}, {"no": "1", "name": "a"}, {"no": "1", "name": "b"}]
    mapped = mapping.map({"units": units}, context())
    assert len(mapped.resources) == 1
    assert [issue.code for issue in mapped.issues] == ["conflict"]


CODES = {"sex__map__csv": "source,code,display,system\nM,male,Male,%base/CodeSystem/sex\nF,female,,\nN,,,\n"}


def test_translations(write: Write, context: Make) -> None:
    body = """
gender: {$code: = sex, $translate: sex, $default: unknown}
maritalStatus:
  coding:
    $value: = state
    $translate: sex
    $system: = 'urn:own'
    $display: = 'said'
"""
    known = patient(write, context(), body, {"sex": "M", "state": "M"}, **CODES)
    assert known["gender"] == "male"
    assert known["maritalStatus"]["coding"] == [
        {"system": "https://sanyi-hub.org/fhir/CodeSystem/sex", "code": "male", "display": "Male"}
    ]
    assert patient(write, context(), body, {}, **CODES) == {"gender": "unknown"}
    assert patient(write, context(), body, {"sex": "N", "state": "N"}, **CODES) == {"gender": "unknown"}


def test_an_unknown_code_keeps_its_coding_and_is_reported(write: Write, context: Make) -> None:
    body = """
gender: {$code: = sex, $translate: sex}
maritalStatus: {coding: {$value: = state, $translate: sex, $system: = 'urn:own', $display: = 'said'}}
"""
    lines = "".join(f"        {line}\n" for line in body.strip("\n").splitlines())
    mapped = write(PATIENT + lines, **CODES).map({"no": "P1", "sex": "Q", "state": "W"}, context())
    tree = first(mapped)
    assert "gender" not in tree
    assert tree["maritalStatus"]["coding"] == [{"system": "urn:own", "code": "W", "display": "said"}]
    assert mapped.unmapped == [("sex", "", "Q"), ("sex", "urn:own", "W")]
    assert [issue.severity for issue in mapped.issues] == ["warning", "warning"]
    assert tree["meta"]["tag"] == [
        {"system": "https://sanyi-hub.org/fhir/CodeSystem/data-quality", "code": "unmapped-code"}
    ]
    assert "Q" not in mapped.issues[0].diagnostics


def test_identifiers_and_their_checks(write: Write, context: Make) -> None:
    body = """
identifier:
  - $identifier: {system: 'urn:oid:2.16.156.10011.1.3', value: = card, type: NNCHN, use: official}
  - $identifier: {system: x, value: = other}
"""
    source = {"card": "370502195001010013"}
    assert patient(write, context(), body, source) == {
        "identifier": [
            {
                "use": "official",
                "type": {
                    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "NNCHN"}]
                },
                "system": "urn:oid:2.16.156.10011.1.3",
                "value": "370502195001010013",
            }
        ]
    }
    wrong = patient(write, context(), body, {"card": "370502195001010012", "other": "0000"})
    assert [tag["code"] for tag in wrong["meta"]["tag"]] == ["id-card-check-digit", "placeholder-identifier"]
    assert wrong["identifier"][0]["value"] == "370502195001010012"


def test_fragments(write: Write, context: Make) -> None:
    files = {"_name__yaml": "use: official\nfamily: = family\n", "_two__yaml": "- {text: a}\n- {text: b}\n"}
    body = "name:\n  - {$include: _name, use: usual}\n  - $include: _two\n"
    assert patient(write, context(), body, {"family": "F"}, **files) == {
        "name": [{"use": "usual", "family": "F"}, {"text": "a"}, {"text": "b"}]
    }


def test_facts_and_the_time_of_the_event(write: Write, context: Make) -> None:
    mapping = write("""
        format: json
        event_time: = when.chinaDateTime()
        facts:
          one: = a.b
          many: = list
          whole: = a
          sum: = a.b + %facts.before
          none: = missing
          said: done
        """)
    mapped = mapping.map(
        b'{"when": "2026-02-01 09:00:00", "a": {"b": 1.50}, "list": [1, 2]}',
        context(facts={"before": Decimal("0.50")}),
    )
    assert mapped.facts == {
        "one": Decimal("1.50"),
        "many": [1, 2],
        "whole": {"b": Decimal("1.50")},
        "sum": Decimal("2.00"),
        "said": "done",
    }
    assert mapped.event_time == 1_769_907_600_000_000


def test_outward_json_is_literal(write: Write, context: Make) -> None:
    mapping = write("""
        direction: out
        kind: '2207A'
        counter: = %inst
        business_id: = %msgid
        headers: {X-Kind: = 'a' & resourceType}
        let:
          inst: = %settings.code
          msgid: = %inst + %delivery.created.local('yyyyMMddHHmmss') + %delivery.number.pad(4, '0')
        message:
          infno: '2207A'
          msgid: = %msgid
          amount: 105.00
          count: 3
          flag: true
          text: ""
          nothing: null
          dropped: = missing
          kept: {$value: = missing, $default: ""}
          total: = total.value
          empty: {}
          lines:
            - $for: = item
              sn: = sequence
              no: = %index + 1
          fixed: [1, '2']
          none:
            - $for: = missing
              x: 1
        """)
    env = context(settings={"code": "H1"}, delivery={"created": "2026-02-01T01:00:00.000Z", "number": 7})
    source = {
        "resourceType": "Claim",
        "total": {"value": Decimal("120.00")},
        "item": [{"sequence": 1}, {"sequence": 2}],
    }
    assert mapping.counter_scope(source, env) == "H1"
    rendered = mapping.render(source, env)
    assert rendered.body == (
        b'{"infno":"2207A","msgid":"H1202602010900000007","amount":105.00,"count":3,"flag":true,"text":"",'
        b'"nothing":null,"kept":"","total":120.00,"empty":{},"lines":[{"sn":1,"no":1},{"sn":2,"no":2}],'
        b'"fixed":[1,"2"],"none":[]}'
    )
    assert (rendered.kind, rendered.business_id, rendered.headers) == (
        "2207A",
        "H1202602010900000007",
        {"X-Kind": "aClaim"},
    )


def test_gbk_json_and_broken_json(write: Write, context: Make) -> None:
    mapping = write(PATIENT + "        name: [{text: = name}]\n")
    tree = first(mapping.map('{"no": "1", "name": "测试珅"}'.encode("gb18030"), context()))
    assert tree["name"] == [{"text": "测试珅"}]
    with pytest.raises(InvalidMessage, match="no valid JSON"):
        mapping.map(b'{"no": ', context())
    with pytest.raises(InvalidMessage, match="nested too deeply"):
        mapping.map(b"[" * 100_000, context())


def test_the_hash_changes_with_documents_fragments_and_maps(write: Write) -> None:
    text = PATIENT + "        gender: {$code: = sex, $translate: sex}\n        $include: _more\n"
    files = {**CODES, "_more__yaml": "active: true\n"}
    first_hash = write(text, **files).hash
    assert write(text, **files).hash == first_hash
    assert write(text, **{**files, "_more__yaml": "active: false\n"}).hash != first_hash
    assert write(text, **{**files, "sex__map__csv": "source,code\nM,female\n"}).hash != first_hash
    assert write(text + "    # c\n", **files).hash != first_hash


def test_a_mapping_sees_no_clock(write: Write, context: Make) -> None:
    text = PATIENT + "        name: [{text: = name}]\n"
    source = json.dumps({"no": "1", "name": "x"}).encode()
    bodies = {write(text).map(source, context()).resources[0].body for _ in range(3)}
    assert len(bodies) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "format: json\nresourses: []\n",
            r"doc.yaml:3: expected one of .*resources.*, found the key 'resourses'",
        ),
        ("format: xml\n", "doc.yaml:2: expected format: hl7v2, json or fhir"),
        ("format: json\nformat: json\n", "doc.yaml:3: expected every key once"),
        ("format: json\ndescription: a: b\n", "doc.yaml:3: no valid YAML"),
        (
            PATIENT + "        nme: x\n",
            "doc.yaml:8: expected an element of Patient .perhaps 'name'., found 'nme'",
        ),
        (PATIENT + "        active: maybe\n", "doc.yaml:8: expected true or false, found 'maybe'"),
        (PATIENT + "        active: {a: b}\n", "doc.yaml:8: expected a boolean, found a mapping"),
        (PATIENT + "        gender: [male]\n", "doc.yaml:8: expected one code, found a list"),
        (PATIENT + "        gender: = a.b(\n", "doc.yaml:8: FHIRPath, line 1, column"),
        (PATIENT + "        gender: = a.nofunction()\n", "doc.yaml:8: FHIRPath"),
        (
            PATIENT + "        $wen: = a\n",
            r"doc.yaml:8: expected a directive that belongs here .perhaps '\$when'., found '\$wen'",
        ),
        (
            PATIENT + "        managingOrganization: {$ref: nobody}\n",
            r"doc.yaml:8: expected the \$as name of a resource",
        ),
        (
            PATIENT + "        gender: {$code: = a, $translate: none}\n",
            "expected the concept map 'none', found none",
        ),
        (PATIENT + "        $include: _none\n", "doc.yaml:8: expected the name of a fragment"),
        (PATIENT.replace("Patient", "Patiant"), "doc.yaml:6: expected an R4 resource type, found 'Patiant'"),
        (PATIENT.replace("        $id: = no\n", ""), r"doc.yaml:6: expected \$id"),
        (PATIENT.replace("= no", "no"), "doc.yaml:7: expected an expression: a constant .*, found 'no'"),
        (PATIENT + "        gender: =sex\n", "doc.yaml:8: expected `= ` before an expression; quote it"),
        (PATIENT.replace("= no", "=no"), "doc.yaml:7: expected `= ` before an expression"),
        (PATIENT.replace("kinds: [x]", "kind: x"), "doc.yaml:4: expected kinds: .*, found kind"),
        (PATIENT.replace("kinds:", "kin:"), "doc.yaml:4: expected one of .*perhaps 'kind.*the key 'kin'"),
        (PATIENT + "        gender: {$coed: = a}\n", r"doc.yaml:8: expected .*found "),
        (
            PATIENT + "        name: [{text: {$value: = a, $defualt: b}}]\n",
            r"doc.yaml:8: expected a directive of \$value .perhaps '\$default'., found '\$defualt'",
        ),
        (PATIENT.replace("Patient\n", "Patient\n        $existing: perhaps\n"), "expected keep or replace"),
    ],
)
def test_faults_name_file_line_expected_and_found(write: Write, text: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        write(text).compiled()


def test_the_name_in_the_document_is_its_place(write: Write) -> None:
    with pytest.raises(Misconfigured, match="expected every key once"):
        write("mapping: set/other\nformat: json\n")


def test_a_mapping_refuses_what_it_will_not_guess(write: Write, context: Make) -> None:
    let = "    let:\n      two: = (name.count() > 1).refuse('one name is expected')\n"
    mapping = write(PATIENT.replace("    resources:", f"{let}    resources:"))
    assert mapping.map({"no": "P1", "name": ["a"]}, context()).issues == []
    with pytest.raises(InvalidMessage, match="one name is expected") as caught:
        mapping.map({"no": "P1", "name": ["a", "b"]}, context())
    assert caught.value.issues[0].expression == "(name.count() > 1)"
    assert caught.value.issues[0].diagnostics == "(name.count() > 1): one name is expected"


@pytest.mark.parametrize(("flag", "refused"), [(True, True), (False, False), (None, False), ("x", True)])
def test_a_condition_holds_unless_it_is_false_or_nothing(
    write: Write, context: Make, flag: Any, refused: bool
) -> None:
    mapping = write(PATIENT.replace("= no", "= no.combine(flag.refuse('so it is'))"))
    if not refused:
        assert len(mapping.map({"no": "P1", "flag": flag}, context()).resources) == 1
        return
    with pytest.raises(InvalidMessage, match="so it is"):
        mapping.map({"no": "P1", "flag": flag}, context())


def test_a_warning_of_a_document_travels_with_its_resource(write: Write, context: Make) -> None:
    text = PATIENT + "        birthDate: = born.date() | (sex = '9').warn('odd-sex', 'nobody has this sex')\n"
    mapped = write(text).map({"no": "P1", "born": "19500101", "sex": "9"}, context())
    assert [(one.severity, one.diagnostics.partition(": ")[2]) for one in mapped.issues] == [
        ("warning", "nobody has this sex")
    ]
    assert [tag["code"] for tag in first(mapped)["meta"]["tag"]] == ["odd-sex"]
    assert write(text).map({"no": "P1", "born": "19500101", "sex": "1"}, context()).issues == []


def test_facts_keep_their_json(write: Write, context: Make) -> None:
    mapping = write("""
        format: json
        facts:
          none: = missing
          one: = rows.where(a = 1)
          several: = rows
          nested: = rows.where(a = 2).inner
          list:
            - $for: = rows
              b: = a
          lists: [[1, 2], ['3']]
          written: {x: = rows.first().a}
          nothing: null
        """)
    source = read_json(b'{"rows": [{"a": 1}, {"a": 2, "inner": {"c": [1.50, true]}}]}')
    assert mapping.map(source, context()).facts == {
        "one": {"a": 1},
        "several": [{"a": 1}, {"a": 2, "inner": {"c": [Decimal("1.50"), True]}}],
        "nested": {"c": [Decimal("1.50"), True]},
        "list": [{"b": 1}, {"b": 2}],
        "lists": [[1, 2], ["3"]],
        "written": {"x": 1},
    }
    alone = mapping.map({"rows": [{"a": 7}]}, context()).facts
    assert alone["several"] == {"a": 7}
    assert alone["list"] == [{"b": 7}]


def test_lists_inside_loops_run_into_one(write: Write, context: Make) -> None:
    body = """
contact:
  - $for: = rows
    $let: {owner: = who}
    $when: = who != 'nobody'
    $items:
      - {name: {text: = %owner}}
      - $for: = phones
        name: {text: = %owner}
        telecom: [{value: = $this}]
  - name: {text: last}
    gender: = sex
"""
    source = {"sex": "male", "rows": [{"who": "a", "phones": ["1", "2"]}, {"who": "nobody"}, {"who": "b"}]}
    assert patient(write, context(), body, source)["contact"] == [
        {"name": {"text": "a"}},
        {"name": {"text": "a"}, "telecom": [{"value": "1"}]},
        {"name": {"text": "a"}, "telecom": [{"value": "2"}]},
        {"name": {"text": "b"}},
        {"name": {"text": "last"}, "gender": "male"},
    ]


def test_lists_inside_loops_of_a_message_that_goes_out(write: Write, context: Make) -> None:
    mapping = write("""
        direction: out
        message:
          lines:
            - $for: = rows
              $items:
                - {$for: = $this.inner, x: = $this}
        """)
    assert mapping.render({"rows": [{"inner": [1, 2]}, {}, {"inner": [3]}]}, context()).body == (
        b'{"lines":[{"x":1},{"x":2},{"x":3}]}'
    )


def test_what_is_built_can_be_read(write: Write, context: Make) -> None:
    body = """
name: [{family: = a}, {family: = b}]
multipleBirthInteger: = %built.name.count()
active: "= %built.name.where(family = 'x').exists()"
"""
    found = patient(write, context(), body.replace("active", "deceasedBoolean"), {"a": "x"})
    assert found == {"name": [{"family": "x"}], "multipleBirthInteger": 1, "deceasedBoolean": True}


def test_members_that_nobody_reads_are_told(write: Write, context: Make) -> None:
    text = PATIENT + "    ignore: [{path: noise.level, reason: nobody needs it}]\n"
    mapped = write(text).map(
        {"no": "P1", "noise": {"level": 1}, "more": 1, "empty": {}, "null": None}, context()
    )
    assert [(one.severity, one.diagnostics) for one in mapped.issues] == [
        ("information", "member more is not mapped by set/doc")
    ]
