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
from hub.store.names import type_number
from hub.store.query import Asked, Chained, Include, InvalidSearch, Query

MAX_COUNT = 1000
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


def parse_query(type: str, params: Sequence[tuple[str, str]], *, lenient: bool = False) -> Query:
    """Check the parameters of a search on a type.

    Raises InvalidSearch (400) with an issue per wrong one; `lenient` ignores parameters that are unknown or
    have no value and says so in `ignored` (http://hl7.org/fhir/R4/search.html#errors).
    """
    type_number(type)
    query = Query(type)
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


def wrong(name: str, why: str, code: str = "invalid") -> InvalidSearch:
    """The error for one parameter; never quotes its value."""
    return InvalidSearch(issues=[Issue(code=code, diagnostics=f"{name[:80]}: {why}", expression=name[:80])])


def _take(query: Query, name: str, value: str) -> None:
    if name in _CONTROLS:
        _CONTROLS[name](query, name, value)
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
        query.asked.append(_asked(query.type, name, values))
    query.used.append((name, value))


def _asked(type_name: str, name: str, values: tuple[str, ...], depth: int = 0) -> Asked:
    path, _, rest = name.partition(".")
    code, _, modifier = path.partition(":")
    parameter = r4.search_parameter(type_name, code)
    if parameter is None or parameter.plan is None or parameter.type not in _MODIFIERS:
        raise wrong(name, f"{type_name} has no search parameter of this name here", "not-supported")
    if rest:
        return _chained(parameter, modifier, name, rest, values, depth)
    allowed = _MODIFIERS[parameter.type]
    targeted = parameter.type == "reference" and modifier in r4.TYPES
    if modifier not in allowed and not targeted:
        raise wrong(name, f"modifier :{modifier[:40]} is not offered for {parameter.type}", "not-supported")
    asked = Asked(parameter, modifier, values)
    check_values(name, asked)
    return asked


def _chained(
    parameter: r4.SearchParameter, target: str, name: str, rest: str, values: tuple[str, ...], depth: int
) -> Asked:
    """http://hl7.org/fhir/R4/search.html#chaining"""
    if parameter.type != "reference":
        raise wrong(name, f"{parameter.code} is no reference and cannot be followed")
    if depth > 3:
        raise wrong(name, "chains are followed four steps at most")
    targets = [target] if target else [t for t in parameter.targets or r4.TYPES if _knows(t, rest)]
    if not targets or target not in ("", *r4.TYPES):
        raise wrong(name, "no type it leads to has this parameter", "not-supported")
    chain = tuple(Chained(one, _asked(one, rest, values, depth + 1)) for one in targets)
    return Asked(parameter, "", values, chain)


def _knows(type_name: str, rest: str) -> bool:
    code = rest.partition(".")[0].partition(":")[0]
    return type_name in r4.TYPES and r4.search_parameter(type_name, code) is not None


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


def _count(query: Query, name: str, value: str) -> None:
    if not (value.isascii() and value.isdigit()):
        raise wrong(name, "expected a number")
    query.count = min(int(value[:9]), MAX_COUNT)
    query.total = query.total or query.count == 0


def _sort(query: Query, name: str, value: str) -> None:
    if value not in ("_lastUpdated", "-_lastUpdated", ""):
        raise wrong(name, "only _lastUpdated and -_lastUpdated are offered", "not-supported")
    query.sort = value


def _total(query: Query, name: str, value: str) -> None:
    if value not in ("none", "estimate", "accurate"):
        raise wrong(name, "expected none, estimate or accurate")
    query.total = value != "none"


def _summary(query: Query, name: str, value: str) -> None:
    if value == "count":
        query.count, query.total = 0, True
    elif value != "false":
        raise wrong(name, "only count and false are offered", "not-supported")


def _cursor(query: Query, name: str, value: str) -> None:
    query.cursor = value


def _include(query: Query, name: str, value: str) -> None:
    source, parameter, target = _three(name, value)
    if source not in ("*", query.type):
        raise wrong(name, f"a search of {query.type} includes from {query.type}")
    query.includes.append(Include(query.type, _reference(name, query.type, parameter), target))


def _revinclude(query: Query, name: str, value: str) -> None:
    source, parameter, target = _three(name, value)
    if source not in r4.TYPES:
        raise wrong(name, "expected Type:parameter")
    found = _reference(name, source, parameter)
    if found is None:
        raise wrong(name, "name the parameter", "not-supported")
    query.revincludes.append(Include(source, found, target))


def _three(name: str, value: str) -> tuple[str, str, str]:
    parts = value.split(":")
    if len(parts) > 3 or not all(parts):
        raise wrong(name, "expected Type:parameter or Type:parameter:Target")
    return parts[0], parts[1] if len(parts) > 1 else "*", parts[2] if len(parts) > 2 else ""


def _reference(name: str, type_name: str, code: str) -> r4.SearchParameter | None:
    if code == "*":
        return None
    parameter = r4.search_parameter(type_name, code)
    if parameter is None or parameter.type != "reference":
        raise wrong(name, f"{type_name} has no reference parameter of this name")
    return parameter


_CONTROLS = {
    "_count": _count,
    "_sort": _sort,
    "_total": _total,
    "_summary": _summary,
    "_cursor": _cursor,
    "_include": _include,
    "_revinclude": _revinclude,
}
