"""What a run found: plain values, in the words of TestReport (http://hl7.org/fhir/R4/testreport.html)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["pass", "skip", "fail", "warning", "error"]
Verdict = Literal["pass", "skip", "fail"]


@dataclass(frozen=True)
class Action:
    """One operation or assert: how it ended, and why."""

    kind: Literal["operation", "assert"]
    outcome: Outcome
    message: str
    label: str = ""


@dataclass(frozen=True)
class Part:
    """A setup, test or teardown with its actions."""

    name: str
    actions: Sequence[Action] = ()
    description: str = ""

    @property
    def verdict(self) -> Verdict:
        """Failed by a failure or an error; otherwise skipped if anything was left out: no silent pass."""
        found = {one.outcome for one in self.actions}
        if found & {"fail", "error"}:
            return "fail"
        return "skip" if "skip" in found else "pass"

    @property
    def reason(self) -> str:
        """Why it did not pass: the first action that says so; empty if it passed."""
        wanted = ("fail", "error") if self.verdict == "fail" else ("skip",)
        told = [
            f"{one.label}: {one.message}" if one.label else one.message
            for one in self.actions
            if one.outcome in wanted
        ]
        return told[0] if told else ""


@dataclass(frozen=True)
class Result:
    """A TestScript that was run."""

    id: str
    title: str
    url: str
    target: str
    setup: Part
    tests: Sequence[Part]
    teardown: Part
    seconds: float = field(default=0.0, compare=False)

    @property
    def verdict(self) -> Verdict:
        """Failed if setup or a test failed; passed only if there are tests and everything passed."""
        found = {part.verdict for part in (self.setup, *self.tests)}
        if "fail" in found:
            return "fail"
        return "skip" if "skip" in found or not self.tests else "pass"

    def count(self, verdict: Verdict) -> int:
        """How many tests ended so."""
        return Counter(part.verdict for part in self.tests)[verdict]
