"""$expand: the codes of a value set, http://hl7.org/fhir/R4/valueset-operation-expand.html

At the type with `url`, `valueSet` or `context`, or at a stored value set. What is stored counts before what
HL7 publishes; definitions are those of now, so that a `date` before their last change is refused.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from hub import clock, r4
from hub.api import coded
from hub.api.exchange import Answer, Api, Ask, Offered
from hub.api.parameters import Given, given, wrong
from hub.terminology.compose import Composer, Versions
from hub.terminology.expansion import Wanted, expanded

_FLAGS = (
    "includeDesignations", "includeDefinition", "activeOnly", "excludeNested", "excludeNotForUI",
    "excludePostCoordinated",
)  # fmt: skip
_ECHO = {
    "filter": "valueString",
    "date": "valueDateTime",
    "displayLanguage": "valueCode",
    "designation": "valueString",
    "exclude-system": "valueUri",
    "system-version": "valueUri",
    "check-system-version": "valueUri",
    "force-system-version": "valueUri",
}


async def expand(api: Api, ask: Ask) -> Answer:
    """200 with the ValueSet and its expansion."""
    said = given(ask, resource="valueSet")
    wanted = _wanted(said)
    versions = coded.versions(said)
    value_set = await coded.value_set(api, ask, said)
    if said.all("valueSet") or versions != Versions():
        used = await Composer(await api.vocabulary.source(), versions).used(value_set)
    else:
        used = await api.vocabulary.worked(value_set)
    coded.check_date(said, value_set, api)
    tree = expanded(
        value_set,
        used,
        wanted,
        identifier=f"urn:uuid:{uuid4()}",
        timestamp=clock.instant(api.now()),
        parameters=_echo(said),
    )
    return Answer(body=r4.untree(tree), about=",".join(sorted(said.values))[:200])


def _wanted(said: Given) -> Wanted:
    direction = coded.string(said, "contextDirection")
    if direction not in ("", "incoming", "outgoing"):
        raise wrong("contextDirection", "expected incoming or outgoing")
    return Wanted(
        text=coded.string(said, "filter"),
        offset=said.whole("offset") or 0,
        count=said.whole("count"),
        designations=said.flag("includeDesignations"),
        uses=coded.strings(said, "designation"),
        definition=said.flag("includeDefinition"),
        active=said.flag("activeOnly"),
        nested=not said.flag("excludeNested", True),
        selectable=said.flag("excludeNotForUI"),
        language=coded.string(said, "displayLanguage"),
        without=coded.strings(said, "exclude-system"),
    )


def _echo(said: Given) -> list[dict[str, Any]]:
    """The parameters that shaped the expansion, as it repeats them."""
    found: list[dict[str, Any]] = []
    for name, member in _ECHO.items():
        found += [{"name": name, member: value} for value in coded.strings(said, name)]
    for name in ("offset", "count"):
        number = said.whole(name)
        if number is not None:
            found.append({"name": name, "valueInteger": number})
    found += [{"name": name, "valueBoolean": said.flag(name)} for name in _FLAGS if said.all(name)]
    return found


EXPAND = Offered(
    name="expand",
    url="http://hl7.org/fhir/OperationDefinition/ValueSet-expand",
    run=expand,
    on=frozenset({"type", "instance"}),
    types=frozenset({"ValueSet"}),
    description="The codes of a value set, stored or published with R4, by pages and filtered",
)
