"""Operations at the base, a type or a resource: the hub's own, then those that plugins register.

http://hl7.org/fhir/R4/operations.html. Authorised and audited like the hub's own interactions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hub import r4
from hub.api import body, operations
from hub.api.exchange import Answer, Api, Ask, Interaction, Parameters
from hub.api.outcome import BadRequest, MethodNotAllowed
from hub.errors import Issue, NotFound, NotSupported
from hub.store import resources
from hub.store.search.planner import parse_query, search

PAGE = 500
MOST = 100_000


class Context:
    """What an operation may do, on behalf of its caller (`hub.hookspecs.OperationContext`)."""

    def __init__(self, api: Api, ask: Ask) -> None:
        self._api = api
        self._ask = ask

    async def search(self, resource: str, parameters: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """All matches, page after page; NotSupported when there are more than 100,000."""
        asked: Parameters = [*parameters]
        if not any(name == "_count" for name, _ in asked):
            asked.append(("_count", str(PAGE)))
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            query = parse_query(resource, _with(asked, cursor), known=self._api.store.known)
            page = await search(self._api.reader, query)
            found += [r4.tree(hit.body) for hit in page.entries]
            cursor = page.next
            if cursor is None:
                return found
            if len(found) > MOST:
                raise NotSupported(f"more than {MOST} matches; narrow the search")

    async def read(self, reference: str) -> dict[str, Any] | None:
        """The current version as plain JSON, or None."""
        type_name, _, id = reference.partition("/")
        stored = await resources.get(self._api.reader, type_name, id)
        return None if stored is None or stored.deleted else r4.tree(stored.body)

    async def transact(self, bundle: dict[str, Any]) -> dict[str, Any]:
        """Run a transaction Bundle; raises what the transaction raises."""
        from hub.api.bundles import exchange

        ask = Ask(caller=self._ask.caller, method="POST", body=r4.untree(bundle))
        return r4.tree((await exchange(self._api, ask)).body)


async def operation(api: Api, ask: Ask) -> Answer:
    """200 with the resource the operation gives."""
    own = operations.offered(ask.type, ask.id, ask.name, ask.version)
    if own is not None:
        if ask.method == "GET" and not own.reads:
            raise MethodNotAllowed(f"${ask.name} changes something: POST it", "POST")
        return await own.run(api, ask)
    found = api.operations.get((ask.type, ask.name)) if not ask.id else None
    if found is None:
        raise NotFound(
            issues=[Issue(code="not-supported", diagnostics=f"no operation ${ask.name[:64]} here")]
        )
    given = await found.run(Context(api, ask), _parameters(ask))
    return Answer(body=r4.untree(given))


def _parameters(ask: Ask) -> dict[str, Any]:
    """The Parameters in the body, or made of the URL's (http://hl7.org/fhir/R4/operations.html#request)."""
    if not ask.body:
        given = [
            {"name": name, "valueString": value} for name, value in ask.query if not name.startswith("_")
        ]
        return {"resourceType": "Parameters", "parameter": given} if given else {"resourceType": "Parameters"}
    if body.of_any(ask.body).resource_type != "Parameters":
        raise BadRequest(
            issues=[Issue(code="invalid", diagnostics="an operation takes a Parameters resource")]
        )
    return r4.tree(ask.body)


def _with(parameters: Parameters, cursor: str | None) -> Parameters:
    return parameters if cursor is None else [*parameters, ("_cursor", cursor)]


OPERATION = Interaction("operation", "operation", operation)
