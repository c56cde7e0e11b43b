"""Parameters that unite others: what is indexed under these is not written again.

Each `combo-` parameter of Observation is one of the observation itself together with one of its components,
http://hl7.org/fhir/R4/observation.html#search. A resource's packed rows hold it like any other; in the tables
its rows are those of its parts.
"""

from __future__ import annotations

from functools import cache

from hub import r4

_PREFIX, _INNER = "combo-", "component-"


@cache
def unions() -> dict[int, tuple[int, ...]]:
    """The parts of each parameter that unites others, by number."""
    known = {one.code: one.number for one in r4.search_parameters("Observation")}
    return {
        number: (known[name], known[_INNER + name])
        for code, number in known.items()
        if (name := code.removeprefix(_PREFIX)) != code and name in known and _INNER + name in known
    }
