"""What a function looks like, and how one-value functions become collection functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hub.fhirpath.arithmetic import single
from hub.fhirpath.errors import EvaluationError
from hub.fhirpath.nodes import Items

Environment = Mapping[str, Any]
Function = Callable[..., Items]
"""(input, environment, *argument collections) → collection."""


class Entry(NamedTuple):
    """A function, how many arguments it takes, and whether it asks for types (then trees are typed)."""

    call: Function
    least: int
    most: int
    typed: bool = False


def on_text(function: Callable[..., Any], least: int, most: int) -> Entry:
    """From a function of one string (and plain arguments); empty input or argument gives empty."""

    def call(items: Items, _: Environment, *arguments: Items) -> Items:
        text = single(items)
        values = [single(argument) for argument in arguments]
        if text is None or any(value is None for value in values):
            return ()
        if text.__class__ is not str:
            raise EvaluationError("a text is needed here")
        answer = function(text, *values)
        return () if answer is None else answer if answer.__class__ is list else (answer,)

    return Entry(call, least, most)


def on_value(function: Callable[..., Any], least: int = 0, most: int = 0, *, typed: bool = False) -> Entry:
    """From a function of one value of any kind (and plain arguments)."""

    def call(items: Items, _: Environment, *arguments: Items) -> Items:
        value = single(items)
        if value is None:
            return ()
        answer = function(value, *(single(argument) for argument in arguments))
        return () if answer is None else (answer,)

    return Entry(call, least, most, typed)
