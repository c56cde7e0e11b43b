"""The TestScript engine: runs R4 TestScripts against any FHIR server and reports what it found.

    read(names) → [Script]          the scripts of the hub's own package, by name, or those of a folder
    async with reach(url) as t      the server under test, behind bounds of size and time
        await run(script, t)        → Result: what every operation and assert gave
    report.test_report(result)      the same as an R4 TestReport; `report.junit` for build servers

http://hl7.org/fhir/R4/testscript.html; docs/reference/conformance.md says what is supported.
"""

from __future__ import annotations

from hub.conformance.engine import run
from hub.conformance.results import Action, Part, Result
from hub.conformance.scripts import Script, read
from hub.conformance.target import Target, Unreachable, reach

__all__ = ["Action", "Part", "Result", "Script", "Target", "Unreachable", "reach", "read", "run"]
