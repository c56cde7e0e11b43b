"""Bundles that are transactions, batches or messages, patches, and the parameters of operations."""

from __future__ import annotations

import base64
import json
import random
from typing import Any
from urllib.parse import quote

from hub.api.operations import OFFERED
from tests.fuzz import queries, resources, words

Json = dict[str, Any]

URLS = (
    "Patient", "Patient/p1", "Patient?identifier=a|b", "Patient/p1/_history/1", "Patient/../Claim", "..",
    "//", "", "/", "/Patient/p1",
    "http://elsewhere.example/fhir/Patient/1", "file:///etc/passwd", "Nonsense/1", "metadata", "_history",
    "$validate", "Patient/$match",
    "Patient/p1/$everything", "Patient/p1?x=y", "?name=a", "Patient?", "Patient/%00", "Patient/%2e%2e",
    "urn:uuid:x", "Patient/p1#x",
    "Patient/p1/*", "Patient/_search", "_search?_type=Patient", "\ud83d\ude00", "Bundle",
    "Patient?name:" + "a" * 3000 + "=1",
)  # fmt: skip
VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "", "TRACE")
_UUIDS = tuple(f"urn:uuid:00000000-0000-4000-8000-{n:012d}" for n in range(6))
_LIKELY = {
    "GET": "Patient/p1",
    "POST": "Patient",
    "PUT": "Patient/p2",
    "DELETE": "Patient/p3",
    "PATCH": "Patient/p1",
}


def bundle(rng: random.Random) -> Json:
    """A Bundle to POST to the base."""
    kind = rng.choice(("batch", "transaction", "transaction", "message", "collection", "history", "x"))
    count = rng.choice((0, 1, 2, 3, 5, 8))
    return {"resourceType": "Bundle", "type": kind, "entry": [_entry(rng) for _ in range(count)]}


def _entry(rng: random.Random) -> Json:
    made: Json = {}
    verb = rng.choice(VERBS) if rng.random() < 0.2 else rng.choice(tuple(_LIKELY))
    url = rng.choice(URLS) if rng.random() < 0.35 else _LIKELY.get(verb, "Patient")
    if rng.random() < 0.8:
        made["fullUrl"] = rng.choice(_UUIDS) if rng.random() < 0.8 else rng.choice(words.REFERENCES)
    if verb in ("POST", "PUT", "PATCH") or rng.random() < 0.1:
        made["resource"] = _content(rng, verb, url)
    if rng.random() < 0.95:
        made["request"] = {"method": verb, "url": url}
        if rng.random() < 0.2:
            name = rng.choice(("ifMatch", "ifNoneMatch", "ifNoneExist", "ifModifiedSince"))
            made["request"][name] = rng.choice(
                ('W/"1"', "*", "identifier=a|b", "?", "name=a", words.any_of(rng))
            )
    return made


def _content(rng: random.Random, verb: str, url: str) -> Any:
    if verb == "PATCH":
        return patch_parameters(rng) if rng.random() < 0.5 else binary(patch(rng))
    id = url.partition("/")[2] if verb == "PUT" else ""
    made: Any = resources.resource(
        rng, url.partition("/")[0].partition("?")[0] if rng.random() < 0.9 else "", id
    )
    if rng.random() < 0.5:
        name = rng.choice(("managingOrganization", "subject", "link", "generalPractitioner", "patient"))
        made[name] = {"reference": rng.choice((*_UUIDS, *words.REFERENCES))}
    return resources.mutate(rng, made) if rng.random() < 0.25 else made


POINTERS = (
    "", "/", "/name", "/name/0", "/name/-", "/name/-1", "/name/01", "/name/99999999999999999999",
    "/name/0/given/0", "/active", "/id",
    "/resourceType", "/meta", "/meta/versionId", "/~", "/~2", "/~01", "/~1", "/a/b/c", "name",
    "/name/0/given/-", "/__class__", "/birthDate",
    "/identifier/0/value", "/" * 3000, "/contained", "/extension/0/extension/0",
)  # fmt: skip


def patch(rng: random.Random) -> list[Any]:
    """A JSON Patch (RFC 6902), sound or not."""
    made: list[Any] = []
    for _ in range(rng.choice((0, 1, 1, 2, 3, 30))):
        operation: Json = {"op": rng.choice(("add", "remove", "replace", "move", "copy", "test", "", "ADD"))}
        for name in ("path", "from"):
            if rng.random() < 0.9:
                operation[name] = rng.choice(POINTERS)
        if rng.random() < 0.8:
            operation["value"] = resources.hostile(rng)
        made.append(operation)
    if rng.random() < 0.05:
        made = [
            {"op": "copy", "from": "", "path": "/contained"},
            *[{"op": "copy", "from": "/contained", "path": "/x/-"}] * 40,
        ]
    return resources.mutate(rng, made) if rng.random() < 0.15 else made


def binary(content: Any) -> Json:
    """A patch as an entry of a Bundle carries it."""
    data = base64.b64encode(json.dumps(content).encode()).decode()
    return {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}


EXPRESSIONS = (
    "Patient", "Patient.name", "Patient.name[0]", "Patient.name.given", "Patient.active",
    "name.where(use='official')", "Patient.nothing",
    "%resource", "%context", "$this", "resolve()", "now()", "Patient.name.first().given.last()", "1/0",
    "'a' & 'b'", "descendants()",
    "repeat($this)", "(1 | 2 | 3).repeat($this)",
    "descendants().where(descendants().where(descendants().exists()).exists())",
    "'" + "a" * 40 + "b'.matches('(a+)+$')", "name.given.aggregate($total & $this & $total, 'x')",
    "(" * 500, "1" + "+1" * 3000,
    "not().not()" * 50, "name[99999999999999999999]", "iif(true, 1)", "@2026-13-45", "@0000",
    "1 'mg' + 1 'kg'", "10000000000 * 10000000000",
    "''.replace('', 'x')", "'a'.substring(-1)", "{}", "", " ", "\\", "Patient.id", "Patient.meta.versionId",
    "extension('x')", "trace('x')",
    "memberOf('http://x')", "conformsTo('http://x')", "%`vs-x`",
    "name.select(given.select($this & %resource.name.given))", "-Patient",
    "(2).power(100000)", "9.power(9).power(9).power(9)", "2.power(0.5)", "(-1).sqrt()", "0.ln()",
    "10.log(0)", "'x'.toChars()", "1.round(99999)",
)  # fmt: skip


def patch_parameters(rng: random.Random) -> Json:
    """A FHIRPath Patch (http://hl7.org/fhir/R4/fhirpatch.html)."""
    made = [_operation(rng) for _ in range(rng.choice((0, 1, 1, 2, 5)))]
    found: Json = {"resourceType": "Parameters", "parameter": made}
    return resources.mutate(rng, found) if rng.random() < 0.2 else found


def _operation(rng: random.Random) -> Json:
    part: list[Json] = [
        {"name": "type", "valueCode": rng.choice(("add", "insert", "delete", "replace", "move", "x"))}
    ]
    part.append({"name": "path", "valueString": rng.choice(EXPRESSIONS)})
    for name, key in (
        ("name", "valueString"),
        ("index", "valueInteger"),
        ("source", "valueInteger"),
        ("destination", "valueInteger"),
    ):
        if rng.random() < 0.6:
            texts = ("name", "active", "birthDate", "given", "x", "extension")
            value: Any = rng.choice(texts) if key == "valueString" else rng.choice((0, 1, -1, 2147483647))
            part.append({"name": name, key: value})
    if rng.random() < 0.8:
        kind = rng.choice(("String", "Boolean", "HumanName", "Decimal", "DateTime", "Reference", "Code"))
        part.append({"name": "value", f"value{kind}": rng.choice(("x", True, {"family": "x"}, 1.5, "2026"))})
    return {"name": "operation", "part": part}


NAMES = tuple(sorted({one.name for one in OFFERED}))
_ARGUMENTS = (
    "url", "code", "system", "resource", "profile", "mode", "meta", "count", "offset", "filter", "valueSet",
    "codeSystem", "coding",
    "codeableConcept", "display", "date", "start", "end", "_since", "_type", "_count", "source", "target",
    "reverse", "concept", "name",
    "onlyCertainMatches", "content", "async", "response-url", "version", "property", "activeOnly", "codeA",
    "codeB", "_outputFormat",
    "_typeFilter", "patient", "includeDesignations", "displayLanguage", "context", "abstract",
    "targetsystem", "conceptMap", "x", "",
)  # fmt: skip


def parameters(rng: random.Random) -> Json:
    """The Parameters of some operation."""
    made: list[Json] = []
    for _ in range(rng.choice((0, 1, 2, 3, 6))):
        one: Json = {"name": rng.choice(_ARGUMENTS)}
        fate = rng.random()
        if fate < 0.3:
            one["resource"] = resources.resource(rng)
        elif fate < 0.4:
            one["part"] = [{"name": rng.choice(_ARGUMENTS), "valueString": words.any_of(rng)}]
        else:
            kind, value = rng.choice(_VALUES)
            one[f"value{kind}"] = value
        made.append(one)
    found: Json = {"resourceType": "Parameters", "parameter": made}
    return resources.mutate(rng, found) if rng.random() < 0.25 else found


_VALUES: tuple[tuple[str, Any], ...] = (
    ("Uri", "http://hl7.org/fhir/ValueSet/administrative-gender"), ("Uri",
    "http://hl7.org/fhir/administrative-gender"), ("Code", "male"),
    ("String", "a"), ("Boolean", True), ("Integer", -1), ("Integer", 2147483647), ("Date", "2026-01-01"),
    ("DateTime", "0001"),
    ("Coding", {"system": "http://hl7.org/fhir/administrative-gender", "code": "male"}), ("Coding", {}),
    ("CodeableConcept", {"text": "x"}),
    ("Canonical", "http://hl7.org/fhir/StructureDefinition/Patient"), ("Meta", {"tag": [{"code": "x"}]}),
    ("Instant", "2026-01-01T00:00:00Z"),
    ("Uri", "http://hl7.org/fhir/ValueSet/all-types"), ("Uri", "urn:x"), ("Reference",
    {"reference": "Patient/p1"}),
)  # fmt: skip


def arguments(rng: random.Random) -> str:
    """The same in a URL."""
    pairs = []
    for _ in range(rng.choice((0, 1, 2, 3))):
        value = str(rng.choice(_VALUES)[1]) if rng.random() < 0.6 else words.any_of(rng)
        pairs.append(f"{rng.choice(_ARGUMENTS)}={quote(value)}")
    return "&".join(pairs)


def deep_value_set(rng: random.Random) -> Json:
    """ValueSets and code systems whose definitions go round in circles or down without end."""
    url = f"http://example.org/vs{rng.randrange(4)}"
    other = f"http://example.org/vs{rng.randrange(4)}"
    if rng.random() < 0.5:
        compose = {
            "include": [
                {"valueSet": [url, other]},
                {
                    "system": "http://example.org/cs",
                    "filter": [
                        {
                            "property": "concept",
                            "op": rng.choice(("is-a", "regex", "=", "in")),
                            "value": rng.choice(("a", "(a+)+$", "[")),
                        }
                    ],
                },
            ]
        }
        return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": compose}
    concept: Json = {"code": "leaf" + "a" * 30 + "b"}
    for n in range(rng.choice((1, 5, 60))):
        concept = {"code": f"c{n}", "concept": [concept, {"code": f"c{n}"}]}
    return {
        "resourceType": "CodeSystem",
        "url": "http://example.org/cs",
        "status": "active",
        "content": "complete",
        "concept": [concept],
    }


def search_parameter(rng: random.Random) -> Json:
    """A SearchParameter whose expression comes from outside."""
    base = rng.choice(("Patient", "Observation", "Resource", "Nonsense"))
    return {
        "resourceType": "SearchParameter", "url": f"http://example.org/sp{rng.randrange(10)}", "name": "x",
        "status": rng.choice(("active", "draft")),
        "description": "x", "code": rng.choice(("fuzz", "name", "_id", "x y", "a.b", "a:b", "")),
        "base": [base],
        "type": rng.choice(("string", "token", "date", "number", "reference", "composite", "special", "uri",
        "quantity")),
        "expression": rng.choice((f"{base}.{rng.choice(EXPRESSIONS)}", *EXPRESSIONS)),
    }  # fmt: skip


def subscription(rng: random.Random) -> Json:
    """A Subscription with odd criteria and endpoints."""
    criteria = rng.choice(
        (
            "Patient",
            "Patient?",
            "Patient?" + queries.search(rng, "Patient"),
            "Nonsense?x",
            "",
            "?",
            "Observation?code=a&_count=1",
        )
    )
    return {
        "resourceType": "Subscription", "status": rng.choice(("requested", "active", "off")), "reason": "x",
        "criteria": criteria,
        "channel": {"type": rng.choice(("rest-hook", "websocket", "email")),
        "endpoint": rng.choice((*words.REFERENCES, "http://127.0.0.1:9/x")),
                    "payload": rng.choice(("application/fhir+json", "", "x")),
                    "header": [rng.choice(("A: b", "A: b\r\nC: d", "x"))]},
    }  # fmt: skip
