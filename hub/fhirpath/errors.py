"""What can go wrong with an expression: it cannot be read, or it cannot be answered.

Misconfigured
└── InvalidExpression    the text is not FHIRPath; `position` is the offset of the offending character
HubError
└── EvaluationError      the text is fine, the data does not fit (several items where one is needed ...)
    └── TooCostly        the step budget or the time-out of a regular expression was used up
"""

from __future__ import annotations

from hub.errors import HubError, Misconfigured


class InvalidExpression(Misconfigured, ValueError):
    """The text is not FHIRPath. `expression` is the whole text, `position` counts characters from 0."""

    def __init__(self, problem: str, expression: str, position: int) -> None:
        self.expression_text = expression
        self.position = position
        line = expression.count("\n", 0, position) + 1
        column = position - (expression.rfind("\n", 0, position) + 1) + 1
        super().__init__(f"FHIRPath, line {line}, column {column}: {problem} in `{expression}`")


class EvaluationError(HubError, ValueError):
    """An expression met data that it has no answer for; the text never quotes the data."""

    code = "processing"


class TooCostly(EvaluationError):
    """An expression from outside used up its steps, or a regular expression its time."""

    code = "too-costly"
