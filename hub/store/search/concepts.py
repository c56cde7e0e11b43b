"""`:in`, `:not-in`, `:above` and `:below` of tokens, asked of the terminology.

http://hl7.org/fhir/R4/search.html#token; a resource without a value is not in any value set.
"""

from __future__ import annotations

from hub import r4
from hub.errors import HubError, Issue
from hub.store.backend import Reader, Terms
from hub.store.search.compiling import equals
from hub.store.search.conditions import Condition
from hub.store.search.escapes import unescape
from hub.store.search.query import Asked, InvalidSearch, wrong
from hub.store.search.values import parts_of_token

MAX_CONCEPTS = 50_000


async def concepts(reader: Reader, asked: Asked) -> list[Condition]:
    """The conditions of a token that is asked by meaning. Raises InvalidSearch (400)."""
    terms: Terms | None = getattr(reader, "terms", None)
    name = f"{asked.parameter.code}:{asked.modifier}"
    if terms is None:
        raise wrong(name, "there is no terminology to ask here", "not-supported")
    keys: set[int] = set()
    for value in asked.values:
        try:
            found = await _found(terms, asked.modifier, value)
        except HubError as error:
            issue = error.issues[0]
            text = f"{name}: {issue.diagnostics}"
            raise InvalidSearch(issues=[Issue(code=issue.code, diagnostics=text, expression=name)]) from error
        keys |= {r4.hash_coded(system, code) for system, code in found}
        if len(keys) > MAX_CONCEPTS:
            raise wrong(name, f"more than {MAX_CONCEPTS} concepts; ask a narrower one", "too-costly")
    return equals(asked.parameter.number, sorted(keys), asked.modifier == "not-in")


async def _found(terms: Terms, modifier: str, value: str) -> set[tuple[str, str]]:
    if modifier in ("in", "not-in"):
        return set(await terms.members(unescape(value)))
    system, code = parts_of_token(value)
    assert system is not None and code is not None  # checked when it was read
    found = await (terms.below if modifier == "below" else terms.above)(system, code)
    return {(system, one) for one in found}
