"""Reads the parameters of a search; whatever is wrong or unknown is said before anything is looked up.

http://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hub.errors import Issue
from hub.store.names import type_number
from hub.store.parameters import R4, Parameters
from hub.store.search.asking import Reading
from hub.store.search.controls import CONTROLS, check_together
from hub.store.search.escapes import is_legal, split, unescape
from hub.store.search.query import Asked, InvalidSearch, Query, Unknown, wrong

MAX_VALUES = 1000
"""Values, separated by commas, that one parameter may have."""
MAX_ALL = 4000
"""Values that all parameters of a search may have together."""
_PLAIN = frozenset({"_format", "_pretty"})


def parse_query(
    type: str, params: Sequence[tuple[str, str]], *, lenient: bool = False, known: Parameters = R4
) -> Query:
    """Check the parameters of a search on a type.

    Raises InvalidSearch (400) with an issue per wrong one. A parameter without a value is left out; `lenient`
    leaves out those that are not known, too, and says so in `ignored`. A modifier that is not offered is an
    error in any case (http://hl7.org/fhir/R4/search.html#errors and #modifiers).
    """
    type_number(type)
    query = Query(type, known)
    issues: list[Issue] = []
    size = 0
    for name, value in params:
        if name in _PLAIN or not value.strip(","):
            continue
        size += value.count(",") + 1
        try:
            _take(query, name, value)
        except Unknown as error:
            if lenient:
                query.ignored.append(msgspec.structs.replace(error.issues[0], severity="warning"))
            else:
                issues += error.issues
        except InvalidSearch as error:
            issues += error.issues
    if size > MAX_ALL:
        text = f"all parameters together may have {MAX_ALL} values"
        issues.append(Issue(code="too-costly", diagnostics=text))
    if issues:
        raise InvalidSearch(issues[0].diagnostics, issues=issues)
    check_together(query)
    return query


def _take(query: Query, name: str, value: str) -> None:
    control = CONTROLS.get(name)
    if control is not None:
        control(query, name, value)
        if name != "_cursor":
            query.used.append((name, value))
        return
    if name.partition(":")[0] in CONTROLS:
        raise wrong(name, "this modifier is not offered", "not-supported")
    if name == "_type":
        _own_type(query, value)
    else:
        add(query, Reading(query.known, name, values_of(name, value)).asked(query.type, name))
    query.used.append((name, value))


def values_of(name: str, value: str) -> tuple[str, ...]:
    """The alternatives of a value, escapes still in them. Raises InvalidSearch."""
    if not is_legal(value):
        raise wrong(name, r"expected \, \| \$ or \\ where there is a backslash")
    values = tuple(part for part in split(value, ",") if part)
    if len(values) > MAX_VALUES:
        raise wrong(name, f"has more than {MAX_VALUES} values", "too-costly")
    return values


def add(query: Query, asked: Asked) -> None:
    """Ask one more thing."""
    if asked.parameter.code == "_id" and not asked.modifier:
        query.ids.append(tuple(unescape(value).removeprefix(f"{query.type}/") for value in asked.values))
    elif asked.parameter.code == "_lastUpdated" and not asked.modifier:
        query.updated.append(asked.values)
    else:
        query.asked.append(asked)


def _own_type(query: Query, value: str) -> None:
    """`_type` chooses among types; a search on one type already has."""
    if query.type not in value.split(","):
        raise wrong("_type", f"this is a search of {query.type}; ask the base for several types")
