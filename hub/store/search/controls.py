"""The parameters that shape a result instead of selecting it: order, pages, includes, totals.

http://hl7.org/fhir/R4/search.html#return
"""

from __future__ import annotations

from hub import r4
from hub.store.search.query import Include, Order, Query, Unknown, wrong

MAX_COUNT = 1000


def _count(query: Query, name: str, value: str) -> None:
    if not (value.isascii() and value.isdigit()):
        raise wrong(name, "expected a whole number from 0 up")
    query.count = min(int(value[:9]), MAX_COUNT)
    query.total = query.total or query.count == 0


def _sort(query: Query, name: str, value: str) -> None:
    """http://hl7.org/fhir/R4/search.html#sort"""
    orders: list[Order] = []
    for key in value.split(","):
        code = key.removeprefix("-")
        if any(one.code == code for one in orders):
            continue
        parameter = None if code in _OWN_ORDERS else query.known.find(query.type, code)
        if code not in _OWN_ORDERS and (parameter is None or parameter.plan is None):
            text = f"{query.type} has no search parameter {code[:64]!r} to sort by"
            raise wrong(name, text, "not-supported", Unknown)
        orders.append(Order(code, parameter, key.startswith("-")))
    query.sort += orders


_OWN_ORDERS = frozenset({"_id", "_lastUpdated"})


def _total(query: Query, name: str, value: str) -> None:
    if value not in ("none", "estimate", "accurate"):
        raise wrong(name, "expected none, estimate or accurate")
    query.total = value != "none"


def _total_method(query: Query, name: str, value: str) -> None:
    """How clients made for Aidbox ask for a total (https://pypi.org/project/fhirpy/)."""
    query.total = query.total or value == "count"


def _summary(query: Query, name: str, value: str) -> None:
    if value not in ("true", "text", "data", "count", "false"):
        raise wrong(name, "expected true, text, data, count or false")
    query.summary = value if value not in ("count", "false") else ""
    if value == "count":
        query.count, query.total = 0, True


def _elements(query: Query, name: str, value: str) -> None:
    query.elements += tuple(part.strip() for part in value.split(",") if part.strip())


def _contained(query: Query, name: str, value: str) -> None:
    match value:
        case "true" | "false" | "both":
            query.contained = value
        case _:
            raise wrong(name, "expected true, false or both")


def _contained_type(query: Query, name: str, value: str) -> None:
    if value not in ("container", "contained"):
        raise wrong(name, "expected container or contained")
    query.only_contained = value == "contained"


def _cursor(query: Query, name: str, value: str) -> None:
    query.cursor = value


def _include(query: Query, name: str, value: str) -> None:
    """http://hl7.org/fhir/R4/search.html#include"""
    source, code, target = _three(name, value)
    iterate = _iterates(name)
    if source == "*":
        query.includes.append(Include("", None, target, iterate))
        return
    query.includes.append(Include(source, _reference(query, name, source, code), target, iterate))


def _revinclude(query: Query, name: str, value: str) -> None:
    source, code, target = _three(name, value)
    if source == "*":
        raise wrong(name, "expected the type that refers: Type:parameter")
    found = _reference(query, name, source, code)
    query.revincludes.append(Include(source, found, target, _iterates(name)))


def _iterates(name: str) -> bool:
    return name.partition(":")[2] in ("iterate", "recurse")


def _three(name: str, value: str) -> tuple[str, str, str]:
    source, code, target, *more = (*value.split(":"), "", "")[: max(3, value.count(":") + 1)]
    if more or value.endswith(":") or (source != "*" and not code):
        raise wrong(name, "expected Type:parameter or Type:parameter:Target, or * for everything")
    for type_name in (source, target):
        if type_name not in ("", "*") and type_name not in r4.TYPES:
            raise wrong(name, "the type is none of FHIR R4; expected Type:parameter or Type:parameter:Target")
    return source, code or "*", "" if target == "*" else target


def _reference(query: Query, name: str, type_name: str, code: str) -> r4.SearchParameter | None:
    if code == "*":
        return None
    parameter = query.known.find(type_name, code)
    if parameter is None or parameter.type != "reference" or parameter.plan is None:
        raise wrong(name, f"{type_name} has no reference parameter of this name")
    return parameter


def check_together(query: Query) -> None:
    """What only the whole query tells. Raises InvalidSearch."""
    if query.summary == "text" and (query.includes or query.revincludes):
        raise wrong("_summary", "text cannot be asked for together with _include or _revinclude")
    if query.sort and query.contained != "false":
        raise wrong("_sort", "contained resources come by the date of what contains them", "not-supported")
    if query.summary and query.elements:
        raise wrong("_elements", "cannot be asked for together with _summary")


CONTROLS = {
    "_count": _count,
    "_sort": _sort,
    "_total": _total,
    "_totalMethod": _total_method,
    "_summary": _summary,
    "_elements": _elements,
    "_contained": _contained,
    "_containedType": _contained_type,
    "_cursor": _cursor,
    "_include": _include,
    "_revinclude": _revinclude,
    "_include:iterate": _include,
    "_include:recurse": _include,
    "_revinclude:iterate": _revinclude,
    "_revinclude:recurse": _revinclude,
}
