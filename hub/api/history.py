"""history of a resource, a type and the whole system, http://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hub import r4
from hub.api import bundle
from hub.api.bundle import Reply
from hub.api.exchange import Answer, Api, Ask, Interaction, Parameters
from hub.api.outcome import BadRequest
from hub.api.shape import NAMES, Shape, shape_of
from hub.errors import Issue, NotFound
from hub.store import reading, resources
from hub.store.moments import Period, current_during
from hub.store.resources import Stored

COUNT = 100
MAX_COUNT = 1000
_IGNORED = frozenset({"_format", "_pretty"}) | NAMES


class _Asked(msgspec.Struct):
    """What of the past is asked for; times are microseconds, `before` is the place of the page."""

    count: int = COUNT
    since: int = 0
    at: Period | None = None
    before: int = reading.MAX


async def history(api: Api, ask: Ask) -> Answer:
    """200 with the versions, newest first, in pages; 404 for a resource that never was."""
    asked = _read(api, ask)
    shape = shape_of(ask.query, [ask.type] if ask.type else r4.TYPES)
    current = await resources.get(api.reader, ask.type, ask.id) if ask.id else None
    if ask.id and current is None:
        raise NotFound(f"{ask.type}/{ask.id} is not known")
    count = min(asked.count, MAX_COUNT)
    found = await _versions(api, ask, asked, count + 1)
    page = found[:count]
    path = "/".join(part for part in (ask.type, ask.id, "_history") if part)
    links = [("self", bundle.link(api.base, path, ask.query))]
    if len(found) > count and page:
        links.append(("next", bundle.link(api.base, path, _following(ask.query, page))))
    total = len(page) if asked.before == reading.MAX and len(found) <= count else None
    if current is not None and not asked.since and asked.at is None:
        total = current.version
    entries = [bundle.reply(api.base, _entry(one, shape)) for one in page]
    return Answer(body=bundle.document("history", entries, links=links, total=total))


async def _versions(api: Api, ask: Ask, asked: _Asked, count: int) -> list[Stored]:
    type_name, id = ask.type or None, ask.id or None
    if asked.at is None:
        return await resources.history(
            api.reader, type_name, id, since=asked.since, before=asked.before, count=count
        )
    return await current_during(
        api.reader, type_name, id, asked.at, since=asked.since, before=asked.before, count=count
    )


def _read(api: Api, ask: Ask) -> _Asked:
    """http://hl7.org/fhir/R4/http.html#history: each parameter once."""
    asked = _Asked()
    seen: set[str] = set()
    for name, value in ask.query:
        if name in seen and name not in _IGNORED:
            raise BadRequest(issues=[Issue(code="value", diagnostics=f"{name[:64]}: expected once")])
        seen.add(name)
        if name == "_count":
            asked.count = _whole(name, value)
        elif name == "_since":
            asked.since = _moment(api, name, value)[0]
        elif name == "_at":
            asked.at = Period(*_moment(api, name, value))
        elif name == "_cursor":
            asked.before = _whole(name, value)
        elif name not in _IGNORED and not ask.lenient:
            issue = Issue(code="not-supported", diagnostics=f"unknown history parameter {name[:64]}")
            raise BadRequest(issues=[issue])
    return asked


def _whole(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise BadRequest(issues=[Issue(code="value", diagnostics=f"{name}: expected a whole number")])
    return int(value)


def _moment(api: Api, name: str, value: str) -> tuple[int, int]:
    """The first and last microsecond; a `+` that was not escaped came as a space."""
    try:
        return r4.date_range(value.replace(" ", "+"), api.store.zone)
    except ValueError as error:
        text = f"{name}: expected a date, dateTime or instant"
        raise BadRequest(issues=[Issue(code="value", diagnostics=text)]) from error


def _following(query: Parameters, page: Sequence[Stored]) -> Parameters:
    rest = [(name, value) for name, value in query if name != "_cursor"]
    return [*rest, ("_cursor", str(page[-1].sequence))]


def _entry(one: Stored, shape: Shape) -> Reply:
    name = f"{one.type}/{one.id}"
    return Reply(
        status=bundle.phrase(204 if one.deleted else 201 if one.change in ("created", "restored") else 200),
        full_url=name,
        resource=shape.of(one.body) if one.body else b"",
        version=one.version,
        updated=one.updated,
        method="DELETE" if one.deleted else "POST" if one.assigned else "PUT",
        url=one.type if one.assigned else name,
    )


HISTORY = Interaction("history", "history", history)
