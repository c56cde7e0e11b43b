"""Parameters that have at most one value in a resource, so that their index rows tell resources apart."""

from __future__ import annotations

from functools import cache
from typing import Any

from hub import r4

_ONE_RANGE = frozenset({"date", "number", "quantity"})


@cache
def is_single(type_name: str, number: int) -> bool:
    """Whether a resource has at most one range under this parameter, or one under each key of it."""
    return number in _numbers(type_name)


@cache
def main_date(type_name: str) -> int:
    """The number of the parameter that orders the equality rows of a type, where it has one value at most;
    0 where there is none."""
    definition = r4.definition(type_name)
    found = r4.search_parameter(type_name, definition.date) if definition and definition.date else None
    return found.number if found is not None and is_single(type_name, found.number) else 0


@cache
def _numbers(type_name: str) -> frozenset[int]:
    return frozenset(
        one.number
        for one in r4.search_parameters(type_name)
        if (one.type in _ONE_RANGE and _once(type_name, one.plan))
        or (one.type == "composite" and _pair_once(type_name, one))
    )


def _once(type_name: str, plan: list[Any] | None) -> bool:
    """Whether every path goes through single members, and several paths through one choice."""
    if not plan or any(step[0] != "f" or step[2] for steps, *_ in plan for step in steps):
        return False
    if len(plan) == 1:
        return True
    choices = [name for name, one in r4.members(type_name).items() if one.choice]
    firsts = [steps[0][1] for steps, *_ in plan if len(steps) == 1]
    return len(firsts) == len(plan) and any(all(_of(name, one) for one in firsts) for name in choices)


def _of(choice: str, member: str) -> bool:
    return member.startswith(choice) and member[len(choice) : len(choice) + 1].isupper()


def _pair_once(type_name: str, parameter: r4.SearchParameter) -> bool:
    """A composite of the whole resource whose second part is a single range."""
    groups = parameter.plan or []
    if len(groups) != 1 or len(groups[0]) != 3 or groups[0][0] or len(parameter.components) != 2:
        return False
    return parameter.components[1] in _ONE_RANGE and _once(type_name, groups[0][2])
