"""Every path below the FHIR base and what each method does there; also how a Bundle entry finds its
interaction (http://hl7.org/fhir/R4/http.html#summary)."""

from __future__ import annotations

from hub import r4
from hub.api import bundle
from hub.api.bundle import Reply
from hub.api.create import CREATE
from hub.api.delete import CONDITIONAL_DELETE, DELETE
from hub.api.endpoint import run
from hub.api.exchange import Answer, Api, Ask, Interaction
from hub.api.exported import CANCEL, FILE, STATUS
from hub.api.history import HISTORY
from hub.api.metadata import METADATA
from hub.api.operation import OPERATION
from hub.api.outcome import MethodNotAllowed
from hub.api.patch import CONDITIONAL_PATCH, PATCH
from hub.api.read import READ
from hub.api.search import SEARCH, SEARCH_COMPARTMENT, SEARCH_SYSTEM
from hub.api.steps import Step
from hub.api.update import CONDITIONAL_UPDATE, UPDATE
from hub.api.vread import VREAD
from hub.errors import NotFound

PATHS: dict[str, dict[str, Interaction]] = {
    "/metadata": {"GET": METADATA},
    "/_search": {"GET": SEARCH_SYSTEM, "POST": SEARCH_SYSTEM},
    "/_history": {"GET": HISTORY},
    "/${name}": {"GET": OPERATION, "POST": OPERATION},
    "/{type}": {
        "GET": SEARCH,
        "POST": CREATE,
        "PUT": CONDITIONAL_UPDATE,
        "PATCH": CONDITIONAL_PATCH,
        "DELETE": CONDITIONAL_DELETE,
    },
    "/{type}/_search": {"GET": SEARCH, "POST": SEARCH},
    "/{type}/_history": {"GET": HISTORY},
    "/{type}/${name}": {"GET": OPERATION, "POST": OPERATION},
    "/{type}/{id}": {"GET": READ, "PUT": UPDATE, "PATCH": PATCH, "DELETE": DELETE},
    "/{type}/{id}/${name}": {"GET": OPERATION, "POST": OPERATION},
    "/{type}/{id}/_history": {"GET": HISTORY},
    "/{type}/{id}/_history/{version}": {"GET": VREAD},
    "/{type}/{id}/_history/{version}/${name}": {"GET": OPERATION, "POST": OPERATION},
    "/{type}/{id}/{inside}": {"GET": SEARCH_COMPARTMENT},
    "/{type}/{id}/{inside}/_search": {"GET": SEARCH_COMPARTMENT, "POST": SEARCH_COMPARTMENT},
}

ASIDE: dict[str, dict[str, Interaction]] = {
    "/$export-status/{id}": {"GET": STATUS, "DELETE": CANCEL},
    "/$export-file/{id}/{name}": {"GET": FILE},
}
"""More paths; what they answer is no resource, so that no entry of a Bundle can ask for it."""


def find(method: str, segments: list[str]) -> Interaction:
    """The interaction of a Bundle entry; NotFound or MethodNotAllowed."""
    if not segments and method in ("GET", "HEAD"):
        return SEARCH_SYSTEM
    for path, interactions in PATHS.items():
        parts = path.strip("/").split("/")
        if len(parts) == len(segments) and all(map(_fits, parts, segments)):
            found = interactions.get("GET" if method == "HEAD" else method)
            if found is None:
                raise MethodNotAllowed(f"{method} is not offered at this URL", ", ".join(interactions))
            return found
    raise NotFound("there is nothing at this URL")


async def reply_to(api: Api, step: Step) -> Reply:
    """Run one entry and give its response entry; raises what the interaction raises."""
    answer = await run(api, find(step.ask.method, step.path), step.ask)
    return reply_of(step.ask, answer, given=step.reads or bool(step.ask.name))


def reply_of(ask: Ask, answer: Answer, *, given: bool = False) -> Reply:
    """An answer as a response entry: what was `given` to read comes along, what was written if preferred."""
    shown = given or ask.returns == "representation"
    told = ask.returns == "OperationOutcome" and not given
    return Reply(
        status=bundle.phrase(answer.status),
        full_url=answer.location.partition("/_history")[0] or _read(ask, answer),
        resource=answer.body if shown and not told and ask.method != "HEAD" else b"",
        outcome=answer.body if told else b"",
        location=answer.location,
        version=answer.version,
        updated=answer.updated,
    )


def _read(ask: Ask, answer: Answer) -> str:
    """Where the resource that was read stands, relative to the base."""
    one = ask.id and answer.version and answer.body and not (ask.name or ask.method in ("HEAD", "DELETE"))
    return f"{ask.type}/{ask.id}" if one else ""


def _fits(part: str, segment: str) -> bool:
    if part == "{type}":
        return segment in r4.TYPES
    if part == "{inside}":
        return segment == "*" or segment in r4.TYPES
    if part == "{id}":
        return not segment.startswith(("_", "$"))
    if part == "${name}":
        return segment.startswith("$")
    return part.startswith("{") or part == segment
