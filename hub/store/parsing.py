"""Reads the parameters of a search; whatever is wrong or unknown is said before anything is looked up.

http://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from hub import r4
from hub.errors import Issue
from hub.store.compiling import check, date_spans
from hub.store.controls import CONTROLS
from hub.store.names import type_number
from hub.store.parameters import R4, Parameters
from hub.store.query import Asked, Chained, InvalidSearch, Query, wrong

_FORGIVEN = ("not-supported", "required")
_PLAIN = frozenset({"_format", "_pretty"})
_MODIFIERS = {
    "token": {"", "not", "missing", "of-type"},
    "reference": {"", "missing", "identifier"},
    "string": {"", "exact", "contains", "missing"},
    "uri": {"", "below", "missing"},
    "date": {"", "missing"},
    "number": {"", "missing"},
    "quantity": {"", "missing"},
    "composite": {"", "missing"},
}
_COMMA = re.compile(r"(?<!\\),")


def parse_query(
    type: str, params: Sequence[tuple[str, str]], *, lenient: bool = False, known: Parameters = R4
) -> Query:
    """Check the parameters of a search on a type.

    Raises InvalidSearch (400) with an issue per wrong one; `lenient` ignores parameters that are unknown or
    have no value and says so in `ignored` (http://hl7.org/fhir/R4/search.html#errors).
    """
    type_number(type)
    query = Query(type, known)
    issues: list[Issue] = []
    for name, value in params:
        if name in _PLAIN:
            continue
        try:
            _take(query, name, value)
        except InvalidSearch as error:
            if lenient and error.issues[0].code in _FORGIVEN:
                query.ignored.append(msgspec.structs.replace(error.issues[0], severity="warning"))
            else:
                issues += error.issues
    if issues:
        raise InvalidSearch(issues[0].diagnostics, issues=issues)
    return query


def _take(query: Query, name: str, value: str) -> None:
    if name in CONTROLS:
        CONTROLS[name](query, name, value)
        if name != "_cursor":
            query.used.append((name, value))
        return
    values = tuple(part for part in _COMMA.split(value) if part)
    if not values:
        raise wrong(name, "has no value", "required")
    if name == "_id":
        query.ids.append(values)
    elif name == "_lastUpdated":
        check_dates(name, values)
        query.updated.append(values)
    else:
        query.asked.append(_asked(query.known, query.type, name, values))
    query.used.append((name, value))


def _asked(known: Parameters, type_name: str, name: str, values: tuple[str, ...], depth: int = 0) -> Asked:
    path, _, rest = name.partition(".")
    code, _, modifier = path.partition(":")
    parameter = known.find(type_name, code)
    if parameter is None or parameter.plan is None or parameter.type not in _MODIFIERS:
        raise wrong(name, f"{type_name} has no search parameter of this name here", "not-supported")
    if rest:
        return _chained(known, parameter, modifier, name, rest, values, depth)
    allowed = _MODIFIERS[parameter.type]
    targeted = parameter.type == "reference" and modifier in r4.TYPES
    if modifier not in allowed and not targeted:
        raise wrong(name, f"modifier :{modifier[:40]} is not offered for {parameter.type}", "not-supported")
    asked = Asked(parameter, modifier, values)
    check_values(name, asked)
    return asked


def _chained(
    known: Parameters,
    parameter: r4.SearchParameter,
    target: str,
    name: str,
    rest: str,
    values: tuple[str, ...],
    depth: int,
) -> Asked:
    """http://hl7.org/fhir/R4/search.html#chaining"""
    if parameter.type != "reference":
        raise wrong(name, f"{parameter.code} is no reference and cannot be followed")
    if depth > 3:
        raise wrong(name, "chains are followed four steps at most")
    targets = [target] if target else [t for t in parameter.targets or r4.TYPES if _knows(known, t, rest)]
    if not targets or target not in ("", *r4.TYPES):
        raise wrong(name, "no type it leads to has this parameter", "not-supported")
    chain = tuple(Chained(one, _asked(known, one, rest, values, depth + 1)) for one in targets)
    return Asked(parameter, "", values, chain)


def _knows(known: Parameters, type_name: str, rest: str) -> bool:
    code = rest.partition(".")[0].partition(":")[0]
    return type_name in r4.TYPES and known.find(type_name, code) is not None


def check_values(name: str, asked: Asked) -> None:
    """Whether values can be read at all; compiled later, when the zone is known."""
    try:
        check(asked)
    except ValueError:
        raise wrong(name, f"the value is no {asked.parameter.type}") from None


def check_dates(name: str, values: tuple[str, ...]) -> None:
    """Dates with a prefix or none."""
    try:
        date_spans(values, None)
    except ValueError:
        raise wrong(name, "the value is no date") from None
