"""The search parameters a search may name: those of R4, and those that were posted to this hub.

http://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

from hub import r4


class Parameters:
    """Search parameters by type and code."""

    def find(self, type_name: str, code: str) -> r4.SearchParameter | None:
        """The parameter, or None where the type has none of this code."""
        return r4.search_parameter(type_name, code)

    def of(self, type_name: str) -> list[r4.SearchParameter]:
        """Every parameter of a type."""
        return r4.search_parameters(type_name)


R4 = Parameters()
"""Those of the specification only."""
