"""Searches: parameters, modifiers, chains, results' controls, and values that fit or do not."""

from __future__ import annotations

import random
from urllib.parse import quote

from hub import r4
from tests.fuzz import resources, words

MODIFIERS = (
    "missing", "exact", "contains", "not", "text", "in", "not-in", "below", "above", "type", "of-type",
    "identifier", "Patient",
    "Nonsense", "", "iterate", "recurse", "missing:exact", "code-text",
)  # fmt: skip
CONTROLS = (
    "_count", "_sort", "_include", "_revinclude", "_include:iterate", "_revinclude:iterate", "_summary",
    "_elements", "_total",
    "_contained", "_containedType", "_cursor", "_format", "_pretty", "_type", "_list", "_has", "_filter",
    "_query", "_id",
    "_lastUpdated", "_tag", "_profile", "_security", "_source", "_text", "_content", "_since", "_at",
    "_getpages", "page", "",
)  # fmt: skip
_CONTROL_VALUES = (
    "1", "0", "-1", "1000000", "99999999999999999999", "1.5", "٣", "true", "false", "text", "data", "count",
    "both", "contained",
    "accurate", "json", "xml", "ttl", "text/html", "application/fhir+json", "*", "Patient:*", "*:*",
    "Patient", "_id,-_lastUpdated",
    "-", "--_id", "_score", "eyJ4IjoxfQ", "AAAA", "====", "Patient:organization",
    "Observation:subject:Patient", "Patient:", ":",
    "Observation:*:Patient", "name,-birthdate,gender", "id,name", "meta.tag", "$x",
)  # fmt: skip


def search(rng: random.Random, type_name: str) -> str:
    """A query string (without `?`)."""
    if rng.random() < 0.03:
        return rng.choice(_WHOLE)
    pairs = [_pair(rng, type_name) for _ in range(rng.choice((1, 1, 1, 1, 2, 3)))]
    return "&".join(f"{_escape(rng, name)}={_escape(rng, value)}" for name, value in pairs)


def _escape(rng: random.Random, text: str) -> str:
    if rng.random() < 0.02:
        return text + rng.choice(("%", "%zz", "%00", "%ff", "%ed%a0%80", "%u0041"))
    return quote(text, safe=rng.choice(("", "/:|,$")))


SOUND: dict[str, tuple[str, ...]] = {
    "date": ("2019", "ge2019-03-04", "lt2026-02-01T08:00:00Z", "ap2019-03", "ne2019", "9999-12-31",
    "ge0001-01-01"),
    "number": ("7", "gt5.4", "le1e3", "ne0", "ap100", "sa-1e300"),
    "quantity": ("2.5", "gt2.5|http://unitsofmeasure.org|mg", "le1e3||mg", "ap100"),
    "token": ("male", "http://loinc.org|8867-4", "|final", "http://hl7.org/fhir/administrative-gender|",
    "true"),
    "reference": ("Patient/p0", "p1", "Patient/p1,Patient/p2", "http://elsewhere.example/fhir/Patient/1"),
    "composite": ("http://loinc.org|8867-4$2.5", "a$b", "8867-4$gt2.5||mg"),
    "string": ("Wang", "王", "some", "a", "王小明", "String"),
    "uri": ("http://example.org/u", "urn:ietf:rfc:3986", "http://example.org/c"),
    "special": ("31.2|121.4|10|km", "42", "text"),
}  # fmt: skip


_WHOLE = (
    "", "&", "&&&=", "=", "=a", "a", "%", "name", "name=" + "a," * 3000,
    "&".join(f"name=a{n}" for n in range(1200)),
    "name=" + "%E7%8E%8B" * 3000, "_id=" + ",".join(f"p{n}" for n in range(2000)),
    "&".join(["_include=Patient:organization"] * 400),
    "&".join(f"_sort={n}" for n in range(500)), "_elements=" + ",".join(f"e{n}" for n in range(3000)),
)  # fmt: skip


def _pair(rng: random.Random, type_name: str) -> tuple[str, str]:
    fate = rng.random()
    if fate < 0.25:
        name = rng.choice(CONTROLS)
        return name, _control(rng, name, type_name)
    if fate < 0.35:
        return _chain(rng, type_name), value(rng, rng.choice(("string", "token", "reference", "date")))
    if fate < 0.42:
        return _has(rng), value(rng, rng.choice(("string", "token", "reference", "date")))
    if fate < 0.46:
        return words.garbage(rng, 20), words.any_of(rng)
    return _plain(rng, type_name)


def _plain(rng: random.Random, type_name: str) -> tuple[str, str]:
    parameter = rng.choice(r4.search_parameters(type_name))
    modifier = rng.choice(MODIFIERS) if rng.random() < 0.3 else ""
    name = f"{parameter.code}:{modifier}" if modifier else parameter.code
    given = value(rng, parameter.type)
    if modifier == "missing" and rng.random() < 0.8:
        given = rng.choice(("true", "false", "TRUE", "1"))
    return name, given


def _control(rng: random.Random, name: str, type_name: str) -> str:
    if rng.random() < 0.4:
        codes = [one.code for one in r4.search_parameters(type_name)]
        if "clude" in name:
            return f"{type_name}:{rng.choice(codes)}" + rng.choice(("", ":Patient", ":Nonsense", ":*"))
        if name == "_sort":
            return ",".join(rng.choice(("", "-")) + rng.choice(codes) for _ in range(rng.choice((1, 2, 9))))
    return rng.choice(_CONTROL_VALUES) if rng.random() < 0.8 else words.any_of(rng)


def _references(type_name: str) -> list[str]:
    return [one.code for one in r4.search_parameters(type_name) if one.type == "reference"] or ["subject"]


def _chain(rng: random.Random, type_name: str) -> str:
    parts = []
    for _ in range(rng.choice((1, 1, 2, 3, 10, 20, 200))):
        target = rng.choice(("", "", ":Patient", f":{resources.some_type(rng)}"))
        parts.append(rng.choice(_references(type_name)) + target)
        type_name = target[1:] or "Patient"
    return ".".join([*parts, rng.choice(r4.search_parameters(type_name)).code])


def _has(rng: random.Random) -> str:
    name = ""
    for _ in range(rng.choice((1, 1, 2, 3, 12, 60))):
        type_name = resources.some_type(rng)
        name += f"_has:{type_name}:{rng.choice(_references(type_name))}:"
    return name + rng.choice(r4.search_parameters(type_name)).code


def value(rng: random.Random, kind: str) -> str:
    """A value of a parameter of this type, now and then several, now and then of another type."""
    if rng.random() < 0.3:
        return rng.choice(SOUND[kind])
    if rng.random() < 0.15:
        return rng.choice((words.any_of, words.garbage))(rng)
    made = [_one(rng, kind) for _ in range(rng.choice((1, 1, 1, 2, 30)))]
    return ",".join(made)


def _one(rng: random.Random, kind: str) -> str:
    match kind:
        case "date":
            return rng.choice(words.PREFIXES) + rng.choice(words.DATES)
        case "number":
            return rng.choice(words.PREFIXES) + rng.choice(words.NUMBERS)
        case "quantity":
            unit = rng.choice(("", "|", "||mg", "|http://unitsofmeasure.org|mg", "|a|b|c", "||"))
            return rng.choice(words.PREFIXES) + rng.choice(words.NUMBERS) + unit
        case "token":
            return rng.choice(words.CODES)
        case "reference":
            return rng.choice(words.REFERENCES)
        case "composite":
            return rng.choice(("$", "$$", "")).join(
                _one(rng, rng.choice(("token", "quantity", "date"))) for _ in range(rng.choice((1, 2, 3)))
            )
        case "special":
            return rng.choice(("a|b", "31.2|121.4|10|km", "42", *words.TEXTS))
        case _:
            return rng.choice(words.TEXTS)
