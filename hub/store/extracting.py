"""The index rows of a checked resource: R4's own parameters, compiled, and the posted ones, by FHIRPath."""

from __future__ import annotations

import logging
from datetime import UTC, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hub import r4
from hub.store.backend import Reader
from hub.store.keys import Packed, packed, united
from hub.store.posted import FIRST_NUMBER

if TYPE_CHECKING:
    from hub.fhirpath import Expression

log = logging.getLogger("hub.store.extracting")

BUDGET = 20_000
"""Steps that a posted expression may take on one resource."""


def extracted(resource: Any, body: bytes, posted: tuple[r4.SearchParameter, ...], reader: Reader) -> Packed:
    """All rows of a decoded resource, whose text is `body`."""
    rows = packed(r4.keys(resource, zone=reader.zone, base_url=reader.base_url))
    return united(rows, posted_rows(body, posted, reader)) if posted else rows


def posted_rows(body: bytes, posted: tuple[r4.SearchParameter, ...], reader: Reader) -> Packed:
    """The rows of posted parameters only; one whose expression fails on this resource has none."""
    from hub.fhirpath import EvaluationError  # loaded when a parameter was posted

    tree = r4.tree(body)
    rows = Packed()
    for parameter in posted:
        try:
            values = expression_of(parameter.expression)(tree, environment(tree, reader.zone))
        except EvaluationError as error:
            log.warning("search parameter %s: not indexed on one resource: %s", parameter.code, error)
            continue
        found = r4.loose_keys(parameter, values, zone=reader.zone, base_url=reader.base_url)
        rows = united(rows, packed(found))
    return rows


def values(parameter: r4.SearchParameter, body: bytes, zone: tzinfo = UTC) -> list[Any]:
    """What a parameter finds in a body: where a posted expression fails it is nothing, as in the index."""
    from hub import fhirpath  # loaded when the body is first asked

    tree = r4.tree(body)
    if parameter.number < FIRST_NUMBER:
        found: list[Any] = fhirpath.compile(parameter.expression)(tree, environment(tree, zone))
        return found
    try:
        found = expression_of(parameter.expression)(tree, environment(tree, zone))
    except fhirpath.EvaluationError:
        return []
    return found


@lru_cache(1024)
def expression_of(text: str) -> Expression:
    """A posted expression, compiled within its budget. Raises InvalidExpression."""
    from hub import fhirpath

    made = fhirpath.compile(text, budget=BUDGET)
    made.check()
    return made


def environment(tree: dict[str, Any], zone: tzinfo) -> dict[str, Any]:
    """What an expression may ask for; nothing is looked up, so that a reference tells only its own type."""
    return {"resource": tree, "rootResource": tree, "context": tree, "zone": zone}
