"""$validate-code: whether a code is in a value set or a code system.

http://hl7.org/fhir/R4/valueset-operation-validate-code.html,
http://hl7.org/fhir/R4/codesystem-operation-validate-code.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from hub.api import coded
from hub.api.exchange import Answer, Api, Ask, Offered
from hub.api.parameters import Given, given
from hub.terminology.coded import Code, Verdict, in_code_system, in_value_set
from hub.terminology.compose import Composer, Versions


async def validate_code(api: Api, ask: Ask) -> Answer:
    """200 with result, message and display."""
    if ask.type == "ValueSet":
        verdicts = await _by_value_set(api, ask)
    else:
        verdicts = await _by_code_system(api, ask)
    return Answer(body=msgspec.json.encode(_rendered(verdicts)))


async def _by_value_set(api: Api, ask: Ask) -> list[Verdict]:
    said = given(ask, resource="valueSet")
    asked, _ = coded.codes(said, "systemVersion")
    rules = coded.rules(said)
    value_set = await coded.value_set(api, ask, said)
    coded.check_date(said, value_set, api)
    source = await api.vocabulary.source()
    verdicts = []
    for one in asked:
        if not one.system and not said.all("code"):
            verdicts.append(Verdict(False, "the coding has no system"))
            continue
        checked = {one.system: one.version} if one.version else {}
        composer = Composer(source, Versions(checked=checked))
        verdicts.append(await in_value_set(composer, value_set, one, rules))
    return verdicts


async def _by_code_system(api: Api, ask: Ask) -> list[Verdict]:
    said = given(ask, resource="codeSystem")
    asked, kind = coded.codes(said)
    rules = coded.rules(said)
    url = coded.string(said, "url")
    if kind == "codeableConcept" and not (url or ask.id or said.all("codeSystem")):
        raise coded.missing("expected one of the parameters url and codeSystem, found none")
    return [await _one(api, ask, said, url or one.system, one, rules) for one in asked]


async def _one(api: Api, ask: Ask, said: Given, url: str, one: Code, rules: Any) -> Verdict:
    system = await coded.code_system(api, ask, said, url, "" if "|" in url else one.version)
    return await in_code_system(system, one, rules)


def _rendered(verdicts: list[Verdict]) -> dict[str, Any]:
    """One coding that is right is enough; what was found of the others is said."""
    right = next((one for one in verdicts if one.result), None)
    shown = right or next((one for one in verdicts if one.display), verdicts[0])
    messages = dict.fromkeys(one.message for one in verdicts if one.message)
    parameters: list[dict[str, Any]] = [{"name": "result", "valueBoolean": right is not None}]
    if messages:
        parameters.append({"name": "message", "valueString": "; ".join(messages)})
    if shown.display:
        parameters.append({"name": "display", "valueString": shown.display})
    return {"resourceType": "Parameters", "parameter": parameters}


VALIDATE_CODE_OF_CODE_SYSTEM = Offered(
    name="validate-code",
    url="http://hl7.org/fhir/OperationDefinition/CodeSystem-validate-code",
    run=validate_code,
    on=frozenset({"type", "instance"}),
    types=frozenset({"CodeSystem"}),
    description="Whether a code, with its display, is in a code system",
)
VALIDATE_CODE_OF_VALUE_SET = Offered(
    name="validate-code",
    url="http://hl7.org/fhir/OperationDefinition/ValueSet-validate-code",
    run=validate_code,
    on=frozenset({"type", "instance"}),
    types=frozenset({"ValueSet"}),
    description="Whether a code, with its display, is in a value set",
)
