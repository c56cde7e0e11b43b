"""read: the current version of a resource, http://hl7.org/fhir/R4/http.html#read"""

from __future__ import annotations

from hub.api.exchange import Answer, Api, Ask, Interaction
from hub.api.shape import shape_of
from hub.errors import Gone, NotFound
from hub.store import resources


async def read(api: Api, ask: Ask) -> Answer:
    """200 with the stored bytes, or with a part of them; 304 when the client has them, 404, 410."""
    shape = shape_of(ask.query, [ask.type])
    stored = await resources.get(api.reader, ask.type, ask.id)
    if stored is None and ask.type == "OperationDefinition":
        from hub.api.operation_definition import definition  # whose operations read resources

        made = definition(api, ask.id)
        if made is not None:
            return Answer(body=made)
    if stored is None:
        raise NotFound(f"{ask.type}/{ask.id} is not known")
    if stored.deleted:
        raise Gone(f"{ask.type}/{ask.id} was deleted; its versions are at {ask.type}/{ask.id}/_history")
    answer = Answer(version=stored.version, updated=stored.updated)
    if unchanged(ask, stored.version, stored.updated):
        answer.status = 304
    else:
        answer.body = shape.of(stored.body)
    return answer


def unchanged(ask: Ask, version: int, updated: int) -> bool:
    """Whether the client's copy is current (http://hl7.org/fhir/R4/http.html#cread)."""
    if ask.if_none_match:
        return ask.if_none_match == "*" or str(version) in ask.if_none_match.split(",")
    return bool(ask.if_modified_since) and updated // 1_000_000 <= ask.if_modified_since // 1_000_000


READ = Interaction("read", "read", read)
