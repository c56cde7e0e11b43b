"""References by canonical URL: `url` means any version of what it names, `url|2.0` that one.

http://hl7.org/fhir/R4/references.html#canonical
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from hub import r4
from hub.store.search.compiling import equals
from hub.store.search.query import Asked, Query
from hub.store.search.recheck import values

Link = tuple[str, str]
"""URL and version; an empty version in a reference means any."""


class _Named(msgspec.Struct):
    url: str = ""
    version: str = ""


_named = msgspec.json.Decoder(_Named)


def is_canonical(parameter: r4.SearchParameter) -> bool:
    """Whether a reference parameter holds canonical URLs."""
    return any(kind in ("canonical", "uri") for _, kind, *_ in parameter.plan or ())


def name_of(body: bytes) -> Link:
    """The canonical URL and version of a resource; empty where it has none."""
    found = _named.decode(body)
    return found.url, found.version


def links_of(parameter: r4.SearchParameter, body: bytes) -> set[Link]:
    """The canonical references that a parameter finds in a body."""
    found = [one for one in values(Asked(parameter, "", ()), body) if isinstance(one, str)]
    return {(url, version) for url, _, version in (one.partition("|") for one in found)}


def leads(links: Iterable[Link], names: set[Link]) -> bool:
    """Whether one of the references means one of the resources."""
    urls = {url for url, _ in names}
    return any((url in urls) if not version else ((url, version) in names) for url, version in links)


def by_url(query: Query, urls: Iterable[str]) -> Query | None:
    """A query narrowed to resources that have one of these URLs; None where its type has no URLs."""
    parameter = query.known.find(query.type, "url")
    if parameter is None or parameter.plan is None:
        return None
    query.given.extend(equals(parameter.number, map(r4.hash_uri, sorted(urls))))
    return query
