"""Resources made from the definitions, valid at first, and what chance makes of them."""

from __future__ import annotations

import json
import random
from typing import Any

from hub import r4
from hub.r4 import xml
from hub.r4.definitions import Element
from tests.fuzz import words

Json = dict[str, Any]

PLAIN: dict[str, tuple[Any, ...]] = {
    "base64Binary": ("U2FueWk=",),
    "boolean": (True, False),
    "canonical": ("http://example.org/c|1.0", "http://hl7.org/fhir/ValueSet/administrative-gender"),
    "code": ("final", "active", "some-code"),
    "date": ("2019-03-04", "2019-03", "2019"),
    "dateTime": ("2019-03-04T05:06:07+08:00", "2019", "2019-03-04T05:06:07.123456789Z"),
    "decimal": (2.5, 105.00, 0, -1, 1e22),
    "id": ("some-id",),
    "instant": ("2019-03-04T05:06:07.123Z",),
    "integer": (7, -7, 0),
    "markdown": ("*text*",),
    "oid": ("urn:oid:1.2.3",),
    "positiveInt": (3,),
    "string": ("Wang", "王小明", "Some String"),
    "time": ("05:06:07",),
    "unsignedInt": (0, 4),
    "uri": ("http://example.org/u", "urn:ietf:rfc:3986"),
    "url": ("http://example.org/u",),
    "uuid": ("urn:uuid:4fc0b5dd-2f25-4a4f-8d3c-1a0e6a1f0b0c",),
    "xhtml": ('<div xmlns="http://www.w3.org/1999/xhtml">text</div>',),
}
COMMON = (
    "Patient", "Observation", "Claim", "MedicationRequest", "SupplyDelivery", "Encounter", "Organization",
    "Practitioner",
    "Questionnaire", "ValueSet", "CodeSystem", "ConceptMap", "SearchParameter", "Subscription", "Group",
    "List", "Bundle",
    "Parameters", "Binary", "StructureDefinition", "OperationOutcome", "AuditEvent", "Provenance",
    "Location", "Basic",
)  # fmt: skip
_SKIPPED = frozenset({"id", "extension", "modifierExtension", "contained", "meta", "implicitRules"})
_DEPTH = 5


def some_type(rng: random.Random) -> str:
    """A resource type, those of every day more often."""
    return rng.choice(COMMON if rng.random() < 0.7 else r4.TYPES)


def resource(rng: random.Random, type_name: str = "", id: str = "") -> Json:
    """A resource that is valid, or nearly (invariants are left to chance)."""
    type_name = type_name or some_type(rng)
    made: Json = {"resourceType": type_name}
    if id:
        made["id"] = id
    return made | _structure(rng, type_name, rng.choice((0.0, 0.1, 0.3)), 0)


def _structure(rng: random.Random, path: str, filled: float, depth: int) -> Json:
    made: Json = {}
    for name, element in r4.members(path).items():
        wanted = element.min or (name not in _SKIPPED and depth < _DEPTH and rng.random() < filled)
        if not wanted or name == "id":
            continue
        kind = rng.choice(element.types)
        value = _value(rng, name, element, kind, filled / 2, depth)
        if value not in ({}, None):
            member = name + kind[:1].upper() + kind[1:] if element.choice else name
            made[member] = [value] * rng.choice((1, 1, 2)) if element.many else value
    return made


def _value(rng: random.Random, name: str, element: Element, kind: str, filled: float, depth: int) -> Any:
    if kind == "Resource":
        return {"resourceType": "Basic", "code": {"text": "inside"}}
    if kind == "Reference":
        return {"reference": f"{rng.choice(element.targets or r4.TYPES)}/p{rng.randrange(5)}"}
    if kind in r4.PRIMITIVES:
        if element.binding == "required" and kind == "code" and (codes := r4.codes(element.valueset)):
            return rng.choice(sorted(codes))
        return rng.choice(PLAIN[kind])
    inner = _structure(rng, kind, filled, depth + 1)
    return inner or {"extension": [{"url": "http://example.org/absent", "valueBoolean": True}]}


def hostile(rng: random.Random) -> Any:
    """A JSON value that does not belong where it will stand."""
    return rng.choice(
        (
            None, True, 0, -1, 10**30, 1e308, "", " ", [], {}, [[]], [None], {"a": None}, [1, "a", None],
            {"value": {}},
            {"resourceType": "Patient"}, {"extension": []}, words.any_of(rng), words.garbage(rng),
            [words.any_of(rng)],
        )
    )  # fmt: skip


def mutate(rng: random.Random, value: Any) -> Any:
    """The same tree with something changed somewhere inside."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        pairs = node.items() if isinstance(node, dict) else enumerate(node)
        for key, inner in pairs:
            places.append((node, key))
            if isinstance(inner, (dict, list)):
                walk(inner)

    walk(value)
    for _ in range(rng.choice((1, 1, 2, 5))):
        if not places:
            return hostile(rng)
        node, key = rng.choice(places)
        try:
            _change(rng, node, key)
        except (KeyError, IndexError):
            continue
    return value


def _change(rng: random.Random, node: Any, key: Any) -> None:
    match rng.randrange(7):
        case 0:
            del node[key]
        case 1 if isinstance(node, dict):
            node[words.any_of(rng) or "x"] = node[key]
        case 2 if isinstance(node, dict):
            node[f"_{key}"] = hostile(rng)
        case 3 if isinstance(node, dict):
            node["extension"] = [{"url": words.any_of(rng), f"value{rng.choice(_KINDS)}": hostile(rng)}]
        case 4:
            node[key] = [node[key]] * rng.choice((1, 2, 50))
        case _:
            node[key] = hostile(rng)


_KINDS = ("String", "Quantity", "Reference", "Decimal", "DateTime", "CodeableConcept", "Nonsense", "")


def damaged(rng: random.Random, text: bytes) -> bytes:
    """Bytes that are no longer what they were: cut, spliced, re-encoded, nested, doubled."""
    place = rng.randrange(len(text) + 1)
    match rng.randrange(14):
        case 0:
            return text[:place]
        case 1:
            return text[:place] + rng.randbytes(rng.randrange(1, 8)) + text[place:]
        case 2:
            return b"\xef\xbb\xbf" + text
        case 3:
            return text.decode("utf-8", "replace").encode(
                rng.choice(("utf-16", "utf-16-le", "utf-32", "gb18030"))
            )
        case 4:
            return text.replace(
                b'"', rng.choice((b'"\x00', b'"\\u0000', b'"\\ud800', b'"\xff', b'"\\', b"'")), place % 9 + 1
            )
        case 5:
            return text[:-1] + b"," + text[1:]
        case 6:
            return text * rng.choice((2, 50))
        case 7:
            depth = rng.choice((10, 200, 5000, 50_000))
            return text[:-1] + b',"extension":[{"url":"u","x":' * depth + b"1" + b"}]" * depth + b"}"
        case 8:
            return rng.choice(
                (b"[" * 100_000, b'{"a":' * 100_000, b"", b" ", b"\x00", b"null", b"1e400", b"[]", b'"x"')
            )
        case 9:
            return text.replace(b": ", b": " + b"1e400" + b",", 1)
        case 10:
            return (
                text[:-1]
                + b',"multipleBirthInteger":'
                + rng.choice((b"1e400", b"NaN", b"-", b"9" * 5000))
                + b"}"
            )
        case 11:
            return (
                text[:-1]
                + b',"text":{"status":"generated","div":"'
                + b"<div>" * rng.choice((1, 5000))
                + b'"}}'
            )
        case 12:
            return text[:-1] + b',"meta":{"tag":[' + b",".join([b'{"code":"x"}'] * 5000) + b"]}}"
        case _:
            return bytes(byte ^ (rng.random() < 0.01) * rng.randrange(256) for byte in text)


def written(rng: random.Random, value: Any) -> bytes:
    """As JSON; now and then with escapes."""
    return json.dumps(value, ensure_ascii=rng.random() < 0.3).encode("utf-8", "surrogatepass")


def body(rng: random.Random, type_name: str = "", id: str = "") -> bytes:
    """A resource as it may come: a third as it should be, a third with mistakes, a third in pieces."""
    made: Any = resource(rng, type_name, id)
    fate = rng.random()
    if fate > 0.35:
        made = mutate(rng, made)
    text = written(rng, made)
    return damaged(rng, text) if fate > 0.75 else text


def xml_body(rng: random.Random, type_name: str = "") -> bytes:
    """The same as XML, and XML's own traps."""

    made = resource(rng, type_name)
    try:
        text = xml.write(written(rng, made))
    except Exception:
        text = b'<Patient xmlns="http://hl7.org/fhir"><active value="true"/></Patient>'
    place = rng.randrange(len(text) + 1)
    match rng.randrange(8):
        case 0:
            return text[:place]
        case 1:
            return text[:place] + rng.randbytes(rng.randrange(1, 8)) + text[place:]
        case 2:
            bomb = b"".join(b'<!ENTITY a%d "%b">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 12))
            return (
                b'<!DOCTYPE l [<!ENTITY a0 "ha">'
                + bomb
                + b"]>"
                + text.replace(b'value="', b'value="&a11;', 1)
            )
        case 3:
            return text.replace(
                b'value="', b'value="' + rng.choice((b"&#0;", b"&#xD800;", b"<", b"\x00", b"&x;", b"\xff")), 1
            )
        case 4:
            return b'<extension url="x">' * rng.choice((50, 5000, 100_000)) + text
        case 5:
            return text.replace(b"http://hl7.org/fhir", words.any_of(rng).encode().replace(b"<", b""), 1)
        case _:
            return text
