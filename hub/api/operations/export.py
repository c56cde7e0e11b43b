"""$export: begin a bulk export of the system, of all patients, or of the members of a Group.

http://hl7.org/fhir/uv/bulkdata/export.html. How far it is, its files and its end: `hub.api.exported`.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

import msgspec

from hub import exports, r4
from hub.api import body as bodies
from hub.api import bundle, formats, outcome
from hub.api.exchange import Answer, Api, Ask, Offered
from hub.api.outcome import BadRequest
from hub.api.parameters import Given, given, wrong
from hub.api.read import read
from hub.api.shape import Shape
from hub.errors import HubError, Issue, NotSupported
from hub.exports import Asked, Criteria, Level
from hub.store import reading
from hub.store.search.controls import CONTROLS
from hub.store.search.planner import parse_query

STATUS_PATH = "$export-status"
FILE_PATH = "$export-file"
RETRY_SECONDS = 60
_NAMES = frozenset({"_outputFormat", "_since", "_type", "_typeFilter", "_elements", "patient"})
_LEVELS: dict[str, Level] = {"": "system", "Patient": "Patient", "Group": "Group"}
_COMPARTMENT = frozenset(name for name, codes in r4.COMPARTMENTS["Patient"].items() if codes) | {"Patient"}
_SEARCHES = re.compile(r",(?=[A-Za-z]+\?)")
MAX_PATIENTS = 10_000


async def export(api: Api, ask: Ask) -> Answer:
    """202 with the URL to ask for the status; 400 for what cannot be exported so; 429 for too many."""
    if api.exports is None:
        raise NotSupported("bulk exports are not set up at this hub")
    if not ask.asynchronous:
        raise _required("Prefer: expected respond-async, since an export runs in the background")
    parameters = _parameters(ask)
    warnings: list[Issue] = []
    asked = await _asked(api, ask, parameters, warnings)
    path = "/".join(part for part in (ask.type, ask.id, "$export") if part)
    request = bundle.link(api.base, path, ask.query)
    row = await api.exports.ask(ask.caller.organisation, request, asked)
    if row is None:
        text = "too many exports wait or run already; wait for one of them, or cancel it"
        issue = Issue(code="throttled", diagnostics=text)
        headers = (("retry-after", str(RETRY_SECONDS)),)
        return Answer(status=429, body=outcome.render([issue]), headers=headers)
    where = f"{api.base}/{STATUS_PATH}/{row.id}"
    told = Issue(severity="information", code="informational", diagnostics=f"the export began: {where}")
    return Answer(
        status=202,
        body=outcome.render([told, *warnings]),
        headers=(("content-location", where),),
        about=row.id,
    )


def _parameters(ask: Ask) -> Given:
    """Those of the URL and of the body; `_elements` here is one of the operation's own."""
    found = given(ask)
    for name, value in ask.query:
        if name == "_elements":
            found.values.setdefault(name, []).append(value)
    return found


async def _asked(api: Api, ask: Ask, parameters: Given, warnings: list[Issue]) -> Asked:
    level = _LEVELS[ask.type]
    if level == "Group":
        await read(api, Ask(caller=ask.caller, type=ask.type, id=ask.id))
    _check_names(ask, parameters, level, warnings)
    form = parameters.text("_outputFormat").replace(" ", "+")
    if form and formats.media_of(form)[0] not in formats.NDJSON:
        raise wrong("_outputFormat", "expected application/fhir+ndjson, application/ndjson or ndjson")
    types = _types(parameters, level, warnings)
    elements = tuple(name.strip() for name in _listed(parameters, "_elements"))
    if elements:
        Shape(elements=elements).check(types)
    return Asked(
        level=level,
        group=ask.id,
        types=types,
        since=_since(api, parameters),
        filters=_filters(api, ask, parameters, types, warnings),
        elements=elements,
        patients=await _patients(api, ask, parameters, level),
    )


def _check_names(ask: Ask, parameters: Given, level: Level, warnings: list[Issue]) -> None:
    """Whatever is not offered is refused; lenient handling leaves it out and says so."""
    for name in list(parameters.values):
        if name in _NAMES and not (name == "patient" and level == "system"):
            continue
        text = f"{name[:64]}: $export has no such parameter at this level"
        issue = Issue(code="not-supported", diagnostics=text, expression=name[:64])
        if not ask.lenient:
            raise BadRequest(issues=[issue])
        warnings.append(msgspec.structs.replace(issue, severity="warning"))
        del parameters.values[name]


def _types(parameters: Given, level: Level, warnings: list[Issue]) -> tuple[str, ...]:
    """What is exported, in the order of the alphabet."""
    possible = frozenset(r4.TYPES) if level == "system" else _COMPARTMENT
    named = frozenset(_listed(parameters, "_type"))
    if not named <= frozenset(r4.TYPES):
        raise wrong("_type", "expected resource types of FHIR R4, separated by commas")
    if not named:
        return tuple(sorted(possible))
    if not named & possible:
        raise wrong("_type", "none of these is in the Patient compartment; export them from the whole system")
    if not named <= possible:
        text = f"_type: not in the Patient compartment, and left out: {', '.join(sorted(named - possible))}"
        warnings.append(Issue(severity="warning", code="not-supported", diagnostics=text, expression="_type"))
    return tuple(sorted(named & possible))


def _since(api: Api, parameters: Given) -> int:
    text = parameters.text("_since").replace(" ", "+")
    try:
        return int(r4.date_range(text, api.store.zone)[0]) if text else 0
    except ValueError as error:
        raise wrong("_since", "expected an instant such as 2026-02-02T08:00:00Z") from error


def _filters(
    api: Api, ask: Ask, parameters: Given, types: tuple[str, ...], warnings: list[Issue]
) -> dict[str, list[Criteria]]:
    """The searches by type; each is checked as one of that type."""
    found: dict[str, list[Criteria]] = {}
    for text in parameters.all("_typeFilter"):
        for one in _SEARCHES.split(_once(str(text))):
            type_name, mark, query = one.partition("?")
            if not mark or type_name not in r4.TYPES:
                raise wrong("_typeFilter", "expected searches such as Observation?status=final")
            if type_name not in types:
                told = f"_typeFilter: {type_name} is not among the types to export (_type)"
                if not ask.lenient:
                    raise wrong("_typeFilter", told.partition(": ")[2])
                issue = Issue(severity="warning", code="informational", diagnostics=told)
                warnings.append(issue)
                continue
            found.setdefault(type_name, []).append(_criteria(api, type_name, query))
    return found


def _once(text: str) -> str:
    """Some encode each search before they encode the parameter, others do not."""
    return text if "?" in text else unquote(text)


def _criteria(api: Api, type_name: str, query: str) -> Criteria:
    """The parameters of one search. InvalidSearch or BadRequest for what cannot be asked here."""
    pairs = [one.partition("=") for one in query.split("&") if one]
    criteria = [(unquote(name), unquote(value)) for name, _, value in pairs]
    for name, _ in criteria:
        if name.partition(":")[0] in CONTROLS or name in ("_format", "_pretty"):
            raise wrong("_typeFilter", f"{name[:64]} shapes a result; expected search criteria only")
    parse_query(type_name, criteria, known=api.store.known)
    return criteria


async def _patients(api: Api, ask: Ask, parameters: Given, level: Level) -> tuple[str, ...]:
    """The ids of the patients that are named; all of them must be there, and in the Group."""
    values = parameters.all("patient")
    if not values:
        return ()
    if ask.method != "POST" or any(name == "patient" for name, _ in ask.query):
        raise wrong("patient", "can only be sent in the body of a POST")
    if len(values) > MAX_PATIENTS:
        raise wrong("patient", f"expected at most {MAX_PATIENTS} patients")
    ids = tuple(dict.fromkeys(_patient_id(api, value) for value in values))
    found = await reading.get_many(api.reader, [("Patient", id) for id in ids])
    known = {one.id for one in found if not one.deleted}
    if level == "Group":
        known &= await exports.patients_of(api.reader, ask.id, moment=api.now()) or frozenset()
    if not known.issuperset(ids):
        where = "in this Group" if level == "Group" else "known"
        raise wrong("patient", f"expected references to patients; not all of them are {where}")
    return ids


def _patient_id(api: Api, value: Any) -> str:
    reference = value.get("reference", "") if isinstance(value, dict) else value
    name = r4.local_reference(reference, api.base) if isinstance(reference, str) else ""
    type_name, _, id = name.partition("/")
    if type_name != "Patient" or not bodies.is_id(id):
        raise wrong("patient", "expected a reference such as Patient/123")
    return id


def _listed(parameters: Given, name: str) -> list[str]:
    """The values of a parameter that may be given several times, or with commas."""
    texts = parameters.all(name)
    if not all(isinstance(text, str) for text in texts):
        raise wrong(name, "expected text")
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def _required(text: str) -> HubError:
    return BadRequest(issues=[Issue(code="required", diagnostics=text)])


_ABOUT = "Begins in the background, needs `Prefer: respond-async`."
_BASE = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition"
_GUIDE = "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"

EXPORT = Offered(
    name="export",
    url=f"{_BASE}/export",
    run=export,
    on=frozenset({"system"}),
    description=f"Every resource, as NDJSON files. {_ABOUT}",
    instantiates=_GUIDE,
)
PATIENT_EXPORT = Offered(
    name="export",
    url=f"{_BASE}/patient-export",
    run=export,
    on=frozenset({"type"}),
    types=frozenset({"Patient"}),
    description=f"The Patient compartments of all patients, as NDJSON files. {_ABOUT}",
    instantiates=_GUIDE,
)
GROUP_EXPORT = Offered(
    name="export",
    url=f"{_BASE}/group-export",
    run=export,
    on=frozenset({"instance"}),
    types=frozenset({"Group"}),
    description=f"The Patient compartments of the members of a Group, as NDJSON files. {_ABOUT}",
    instantiates=_GUIDE,
)
