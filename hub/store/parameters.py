"""The search parameters a search may name: those of R4, and those that were posted to this hub.

http://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from hub import r4
from hub.errors import Retryable


class Unfinished(Retryable):
    """The index of a posted search parameter is still being filled: 503, ask again later."""


class Posted(msgspec.Struct, frozen=True):
    """A posted search parameter of one resource type.

    done, goal  how many of the type's resources its index has, of how many
    """

    type: str
    parameter: r4.SearchParameter
    ready: bool
    done: int = 0
    goal: int = 0

    def unfinished(self) -> Unfinished:
        """The error of a search that uses it too early."""
        share = min(99, 100 * self.done // self.goal) if self.goal else 0
        return Unfinished(
            f"{self.type}: the search parameter {self.parameter.code} was posted and its index is still "
            f"being filled ({share} % of the resources so far); search again when it is done"
        )


class Parameters:
    """Search parameters by type and code. It never changes: a store that learns of others gets a new one.

    generation  stands for the posted ones (0: there never were any)
    open        some are filling, or are being removed
    """

    def __init__(self, posted: Iterable[Posted] = (), generation: int = 0, *, open: bool = False) -> None:
        self.generation = generation
        self.open = open
        self._posted: dict[str, dict[str, Posted]] = {}
        for one in posted:
            self._posted.setdefault(one.type, {})[one.parameter.code] = one
        self._indexed = {
            name: tuple(one.parameter for one in some.values()) for name, some in self._posted.items()
        }

    def find(self, type_name: str, code: str) -> r4.SearchParameter | None:
        """The parameter, or None where the type has none of this code.

        Raises Unfinished for a posted one whose index is not filled yet.
        """
        found = r4.search_parameter(type_name, code)
        if found is not None:
            return found
        posted = self._posted.get(type_name, {}).get(code)
        if posted is None:
            return None
        if not posted.ready:
            raise posted.unfinished()
        return posted.parameter

    def of(self, type_name: str) -> list[r4.SearchParameter]:
        """Every parameter of a type that can be searched by."""
        posted = self._posted.get(type_name)
        found = r4.search_parameters(type_name)
        return [*found, *(one.parameter for one in posted.values() if one.ready)] if posted else found

    def indexed(self, type_name: str) -> tuple[r4.SearchParameter, ...]:
        """The posted ones of a type: every write has rows for them, ready or not."""
        return self._indexed.get(type_name, ())


R4 = Parameters()
"""Those of the specification only."""
