"""$subsumes: how two codes of a hierarchy stand, http://hl7.org/fhir/R4/codesystem-operation-subsumes.html"""

from __future__ import annotations

import msgspec

from hub.api import coded
from hub.api.exchange import Answer, Api, Ask, Offered
from hub.api.parameters import Given, given, wrong
from hub.terminology.coded import Code, subsumption


async def subsumes(api: Api, ask: Ask) -> Answer:
    """200 with the outcome; 404 for a code that is not there."""
    said = given(ask)
    one, other = _asked(said, "A"), _asked(said, "B")
    stated = coded.string(said, "system")
    systems = {name for name in (stated, one.system, other.system) if name}
    if not systems and not ask.id:
        raise coded.missing("expected the parameter system, or codings with their system")
    version = coded.string(said, "version") or one.version or other.version
    system = await coded.code_system(api, ask, said, next(iter(systems), ""), version)
    if not systems <= {system.url}:
        raise wrong("system", "expected both codes in one code system")
    outcome = subsumption(system, one.code, other.code)
    answer = {"resourceType": "Parameters", "parameter": [{"name": "outcome", "valueCode": outcome}]}
    return Answer(body=msgspec.json.encode(answer))


def _asked(said: Given, side: str) -> Code:
    code, coding = coded.string(said, f"code{side}"), coded.coding(said, f"coding{side}")
    if bool(code) == (coding is not None):
        raise coded.missing(f"expected either code{side} or coding{side}")
    return coding if coding is not None else Code(code)


SUBSUMES = Offered(
    name="subsumes",
    url="http://hl7.org/fhir/OperationDefinition/CodeSystem-subsumes",
    run=subsumes,
    on=frozenset({"type", "instance"}),
    types=frozenset({"CodeSystem"}),
    description="Whether one code of a hierarchy includes another",
)
