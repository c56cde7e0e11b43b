"""Search extraction: one generated Python function per resource type writes all of its index rows.

The plans of the search parameters (tools/r4_search_plans.py) are merged into one tree of members, so that a
list is walked once however many parameters look into it. http://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from functools import cache
from typing import Any

import msgspec

from hub.r4 import definitions, parts, rows, spans
from hub.r4.definitions import SearchParameter
from hub.r4.structs import attribute

Extract = Callable[[Any, tzinfo, str], "Keys"]


class Keys(msgspec.Struct, gc=False):
    """Everything the index knows of one resource. The first number of each row is a parameter's.

    equal       (parameter, key): tokens, references, uris (hub.r4.hash_*)
                and (CONTAINED, type) for contained resources
    text        (parameter, folded text): strings, uris for `:below`, texts of tokens for `:text`
    ranges      (parameter, low, high), both ends inclusive: dates in microseconds UTC; numbers and quantities
                as they are (`number_range` gives the width of a search value); positions as (latitude,
                longitude) in degrees
    composites  (parameter, key, low, high): quantities by unit, and composite parameters
    present     parameters that have a value (for `:missing`)
    date        the type's main date in seconds UTC; 0 if there is none
    """

    equal: list[tuple[int, int]]
    text: list[tuple[int, str]]
    ranges: list[tuple[int, float, float]]
    composites: list[tuple[int, int, float, float]]
    present: list[int]
    date: int = 0


def keys(resource: Any, *, zone: tzinfo, base_url: str) -> Keys:
    """The index rows of a decoded resource, without doubles.

    `zone` is where dates without an offset are; absolute references below `base_url` become relative.
    """
    return extractor(type(resource).__fhir__)(resource, zone, base_url)


@cache
def extractor(type_name: str) -> Extract:
    """The generated function of a resource type."""
    source, names = source_of(type_name)
    exec(compile(source, f"<search {type_name}>", "exec"), names)  # our own text, made from the pack
    made: Extract = names["extract"]
    return made


def source_of(type_name: str) -> tuple[str, dict[str, Any]]:
    """The Python text of the function and the names it uses."""
    root = _Node()
    parameters = definitions.search_parameters(type_name)
    found = definitions.definition(type_name)
    main = found.date if found else ""
    for parameter in parameters:
        if parameter.plan is None:
            continue
        if parameter.type == "composite":
            for steps, *components in parameter.plan:
                root.at(steps).composites.append((parameter, components))
        else:
            for steps, kind, valueset in parameter.plan:
                if has_words(steps, kind) and kind == "string":
                    kind = "family"
                root.at(steps).values.append((parameter, kind, valueset))
    writer = _Writer(type_name, main)
    if "contained" in definitions.members(type_name):
        writer.add(1, "if o.contained is not None: contains(E, o.contained)")
    writer.node(root, "o", 1)
    return writer.text(), writer.names


def has_words(steps: list[Any], kind: str) -> bool:
    """Whether what a plan finds are names whose family part is searched word by word."""
    return kind == "HumanName" or (kind == "string" and bool(steps) and steps[-1][1:2] == ["family"])


class _Node:
    """A place in the resource: what is read there, and the steps that lead on."""

    def __init__(self) -> None:
        self.values: list[tuple[SearchParameter, str, str]] = []
        self.composites: list[tuple[SearchParameter, list[Any]]] = []
        self.steps: dict[tuple[Any, ...], _Node] = {}

    def at(self, steps: list[Any]) -> _Node:
        node = self
        for step in steps:
            node = node.steps.setdefault(tuple(step), _Node())
        return node


class _Writer:
    """Turns the tree into lines of Python."""

    def __init__(self, type_name: str, main: str) -> None:
        self.type_name, self.main, self.count = type_name, main, 0
        self.lines: list[str] = []
        self.names: dict[str, Any] = {
            "Keys": Keys, **rows.FUNCTIONS, **spans.FUNCTIONS, **parts.FUNCTIONS,
        }  # fmt: skip

    def text(self) -> str:
        head = [
            "def extract(o, zone, base):",
            "    E, T, R, C, P = set(), set(), set(), set(), set()",
            "    D = 0",
        ]
        tail = ["    return Keys(list(E), list(T), list(R), list(C), list(P), D)"]
        return "\n".join([*head, *self.lines, *tail]) + "\n"

    def add(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)

    def fresh(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def node(self, node: _Node, name: str, depth: int) -> None:
        for parameter, kind, valueset in node.values:
            self.value(parameter, kind, self.system(kind, valueset), name, depth)
        known: dict[str, str] = {}
        for parameter, components in node.composites:
            self.composite(parameter, components, known, name, depth)
        for step, child in node.steps.items():
            self.step(step, child, name, depth)

    def step(self, step: tuple[Any, ...], child: _Node, name: str, depth: int) -> None:
        kind = step[0]
        if kind == "root":
            self.node(child, "o", depth)
            return
        if kind == "f":
            inner = self.fresh()
            self.add(depth, f"{inner} = {name}.{attribute(step[1])}")
            self.add(depth, f"if {inner} is not None:")
            if not step[2]:
                self.node(child, inner, depth + 1)
                return
            if set(child.steps) == {("first",)} and not child.values:
                self.add(depth + 1, f"{inner} = {inner}[0]")
                self.node(child.steps["first",], inner, depth + 1)
                return
            item = self.fresh()
            self.add(depth + 1, f"for {item} in {inner}:")
            self.add(depth + 2, f"if {item} is None: continue")
            self.node(child, item, depth + 2)
            return
        if kind == "true":
            inner = self.fresh()
            self.add(depth, f"{inner} = {name}.{step[1]} is True or {name}.{step[2]} is not None")
            self.node(child, inner, depth)
            return
        tests = {
            "eq": lambda: f"{name}.{attribute(step[1])} == {step[2]!r}",
            "ref": lambda: f"points_at({name}, {step[1]!r})",
            "ext": lambda: f"{name}.url == {step[1]!r}",
            "hasext": lambda: f"has_extension({name}, {step[1]!r})",
        }
        self.add(depth, f"if {tests[kind]()}:")
        self.node(child, name, depth + 1)

    def value(self, parameter: SearchParameter, kind: str, system: str, name: str, depth: int) -> None:
        number = parameter.number
        self.add(depth, f"P.add({number})")
        if parameter.type == "date" and parameter.code == self.main:
            self.add(depth, f"D = main_date(D, R, {number}, {name}, zone, {_date_function(kind)})")
            return
        for line in _value_lines(parameter, kind, system, name):
            self.add(depth, line)

    def system(self, kind: str, valueset: str) -> str:
        """What a bare code of that value set implies, as Python text: a system, or systems by code."""
        found = definitions.code_systems(valueset) if kind == "code" else ""
        if isinstance(found, str):
            return repr(found)
        name = f"systems{len(self.names)}"
        self.names[name] = found
        return name

    def composite(
        self, parameter: SearchParameter, plans: list[Any], known: dict[str, str], name: str, depth: int
    ) -> None:
        """Keys of the first component with keys, ranges or limits of the others.

        `known` holds the sets that stand in variables already: most composites begin with the same code.
        """
        kinds = parameter.components
        sets = []
        for plan, kind in zip(plans, kinds, strict=True):
            text = repr((kind, plan))
            if text not in known:
                known[text] = self.fresh()
                self.add(depth, f"{known[text]} = set()")
                tree = _Node()
                for steps, terminal, valueset in plan:
                    part = SearchParameter(0, known[text], "@" + kind, "")
                    tree.at(steps).values.append((part, terminal, valueset))
                _Component(self).node(tree, name, depth)
            sets.append(known[text])
        join = "limits" if len(sets) == 3 else "pairs" if kinds[1] in _KEYED else "spans"
        self.add(depth, f"if {' and '.join(sets)}:")
        self.add(depth + 1, f"{join}(C, {parameter.number}, {', '.join(sets)})")
        self.add(depth + 1, f"P.add({parameter.number})")


_KEYED = ("token", "string", "reference")


class _Component(_Writer):
    """Writes one component of a composite: its values go into the set its parameter is named after."""

    def __init__(self, outer: _Writer) -> None:
        self.outer = outer
        self.lines, self.names = outer.lines, outer.names

    def fresh(self) -> str:
        return self.outer.fresh()

    def value(self, parameter: SearchParameter, kind: str, system: str, name: str, depth: int) -> None:
        target = parameter.code
        function = {
            "token": f"component_token({target}, {name}, {kind!r}, {system})",
            "reference": f"component_reference({target}, {name}, base)",
            "string": f"component_string({target}, {name})",
            "quantity": f"component_quantity({target}, {name}, {kind!r})",
            "number": f"component_number({target}, {name})",
            "date": f"component_date({target}, {name}, zone, {_date_function(kind)})",
        }[parameter.type[1:]]
        self.add(depth, function)


def _date_function(kind: str) -> str:
    return {"Period": "of_period", "Timing": "of_timing"}.get(kind, "of_date")


def _value_lines(parameter: SearchParameter, kind: str, system: str, name: str) -> list[str]:
    """The calls that write the rows of one value, by type of parameter and of value."""
    number = parameter.number
    if parameter.type == "token":
        if kind in ("string", "markdown"):
            return [f"string_token(E, {number}, {name})"]
        if kind in ("code", "boolean", "id", "uri", "canonical"):
            return [f"plain_token(E, {number}, {name}, {system})"]
        return [f"{kind.lower()}_token(E, T, {number}, {name})"]
    if parameter.type == "string":
        table = {"HumanName": "name", "Address": "address", "family": "family"}
        how = "sound" if parameter.sounds else "text"
        return [f"{table.get(kind, 'plain')}_{how}(T, {number}, {name})"]
    if parameter.type == "special":
        return [f"position(R, {number}, {name})"]
    if parameter.type == "date":
        return [f"R.add(({number}, *{_date_function(kind)}({name}, zone)))"]
    if parameter.type == "reference":
        table = {"Reference": "reference", "Resource": "resource"}
        return [f"{table.get(kind, 'canonical')}_key(E, {number}, {name}, base)"]
    if parameter.type == "uri":
        return [f"uri_key(E, T, {number}, {name})"]
    if parameter.type == "number":
        return [f"{'range' if kind == 'Range' else 'plain'}_number(R, {number}, {name})"]
    table = {"Money": "money", "Range": "range", "SampledData": "sampled"}
    return [f"{table.get(kind, 'plain')}_quantity(R, C, {number}, {name})"]
