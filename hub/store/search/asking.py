"""One criterion, from its name and values: which parameter, modifier, chain or reverse chain it asks.

http://hl7.org/fhir/R4/search.html#modifiers, #chaining and #has
"""

from __future__ import annotations

from hub import r4
from hub.store.parameters import Parameters
from hub.store.search.compiling import check
from hub.store.search.escapes import BadValue
from hub.store.search.query import Asked, Chained, InvalidSearch, Reverse, Unknown, wrong

MAX_CHAIN = 10
"""Steps that a chain, or a reverse chain, may have."""
MAX_BRANCHES = 500
"""Different things that a chain without types may come to ask."""
MODIFIERS: dict[str, frozenset[str]] = {
    "token": frozenset({"", "not", "text", "in", "not-in", "above", "below", "of-type", "missing"}),
    "reference": frozenset({"", "identifier", "above", "below", "missing"}),
    "string": frozenset({"", "exact", "contains", "missing"}),
    "uri": frozenset({"", "above", "below", "missing"}),
    "date": frozenset({"", "missing"}),
    "number": frozenset({"", "missing"}),
    "quantity": frozenset({"", "missing"}),
    "composite": frozenset({""}),
    "special": frozenset({""}),
}
"""By type of parameter; a reference also takes the name of a resource type."""
LATER = frozenset({"_filter", "_query"})
_OWN: dict[str, frozenset[str]] = {
    "_id": frozenset({"", "not", "missing"}),
    "_lastUpdated": frozenset({"", "missing"}),
    "_text": frozenset({""}),
    "_content": frozenset({""}),
}
"""Parameters that are answered without rows of their own in the index, and their modifiers."""
LIST = r4.SearchParameter(-1, "_list", "special", "", plan=[])
HAS = r4.SearchParameter(-2, "_has", "special", "", plan=[])


def is_offered(parameter: r4.SearchParameter) -> bool:
    """Whether a search can ask for it."""
    return parameter.code not in LATER and (parameter.plan is not None or parameter.code in _OWN)


class Reading:
    """One parameter of a search as it came; what recurs along a chain is read once."""

    def __init__(self, known: Parameters, name: str, values: tuple[str, ...]) -> None:
        self.known, self.name, self.values = known, name, values
        self._seen: dict[tuple[str, str], Asked | InvalidSearch] = {}

    def asked(self, type_name: str, rest: str, depth: int = 0) -> Asked:
        """What `rest` of the name asks of a type. Raises InvalidSearch."""
        place = (type_name, rest)
        found = self._seen.get(place)
        if found is None:
            if len(self._seen) > MAX_BRANCHES:
                raise self.wrong("leads to too many types; name them, as in subject:Patient.name")
            try:
                found = self._asked(type_name, rest, depth)
            except InvalidSearch as error:
                found = error
            self._seen[place] = found
        if isinstance(found, InvalidSearch):
            raise found
        return found

    def wrong(
        self, why: str, code: str = "invalid", kind: type[InvalidSearch] = InvalidSearch
    ) -> InvalidSearch:
        """The error for this parameter."""
        return wrong(self.name, why, code, kind)

    def _asked(self, type_name: str, rest: str, depth: int) -> Asked:
        if depth > MAX_CHAIN:
            raise self.wrong(f"a chain may have {MAX_CHAIN} steps at most")
        if rest.startswith("_has:"):
            return self._reverse(type_name, rest, depth)
        path, dot, beyond = rest.partition(".")
        code, _, modifier = path.partition(":")
        parameter = self._parameter(type_name, code)
        if dot:
            return self._chained(parameter, modifier, beyond, depth)
        self._check_modifier(parameter, modifier)
        asked = Asked(parameter, modifier, self.values)
        try:
            check(asked)
        except ValueError as error:
            raise self.wrong(_reason(error, parameter)) from None
        return asked

    def _parameter(self, type_name: str, code: str) -> r4.SearchParameter:
        if code == "_list":
            return LIST
        found = self.known.find(type_name, code)
        if code in LATER or (found is not None and not is_offered(found)):
            raise self.wrong("this parameter is not offered here", "not-supported", Unknown)
        if found is None:
            text = f"{type_name} has no search parameter of this name here"
            raise self.wrong(text, "not-supported", Unknown)
        return found

    def _check_modifier(self, parameter: r4.SearchParameter, modifier: str) -> None:
        allowed = _OWN.get(parameter.code) or MODIFIERS.get(parameter.type, frozenset())
        if parameter.sounds:
            allowed = allowed & {"", "missing"}
        if parameter.type == "reference" and {kind for _, kind, *_ in parameter.plan or ()} == {"canonical"}:
            allowed = allowed - {"identifier"}
        if modifier not in allowed and not (parameter.type == "reference" and modifier in r4.TYPES):
            who = parameter.code if parameter.code in _OWN else f"a {parameter.type}"
            types = ["{type}"] if parameter.type == "reference" else []
            offered = ", ".join(f":{one}" for one in [*sorted(allowed), *types] if one) or "none"
            text = f"modifier :{modifier[:40]} is not offered here; {who} takes {offered}"
            raise self.wrong(text, "not-supported")

    def _chained(self, parameter: r4.SearchParameter, target: str, beyond: str, depth: int) -> Asked:
        if parameter.type != "reference":
            raise self.wrong(f"{parameter.code} is no reference and cannot be followed")
        if target and target not in r4.TYPES:
            raise self.wrong(f"{target[:40]} is no resource type to follow {parameter.code} to")
        if not beyond:
            raise self.wrong("the chain ends without a parameter")
        chain: list[Chained] = []
        first: InvalidSearch | None = None
        for one in (target,) if target else parameter.targets or r4.TYPES:
            try:
                chain.append(Chained(one, self.asked(one, beyond, depth + 1)))
            except InvalidSearch as error:
                if first is None or isinstance(first, Unknown):
                    first = error
        if not chain:
            raise first or self.wrong("there is no type it leads to")
        return Asked(parameter, "", self.values, tuple(chain))

    def _reverse(self, type_name: str, rest: str, depth: int) -> Asked:
        _, *parts = rest.split(":", 3)
        if len(parts) < 3 or not all(parts):
            raise self.wrong("expected _has:Type:reference:parameter")
        source, code, beyond = parts
        if source not in r4.TYPES:
            raise self.wrong(f"{source[:40]} is not a resource type of FHIR R4")
        parameter = self._parameter(source, code)
        if parameter.type != "reference":
            raise self.wrong(f"{source}: {code[:40]} is no reference")
        if parameter.targets and type_name not in parameter.targets:
            raise self.wrong(f"{source}: {code[:40]} does not lead to {type_name}")
        return Asked(
            HAS, "", self.values, reverse=Reverse(source, parameter, self.asked(source, beyond, depth + 1))
        )


def _reason(error: ValueError, parameter: r4.SearchParameter) -> str:
    """What is wrong with a value: the text of our own errors, never the value."""
    return error.args[0] if isinstance(error, BadValue) else f"the value is no {parameter.type}"
