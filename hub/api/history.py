"""history of a resource, a type and the whole system, http://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

from collections.abc import Sequence

from hub import r4
from hub.api import bundle
from hub.api.bundle import Reply
from hub.api.exchange import Answer, Api, Ask, Interaction, Parameters
from hub.api.outcome import BadRequest
from hub.errors import Issue, NotFound
from hub.store import reading, resources
from hub.store.resources import Stored

COUNT = 100
MAX_COUNT = 1000
_IGNORED = frozenset({"_format", "_pretty"})


async def history(api: Api, ask: Ask) -> Answer:
    """200 with the versions, newest first, in pages; 404 for a resource that never was."""
    count, since, before = _read(api, ask)
    asked = min(count, MAX_COUNT)
    type_name, id = ask.type or None, ask.id or None
    if id is not None and await resources.get(api.reader, ask.type, id) is None:
        raise NotFound(f"{ask.type}/{id} is not known")
    found = await resources.history(api.reader, type_name, id, since=since, before=before, count=asked + 1)
    page = found[:asked]
    path = "/".join(part for part in (ask.type, ask.id, "_history") if part)
    links = [("self", bundle.link(api.base, path, ask.query))]
    if len(found) > asked and page:
        links.append(("next", bundle.link(api.base, path, _following(ask.query, page))))
    total = len(page) if before == reading.MAX and len(found) <= asked else None
    entries = [bundle.reply(api.base, _entry(one)) for one in page]
    return Answer(body=bundle.document("history", entries, links=links, total=total))


def _read(api: Api, ask: Ask) -> tuple[int, int, int]:
    """_count, _since (microseconds) and the place of the page."""
    count, since, before = COUNT, 0, reading.MAX
    for name, value in ask.query:
        if name == "_count":
            count = _whole(name, value)
        elif name == "_since":
            since = _moment(api, value)
        elif name == "_cursor":
            before = _whole(name, value)
        elif name not in _IGNORED and not ask.lenient:
            issue = Issue(code="not-supported", diagnostics=f"unknown history parameter {name[:64]}")
            raise BadRequest(issues=[issue])
    return count, since, before


def _whole(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise BadRequest(issues=[Issue(code="value", diagnostics=f"{name}: expected a whole number")])
    return int(value)


def _moment(api: Api, value: str) -> int:
    try:
        return r4.date_range(value.replace(" ", "+"), api.store.zone)[0]
    except ValueError as error:
        raise BadRequest(issues=[Issue(code="value", diagnostics="_since: expected an instant")]) from error


def _following(query: Parameters, page: Sequence[Stored]) -> Parameters:
    rest = [(name, value) for name, value in query if name != "_cursor"]
    return [*rest, ("_cursor", str(page[-1].sequence))]


def _entry(one: Stored) -> Reply:
    name = f"{one.type}/{one.id}"
    return Reply(
        status=bundle.phrase(204 if one.deleted else 201 if one.change in ("created", "restored") else 200),
        full_url=name,
        resource=one.body,
        version=one.version,
        updated=one.updated,
        method="DELETE" if one.deleted else "PUT" if one.version > 1 else "POST",
        url=name if one.deleted or one.version > 1 else one.type,
    )


HISTORY = Interaction("history", "history", history)
