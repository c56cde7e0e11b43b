"""search on a type, across types and in a compartment, by GET and POST, http://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

import msgspec

from hub import r4, security
from hub.api import bundle
from hub.api.exchange import Answer, Api, Ask, Interaction, Parameters
from hub.api.shape import Shape
from hub.errors import Issue, NotFound
from hub.store.search.across import Across, parse_across, search_across
from hub.store.search.controls import MAX_COUNT
from hub.store.search.membership import confine, types_in
from hub.store.search.planner import Hit, Page, parse_query, search
from hub.store.search.query import InvalidSearch, Query

CURSOR = "_cursor"
_FORM = frozenset({"_format", "_pretty"})


async def search_type(api: Api, ask: Ask) -> Answer:
    """200 with a search set: matches, then what they include; `next` leads to the following page."""
    query = parse_query(ask.type, ask.query, lenient=ask.lenient, known=api.store.known)
    shape = Shape(query.summary, query.elements).check([ask.type])
    return _answer(api, ask, ask.type, query, await search(api.reader, query), shape)


async def search_system(api: Api, ask: Ask) -> Answer:
    """The same across types: those of `_type`, or all (http://hl7.org/fhir/R4/search.html#type)."""
    across = parse_across(ask.query, lenient=ask.lenient, known=api.store.known)
    return await _across(api, ask, "", across)


async def search_compartment(api: Api, ask: Ask) -> Answer:
    """The same among the members of a compartment, of one type or of all (`*`).

    Nothing is found where the compartment's resource does not exist
    (http://hl7.org/fhir/R4/search.html#errors).
    """
    if ask.type not in r4.COMPARTMENTS:
        raise NotFound(f"{ask.type} has no compartment; {', '.join(sorted(r4.COMPARTMENTS))} have one")
    types = types_in(ask.type)
    if ask.inside != "*" and ask.inside not in types:
        text = f"{ask.inside} is never in the compartment of a {ask.type}"
        raise InvalidSearch(issues=[Issue(code="not-supported", diagnostics=text)])
    path = f"{ask.type}/{ask.id}/{ask.inside}"
    security.authorize(ask.caller, "search", "" if ask.inside == "*" else ask.inside)
    if ask.inside != "*":
        query = parse_query(ask.inside, ask.query, lenient=ask.lenient, known=api.store.known)
        shape = Shape(query.summary, query.elements).check([ask.inside])
        await confine(api.reader, query, ask.type, ask.id)
        return _answer(api, ask, path, query, await search(api.reader, query), shape)
    across = parse_across(ask.query, types=types, lenient=ask.lenient, known=api.store.known)
    for query in across.queries:
        await confine(api.reader, query, ask.type, ask.id)
    return await _across(api, ask, path, across)


async def _across(api: Api, ask: Ask, path: str, across: Across) -> Answer:
    asked = across.shape
    shape = Shape(asked.summary, asked.elements).check([one.type for one in across.queries])
    return _answer(api, ask, path, asked, await search_across(api.reader, across), shape)


def _answer(api: Api, ask: Ask, path: str, query: Query, page: Page, shape: Shape) -> Answer:
    about = ",".join(dict.fromkeys(name.partition(":")[0][:64] for name, _ in ask.query))
    form = [pair for pair in ask.query if pair[0] in _FORM and pair[1]]
    return Answer(body=searchset(api, path, query, page, shape, form), about=about)


def searchset(api: Api, path: str, query: Query, page: Page, shape: Shape, form: Parameters) -> bytes:
    """The Bundle of a page: its links, its hits in shape, and an outcome for what is to be said of it.

    The links keep the format that was asked for (`form`): whoever follows them may send no Accept.
    """
    used = _used(query) + form
    links = [("self", bundle.link(api.base, path, used))]
    if query.count and (query.cursor or page.next is not None):
        links.append(("first", bundle.link(api.base, path, used)))
    if page.next is not None:
        links.append(("next", bundle.link(api.base, path, [*used, (CURSOR, page.next)])))
    entries = [_entry(api.base, hit, shape) for hit in page.entries]
    told = [*query.ignored, *page.issues]
    if told:
        entries.append(bundle.told(told))
    return bundle.document("searchset", entries, links=links, total=_total(query, page))


def _total(query: Query, page: Page) -> int | None:
    """What was counted; without counting, what the one page shows that holds every match."""
    whole = page.next is None and query.count and not query.cursor and ("_total", "none") not in query.used
    if page.total is not None or not whole:
        return page.total
    return sum(hit.mode == "match" for hit in page.entries)


def _entry(base: str, hit: Hit, shape: Shape) -> bytes:
    if shape:
        cut = shape if hit.mode == "match" else shape.without_elements()
        hit = msgspec.structs.replace(hit, body=cut.of(hit.body))
    id = f"{hit.id}#{hit.inside}" if hit.inside else hit.id
    return bundle.hit(base, hit.type, id, hit.body, hit.mode)


def _used(query: Query) -> Parameters:
    """The parameters that took effect, as they took effect: no page is longer than MAX_COUNT."""
    return [
        (name, str(MAX_COUNT)) if name == "_count" and _beyond(value) else (name, value)
        for name, value in query.used
    ]


def _beyond(value: str) -> bool:
    return len(value.lstrip("0")) > 9 or int(value) > MAX_COUNT


SEARCH = Interaction("search", "search", search_type)
SEARCH_SYSTEM = Interaction("search-system", "search", search_system)
SEARCH_COMPARTMENT = Interaction("search-compartment", "search", search_compartment)
