"""A model of a FHIR server in plain dicts, written from the specification: versions, and what searches find.

http://hl7.org/fhir/R4/http.html and search.html. Domains are small, so that values meet.
"""

from __future__ import annotations

import calendar
import unicodedata
from collections.abc import Callable
from typing import Any

Body = dict[str, Any]
Test = Callable[["Model", Body], bool]

SYSTEM = "urn:oid:2.16.156.1"
LOINC = "http://loinc.org"
CLASSES = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
UCUM = "http://unitsofmeasure.org"


class Model:
    """Every version of every resource, oldest first; None is a deletion."""

    def __init__(self) -> None:
        self.versions: dict[tuple[str, str], list[Body | None]] = {}
        self.log: list[tuple[str, str, int, str]] = []
        """(type, id, version, verb) in the order of commits."""

    def current(self, type: str, id: str) -> Body | None:
        """The resource, unless it is deleted or never was."""
        known = self.versions.get((type, id))
        return known[-1] if known else None

    def version(self, type: str, id: str) -> int:
        """The number of the newest version; 0: never there."""
        return len(self.versions.get((type, id), ()))

    def write(self, type: str, id: str, body: Body | None, verb: str) -> None:
        """Add a version, unless nothing changes."""
        known = self.versions.setdefault((type, id), [])
        if not known and body is None:
            del self.versions[type, id]
            return
        if known and known[-1] == body:
            return
        known.append(body)
        self.log.append((type, id, len(known), verb))

    def all(self, type: str) -> dict[str, Body]:
        """What is there now, by id."""
        found = {id: known[-1] for (one, id), known in self.versions.items() if one == type}
        return {id: body for id, body in found.items() if body is not None}

    def find(self, type: str, *tests: Test) -> set[str]:
        """The ids of what meets all criteria."""
        return {id for id, body in self.all(type).items() if all(test(self, body) for test in tests)}

    def target(self, reference: str) -> Body | None:
        """What a relative reference leads to."""
        type, _, id = reference.partition("/")
        return self.current(type, id)


# -- values


def folded(text: str) -> str:
    """Without case and accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).casefold()


def days(text: str) -> tuple[int, int]:
    """The first and the last day of a date, as yyyymmdd (times are not used here)."""
    parts = [int(part) for part in text.split("-")]
    year, month, day = (*parts, 0, 0)[:3]
    last = calendar.monthrange(year, month)[1] if month else 0
    low = year * 10_000 + (month or 1) * 100 + (day or 1)
    return low, year * 10_000 + (month or 12) * 100 + (day or last or 31)


def compared(prefix: str, target: tuple[float, float], asked: tuple[float, float]) -> bool:
    """http://hl7.org/fhir/R4/search.html#prefix, on closed ranges."""
    inside = asked[0] <= target[0] and target[1] <= asked[1]
    above, below = target[1] > asked[1], target[0] < asked[0]
    return {
        "": inside,
        "eq": inside,
        "ne": not inside,
        "gt": above,
        "lt": below,
        "ge": above or inside,
        "le": below or inside,
        "sa": target[0] > asked[1],
        "eb": target[1] < asked[0],
    }[prefix]


def of_number(prefix: str, stored: float, asked: str) -> bool:
    """A number: `eq` within half of the last digit, comparisons by the exact value."""
    value = float(asked)
    half = 0.5 * 10.0 ** -len(asked.partition(".")[2])
    if prefix in ("", "eq", "ne"):
        return (value - half <= stored < value + half) is not (prefix == "ne")
    return compared(prefix, (stored, stored), (value, value))


# -- criteria: (text, test) by type


def family(body: Body) -> list[str]:
    return [one["family"] for one in body.get("name", ()) if "family" in one]


def period(body: Body) -> tuple[int, int] | None:
    """Of an Encounter; an end that is not there is open."""
    found = body.get("period")
    if not found:
        return None
    low = days(found["start"])[0] if "start" in found else 0
    return low, days(found["end"])[1] if "end" in found else 99_991_231


def has_identifier(value: str) -> Test:
    return lambda _, body: any(one["value"] == value for one in body.get("identifier", ()))


def coded(member: str, code: str) -> Test:
    return lambda _, body: any(one["code"] == code for one in body.get(member, {}).get("coding", ()))


def of_class(code: str) -> Test:
    return lambda _, body: body["class"]["code"] == code


def refers(member: str, reference: str) -> Test:
    return lambda _, body: body.get(member, {}).get("reference") == reference


def negated(test: Test) -> Test:
    return lambda model, body: not test(model, body)


def through(member: str, test: Test) -> Test:
    """A chain: what the reference leads to meets the rest."""

    def follows(model: Model, body: Body) -> bool:
        found = model.target(body.get(member, {}).get("reference", "/"))
        return found is not None and test(model, found)

    return follows


def pointed_at(type: str, member: str, test: Test) -> Test:
    """`_has`: something that points here meets the rest."""

    def holds(model: Model, body: Body) -> bool:
        name = f"{body['resourceType']}/{body['id']}"
        return any(refers(member, name)(model, one) and test(model, one) for one in model.all(type).values())

    return holds


PREFIXES = ("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")
DATES = ("1970", "1970-05", "1970-05-17", "1971-01-01")
QUANTITIES = ("2", "2.0", "2.4", "1.5")


def _dates(name: str, range_of: Callable[[Body], tuple[int, int] | None]) -> dict[str, Test]:
    def test(prefix: str, asked: str) -> Test:
        def holds(_: Model, body: Body) -> bool:
            found = range_of(body)
            return found is not None and compared(prefix, found, days(asked))

        return holds

    return {f"{name}={prefix}{asked}": test(prefix, asked) for prefix in PREFIXES for asked in DATES}


def _quantities() -> dict[str, Test]:
    def test(prefix: str, asked: str, unit: str) -> Test:
        def holds(_: Model, body: Body) -> bool:
            found = body.get("valueQuantity")
            if found is None or (unit and found["code"] != unit):
                return False
            return of_number(prefix, float(found["value"]), asked)

        return holds

    return {
        f"value-quantity={prefix}{asked}{f'|{UCUM}|{unit}' if unit else ''}": test(prefix, asked, unit)
        for prefix in PREFIXES
        for asked in QUANTITIES
        for unit in ("", "kg", "g")
    }


def _gender(code: str) -> Test:
    return lambda _, body: body.get("gender") == code


def _starts(text: str) -> Test:
    return lambda _, body: any(folded(one).startswith(folded(text)) for one in family(body))


def _never(_: Model, __: Body) -> bool:
    return False


def _always(_: Model, __: Body) -> bool:
    return True


COMMON: dict[str, Test] = {
    "_lastUpdated=ge2000": _always,
    "_lastUpdated=lt2000-01-01": _never,
    "_id=a,c,nobody": lambda _, body: body["id"] in ("a", "c"),
    "_id=b": lambda _, body: body["id"] == "b",
}
PATIENT: dict[str, Test] = {
    **COMMON,
    **_dates("birthdate", lambda body: days(body["birthDate"]) if "birthDate" in body else None),
    **{f"family={text}": _starts(text) for text in ("ma", "MAO", "Zhang", "zhāng", "L", "x")},
    "family=Li,Mao": lambda m, b: _starts("Li")(m, b) or _starts("Mao")(m, b),
    "family:exact=Ma": lambda _, body: "Ma" in family(body),
    "family:exact=ma": lambda _, body: "ma" in family(body),
    "family:contains=A": lambda _, body: any("a" in folded(one) for one in family(body)),
    "family:missing=true": lambda _, body: not family(body),
    "gender=male": _gender("male"),
    "gender=http://hl7.org/fhir/administrative-gender|female": _gender("female"),
    "gender=male,female": lambda _, body: "gender" in body,
    "gender:not=male": negated(_gender("male")),
    "gender:not=male,female": lambda _, body: "gender" not in body,
    "gender:missing=true": lambda _, body: "gender" not in body,
    "gender:missing=false": lambda _, body: "gender" in body,
    f"identifier={SYSTEM}|1": has_identifier("1"),
    "identifier=2": has_identifier("2"),
    "identifier=|1": _never,
    f"identifier={SYSTEM}|": lambda _, body: bool(body.get("identifier")),
    "active=true": lambda _, body: body.get("active") is True,
    "active:missing=true": lambda _, body: "active" not in body,
    f"_has:Observation:patient:code={LOINC}|x": pointed_at("Observation", "subject", coded("code", "x")),
    "_has:Encounter:patient:class=AMB": pointed_at("Encounter", "subject", of_class("AMB")),
    "_has:Encounter:patient:_has:Observation:encounter:code=y": pointed_at(
        "Encounter", "subject", pointed_at("Observation", "encounter", coded("code", "y"))
    ),
}
ENCOUNTER: dict[str, Test] = {
    **COMMON,
    **_dates("date", period),
    f"class={CLASSES}|AMB": of_class("AMB"),
    "class:not=AMB": negated(of_class("AMB")),
    "patient=a": refers("subject", "Patient/a"),
    "subject=Patient/b": refers("subject", "Patient/b"),
    "subject:missing=true": lambda _, body: "subject" not in body,
    "patient.gender=male": through("subject", _gender("male")),
    "subject:Patient.family=ma": through("subject", _starts("ma")),
    "_has:Observation:encounter:code=x": pointed_at("Observation", "encounter", coded("code", "x")),
}
OBSERVATION: dict[str, Test] = {
    **COMMON,
    **_dates("date", lambda body: days(body["effectiveDateTime"]) if "effectiveDateTime" in body else None),
    **_quantities(),
    f"code={LOINC}|x": coded("code", "x"),
    f"code={LOINC}|x,{LOINC}|y": lambda m, b: coded("code", "x")(m, b) or coded("code", "y")(m, b),
    "code:not=x": negated(coded("code", "x")),
    f"code-value-quantity={LOINC}|x$gt1.9": lambda m, b: (
        coded("code", "x")(m, b)
        and "valueQuantity" in b
        and of_number("gt", float(b["valueQuantity"]["value"]), "1.9")
    ),
    "patient=a": refers("subject", "Patient/a"),
    "subject=Patient/b,Patient/c": lambda m, b: (
        refers("subject", "Patient/b")(m, b) or refers("subject", "Patient/c")(m, b)
    ),
    "subject:Patient=c": refers("subject", "Patient/c"),
    "encounter:missing=false": lambda _, body: "encounter" in body,
    "patient.gender=male": through("subject", _gender("male")),
    "patient.gender:not=male": through("subject", negated(_gender("male"))),
    "subject:Patient.birthdate=lt1971": through(
        "subject", lambda _, b: "birthDate" in b and compared("lt", days(b["birthDate"]), days("1971"))
    ),
    "encounter.class=IMP": through("encounter", of_class("IMP")),
    "encounter.patient.family:exact=Mao": through(
        "encounter", through("subject", lambda _, body: "Mao" in family(body))
    ),
    f"subject.identifier={SYSTEM}|2": through("subject", has_identifier("2")),
}
CRITERIA = {"Patient": PATIENT, "Encounter": ENCOUNTER, "Observation": OBSERVATION}
LINKS = {
    ("Observation", "subject"): "subject",
    ("Observation", "encounter"): "encounter",
    ("Encounter", "subject"): "subject",
}
"""(type, parameter) → member: what `_include` and `_revinclude` follow here."""
