"""Reading what the terminology operations share: codes, value sets, code systems, versions of them."""

from __future__ import annotations

from typing import Any

from hub import r4
from hub.api.exchange import Api, Ask
from hub.api.outcome import BadRequest
from hub.api.parameters import Given, wrong
from hub.api.vocabulary import Vocabulary
from hub.errors import Issue, NotSupported
from hub.terminology.coded import Code, Rules
from hub.terminology.compose import Versions
from hub.terminology.source import split
from hub.terminology.systems import System


def missing(text: str) -> BadRequest:
    """The error for parameters that had to be there."""
    return BadRequest(issues=[Issue(code="required", diagnostics=text)])


def string(given: Given, name: str) -> str:
    """A string, code or uri; BadRequest for a value of another type."""
    value = given.one(name)
    if value is not None and not isinstance(value, str):
        raise wrong(name, "expected a string")
    return value or ""


def strings(given: Given, name: str) -> list[str]:
    """The same of a parameter that may be repeated."""
    found = given.all(name)
    if not all(isinstance(one, str) for one in found):
        raise wrong(name, "expected a string")
    return list(found)


def structure(given: Given, name: str) -> dict[str, Any] | None:
    """A Coding or CodeableConcept; BadRequest for anything else."""
    value = given.one(name)
    if value is not None and not isinstance(value, dict):
        raise wrong(name, "expected a structure: POST it in Parameters")
    return value


def resource(given: Given, name: str, kind: str) -> dict[str, Any] | None:
    """A resource given in the request, checked; BadRequest for another type."""
    value = structure(given, name)
    if value is None:
        return None
    if value.get("resourceType") != kind:
        raise wrong(name, f"expected a {kind}")
    r4.decode(r4.untree(value), kind)
    return value


def coding(given: Given, name: str) -> Code | None:
    """A Coding parameter."""
    value = structure(given, name)
    return None if value is None else _code(value, name)


def codes(given: Given, version: str = "version") -> tuple[list[Code], str]:
    """The codes asked about, and which of code, coding or codeableConcept said so.

    `version` names the parameter with the version of a bare code's system. BadRequest for none or several.
    """
    said = [name for name in ("code", "coding", "codeableConcept") if given.all(name)]
    if len(said) != 1:
        raise missing("expected one of the parameters code, coding and codeableConcept, " + _found(said))
    if said[0] == "code":
        code = Code(
            string(given, "code"), string(given, "system"), string(given, version), string(given, "display")
        )
        return [code], "code"
    if said[0] == "coding":
        one = coding(given, "coding")
        return [one] if one is not None else [], "coding"
    concept = structure(given, "codeableConcept") or {}
    stated = concept.get("coding", [])
    if not isinstance(stated, list) or not stated:
        raise wrong("codeableConcept", "expected at least one coding")
    return [_code(one, "codeableConcept") for one in stated], "codeableConcept"


def rules(given: Given) -> Rules:
    """The parameters abstract and displayLanguage."""
    stated = given.flag("abstract") if given.all("abstract") else None
    return Rules(stated, string(given, "displayLanguage"))


def versions(given: Given) -> Versions:
    """system-version, check-system-version and force-system-version, `url|version` each."""
    names = ("system-version", "check-system-version", "force-system-version")
    return Versions(*({u: v for u, v in map(split, strings(given, name)) if v} for name in names))


async def value_set(api: Api, ask: Ask, given: Given) -> dict[str, Any]:
    """The value set that is meant: the instance, one given, or one named by url or context."""
    if ask.id:
        return await api.vocabulary.instance("ValueSet", ask.id)
    inline = resource(given, "valueSet", "ValueSet")
    if inline is not None:
        return inline
    url = string(given, "url") or _bound(string(given, "context"))
    if not url:
        raise missing("expected one of the parameters url, valueSet and context, found none")
    return await api.vocabulary.value_set(url, string(given, "valueSetVersion"))


async def code_system(api: Api, ask: Ask, given: Given, url: str, version: str = "") -> System:
    """The code system that is meant: the instance, one given, or the one of a URL."""
    vocabulary: Vocabulary = api.vocabulary
    if ask.id:
        return System(await vocabulary.instance("CodeSystem", ask.id))
    inline = resource(given, "codeSystem", "CodeSystem")
    if inline is not None:
        return System(inline)
    if not url:
        raise missing("expected one of the parameters url and codeSystem, found none")
    return await vocabulary.code_system(*((url, version) if version else split(url)))


def _bound(context: str) -> str:
    """The value set that R4 binds to an element: `.../StructureDefinition/Patient#Patient.gender`."""
    if not context:
        return ""
    profile, _, path = context.partition("#")
    kind = profile.removeprefix("http://hl7.org/fhir/StructureDefinition/")
    if not path or "/" in kind or path.partition(".")[0] != kind:
        raise NotSupported("context: expected an element of R4 (…/StructureDefinition/Type#Type.element)")
    found = r4.element(path) if kind in r4.TYPES or kind in r4.DATA_TYPES else None
    if found is None or not found.valueset:
        raise NotSupported("context: R4 binds no value set to this element")
    return found.valueset


def _code(value: dict[str, Any], name: str) -> Code:
    parts = [value.get(part, "") for part in ("code", "system", "version", "display")]
    if not all(isinstance(part, str) for part in parts):
        raise wrong(name, "expected strings in a Coding")
    return Code(*parts)


def _found(said: list[str]) -> str:
    return f"found {' and '.join(said)}" if said else "found none"


def check_date(given: Given, definition: dict[str, Any], api: Api) -> None:
    """Whether the definitions of now are those of the `date` asked for; NotSupported where they are not."""
    date = string(given, "date")
    if not date:
        return
    try:
        asked = r4.date_range(date, api.store.zone)[1]
    except ValueError:
        raise wrong("date", "expected a date or a time") from None
    changed = (definition.get("meta") or {}).get("lastUpdated")
    since = r4.date_range(changed, api.store.zone)[0] if changed else 0
    if asked < since:
        raise NotSupported("date: the definition has changed since then, and only the one of now is used")
