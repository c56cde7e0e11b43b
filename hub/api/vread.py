"""vread: one version of a resource, http://hl7.org/fhir/R4/http.html#vread"""

from __future__ import annotations

from hub.api.exchange import Answer, Api, Ask, Interaction
from hub.api.read import unchanged
from hub.api.shape import shape_of
from hub.errors import Gone, NotFound
from hub.store import resources


async def vread(api: Api, ask: Ask) -> Answer:
    """200 with the bytes of that version, 304 when the client has them, 404, 410 for a deletion."""
    shape = shape_of(ask.query, [ask.type])
    asked = ask.version
    stored = None
    if asked.isascii() and asked.isdigit() and len(asked) < 19 and not asked.startswith("0"):
        stored = await resources.version(api.reader, ask.type, ask.id, int(asked))
    if stored is None:
        raise NotFound(f"{ask.type}/{ask.id} has no version {asked[:64]}")
    if stored.deleted:
        raise Gone(f"version {asked} of {ask.type}/{ask.id} is its deletion")
    if unchanged(ask, stored.version, stored.updated):
        return Answer(status=304, version=stored.version, updated=stored.updated)
    return Answer(body=shape.of(stored.body), version=stored.version, updated=stored.updated)


VREAD = Interaction("vread", "read", vread)
