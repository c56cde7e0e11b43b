"""search on a type, by GET and POST, http://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

import msgspec

from hub.api import bundle, outcome
from hub.api.exchange import Answer, Api, Ask, Interaction, Parameters
from hub.api.shape import Shape
from hub.store.controls import MAX_COUNT
from hub.store.query import Query
from hub.store.search import Hit, Page, parse_query, search

CURSOR = "_cursor"


async def search_type(api: Api, ask: Ask) -> Answer:
    """200 with a search set: matches, then what they include; `next` leads to the following page."""
    query = parse_query(ask.type, ask.query, lenient=ask.lenient, known=api.store.known)
    shape = Shape(query.summary, query.elements).check([ask.type])
    page = await search(api.reader, query)
    about = ",".join(dict.fromkeys(name.partition(":")[0][:64] for name, _ in ask.query))
    return Answer(body=searchset(api, ask.type, query, page, shape), about=about)


def searchset(api: Api, path: str, query: Query, page: Page, shape: Shape) -> bytes:
    """The Bundle of a page: its links, its hits in shape, and an outcome for what is to be said of it."""
    used = _used(query)
    links = [("self", bundle.link(api.base, path, used))]
    if query.count and (query.cursor or page.next is not None):
        links.append(("first", bundle.link(api.base, path, used)))
    if page.next is not None:
        links.append(("next", bundle.link(api.base, path, [*used, (CURSOR, page.next)])))
    entries = [_entry(api.base, hit, shape) for hit in page.entries]
    told = [*query.ignored, *page.issues]
    if told:
        entries.append(b'{"resource":%b,"search":{"mode":"outcome"}}' % outcome.render(told))
    return bundle.document("searchset", entries, links=links, total=page.total)


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
