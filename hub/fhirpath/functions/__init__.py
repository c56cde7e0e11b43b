"""The functions of FHIRPath, by subject; `REGISTRY` is what the compiler calls by name.

Each takes the input collection, the environment and one evaluated collection per argument, and returns a
collection. Functions whose arguments are evaluated per item (`where`, `select` ...) are compiled, not listed.
"""

from __future__ import annotations

from hub.fhirpath.functions import collections, conversion, dates, fhir, math, narrative, strings
from hub.fhirpath.functions.signature import Entry

REGISTRY: dict[str, Entry] = {
    **collections.FUNCTIONS,
    **conversion.FUNCTIONS,
    **dates.FUNCTIONS,
    **fhir.FUNCTIONS,
    **math.FUNCTIONS,
    **narrative.FUNCTIONS,
    **strings.FUNCTIONS,
}
