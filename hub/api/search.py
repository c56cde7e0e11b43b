"""search on a type, by GET and POST, http://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from hub.api import bundle, outcome
from hub.api.exchange import Answer, Api, Ask, Interaction
from hub.store.search import parse_query, search

CURSOR = "_cursor"


async def search_type(api: Api, ask: Ask) -> Answer:
    """200 with a search set: matches, then what they include; `next` leads to the following page."""
    query = parse_query(ask.type, ask.query, lenient=ask.lenient)
    page = await search(api.reader, query)
    links = [("self", bundle.link(api.base, ask.type, query.used))]
    if page.next is not None:
        links.append(("next", bundle.link(api.base, ask.type, [*query.used, (CURSOR, page.next)])))
    entries = [bundle.hit(api.base, hit.type, hit.id, hit.body, hit.mode) for hit in page.entries]
    if query.ignored:
        entries.append(b'{"resource":%b,"search":{"mode":"outcome"}}' % outcome.render(query.ignored))
    about = ",".join(dict.fromkeys(name.partition(":")[0][:64] for name, _ in ask.query))
    return Answer(body=bundle.document("searchset", entries, links=links, total=page.total), about=about)


SEARCH = Interaction("search", "search", search_type)
