"""$lookup: what is known of a code, http://hl7.org/fhir/R4/codesystem-operation-lookup.html"""

from __future__ import annotations

from hub import r4
from hub.api import coded
from hub.api.exchange import Answer, Api, Ask, Offered
from hub.api.parameters import given, wrong
from hub.terminology.coded import looked_up


async def lookup(api: Api, ask: Ask) -> Answer:
    """200 with name, version, display, designations and properties; 404 for a code that is not there."""
    said = given(ask)
    asked, kind = coded.codes(said)
    if kind == "codeableConcept":
        raise wrong("codeableConcept", "expected code and system, or coding")
    one = asked[0]
    if not one.system:
        raise coded.missing("expected the parameter system beside code, or a coding with its system")
    coded.check_date(said, {}, api)
    system = await api.vocabulary.code_system(one.system, one.version)
    found = looked_up(
        system,
        one.code,
        language=coded.string(said, "displayLanguage"),
        properties=coded.strings(said, "property"),
    )
    return Answer(body=r4.untree({"resourceType": "Parameters", "parameter": found}))


LOOKUP = Offered(
    name="lookup",
    url="http://hl7.org/fhir/OperationDefinition/CodeSystem-lookup",
    run=lookup,
    on=frozenset({"type"}),
    types=frozenset({"CodeSystem"}),
    description="Display, designations and properties of a code",
)
