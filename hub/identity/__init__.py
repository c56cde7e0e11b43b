"""Which two records are one patient: what a Patient says of a person, and how well two of them agree.

    person_of(tree) → Person        the features that count
    compare(a, b) → Agreement       a score from 0 to 1 and a grade
    candidates(reader, person)      stored Patients worth comparing, found by the index

http://hl7.org/fhir/R4/patient-operation-match.html; docs/explanation/identity.md says why.
"""

from __future__ import annotations

from hub.identity.candidates import candidates
from hub.identity.person import Person, person_of
from hub.identity.scoring import Agreement, compare

__all__ = ["Agreement", "Person", "candidates", "compare", "person_of"]
