"""search on a type, by GET and POST, http://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from hub.api import bundle
from hub.api.exchange import Answer, Api, Ask, Interaction, Parameters
from hub.api.outcome import BadRequest
from hub.errors import InvalidResource, NotSupported
from hub.store.criteria import parse_query
from hub.store.search import search

CURSOR = "_cursor"
_PRESENTATION = frozenset({"_format", "_pretty"})


async def search_type(api: Api, ask: Ask) -> Answer:
    """200 with a search set: matches, then what they include; `next` leads to the following page."""
    asked = [(name, value) for name, value in ask.query if name not in _PRESENTATION]
    try:
        query = parse_query(ask.type, asked, lenient=ask.lenient)
        page = await search(api.reader, query)
    except (InvalidResource, NotSupported) as error:
        raise BadRequest(issues=error.issues) from error
    links = [("self", bundle.link(api.base, ask.type, _without_cursor(ask.query)))]
    if page.next is not None:
        links.append(
            ("next", bundle.link(api.base, ask.type, [*_without_cursor(ask.query), (CURSOR, page.next)]))
        )
    entries = [bundle.hit(api.base, hit.type, hit.id, hit.body, hit.mode) for hit in page.entries]
    about = ",".join(dict.fromkeys(name.partition(":")[0][:64] for name, _ in asked))
    return Answer(body=bundle.document("searchset", entries, links=links, total=page.total), about=about)


def _without_cursor(query: Parameters) -> Parameters:
    return [(name, value) for name, value in query if name != CURSOR]


SEARCH = Interaction("search", "search", search_type)
