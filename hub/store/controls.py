"""The parameters that shape a result instead of selecting it: order, pages, includes, totals.

http://hl7.org/fhir/R4/search.html#return
"""

from __future__ import annotations

from hub import r4
from hub.store.query import Include, Query, wrong

MAX_COUNT = 1000


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
    query.includes.append(Include(query.type, _reference(query, name, query.type, parameter), target))


def _revinclude(query: Query, name: str, value: str) -> None:
    source, parameter, target = _three(name, value)
    if source not in r4.TYPES:
        raise wrong(name, "expected Type:parameter")
    found = _reference(query, name, source, parameter)
    if found is None:
        raise wrong(name, "name the parameter", "not-supported")
    query.revincludes.append(Include(source, found, target))


def _three(name: str, value: str) -> tuple[str, str, str]:
    parts = value.split(":")
    if len(parts) > 3 or not all(parts):
        raise wrong(name, "expected Type:parameter or Type:parameter:Target")
    return parts[0], parts[1] if len(parts) > 1 else "*", parts[2] if len(parts) > 2 else ""


def _reference(query: Query, name: str, type_name: str, code: str) -> r4.SearchParameter | None:
    if code == "*":
        return None
    parameter = query.known.find(type_name, code)
    if parameter is None or parameter.type != "reference":
        raise wrong(name, f"{type_name} has no reference parameter of this name")
    return parameter


CONTROLS = {
    "_count": _count,
    "_sort": _sort,
    "_total": _total,
    "_summary": _summary,
    "_cursor": _cursor,
    "_include": _include,
    "_revinclude": _revinclude,
}
