"""The slower pass: every structural issue of a resource, each with its exact path.

It runs only after the fast pass (structs.py) found something. Paths are FHIRPath: `Patient.contact[0].name`,
`Observation.value` for a choice, an index for every member of a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from hub.errors import Issue
from hub.r4 import definitions
from hub.r4.definitions import Element
from hub.r4.primitives import BOUNDED, EXAMPLES, INTEGERS, LONGEST, PATTERNS, STRINGS, UNSAFE
from hub.r4.structs import field_names, has_beside, target_type

_SURROGATE = re.compile("[\ud800-\udfff]")
_COMPILED = {kind: re.compile(pattern) for kind, pattern in PATTERNS.items()}


class _Number(str):
    """The text of a JSON number with a fraction or an exponent."""


class _MinusZero(int):
    """The whole number `-0`, which R4 integers do not have."""


class _Object(dict[str, Any]):
    """A JSON object that remembers members written twice."""

    repeated: tuple[str, ...] = ()


def collect(body: bytes, type_name: str | None = None, *, strict_keys: bool = False) -> list[Issue]:
    """Every issue of the resource in `body`; empty if there is none."""
    try:
        parsed = _parse(body)
    except (ValueError, RecursionError):
        return [unreadable(body)]
    if not isinstance(parsed, dict):
        return [_fatal("a resource is a JSON object")]
    try:
        return list(_Walk(strict_keys).resource(parsed, type_name, ""))
    except RecursionError:
        return [_fatal("nested too deeply")]


def unreadable(body: bytes) -> Issue:
    """Why the bytes are not a JSON object."""
    try:
        parsed = _parse(body)
    except UnicodeDecodeError as error:
        return _fatal(f"not UTF-8 at byte {error.start}")
    except RecursionError:
        return _fatal("nested too deeply")
    except json.JSONDecodeError as error:
        return _fatal(f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})")
    except ValueError as error:
        return _fatal(f"not JSON: {error}")
    if not isinstance(parsed, dict):
        return _fatal("not a JSON object")
    return _fatal("half a surrogate pair in a string, a number out of range, or no resourceType")


def _parse(body: bytes) -> Any:
    return json.loads(
        body.decode(),
        parse_float=_Number,
        parse_int=_whole,
        parse_constant=_constant,
        object_pairs_hook=_object,
    )


def _fatal(text: str) -> Issue:
    return Issue(code="structure", severity="fatal", diagnostics=text)


def _whole(text: str) -> int | _Number:
    if text == "-0":
        return _MinusZero(0)
    return int(text) if len(text) < 20 else _Number(text)


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    found = _Object(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        found.repeated = tuple(k for k, _ in pairs if k in seen or seen.add(k))  # type: ignore[func-returns-value]
    return found


def _issue(code: str, path: str, text: str) -> Issue:
    return Issue(code=code, expression=path, diagnostics=text)


class _Walk:
    """Goes through a parsed resource beside its definition and yields what does not fit."""

    def __init__(self, strict_keys: bool) -> None:
        self.strict_keys = strict_keys

    def resource(self, node: Any, wanted: str | None, path: str) -> Iterator[Issue]:
        if not isinstance(node, dict):
            yield _issue("structure", path, "expected a resource (a JSON object)")
            return
        name = node.get("resourceType")
        where = path or (wanted or "")
        if not isinstance(name, str) or not definitions.is_type(name):
            given = f"{_shown(name)} is no R4 resource type" if isinstance(name, str) else "missing"
            yield _issue("structure", where, f"resourceType: {given}")
            return
        if wanted and name != wanted:
            yield _issue("structure", where, f"resourceType: expected {wanted}, found {name}")
            return
        rest = _Object({k: v for k, v in node.items() if k != "resourceType"})
        rest.repeated = getattr(node, "repeated", ())
        yield from self.complex(rest, name, path or name)

    def complex(self, node: Any, kind: str, path: str) -> Iterator[Issue]:
        """An object of a complex type or inner structure."""
        if not isinstance(node, dict):
            yield _issue("structure", path, f"expected {kind}, found {_json_type(node)}")
            return
        if not node and not definitions.is_type(kind):
            yield _issue("structure", path, "an object must not be empty")
            return
        if self.strict_keys:
            for key in getattr(node, "repeated", ()):
                yield _issue("structure", path, f"the member {_shown(key)} stands there twice")
        members = definitions.members(kind)
        known: set[str] = set()
        for name, element in members.items():
            fields = field_names(name, element)
            for member, type_ in fields:
                known |= {member, "_" + member} if has_beside(kind, name, type_) else {member}
            yield from self.member(node, name, element, fields, path)
        for key in node:
            if key not in known:
                yield _issue("structure", path, f"{kind} has no member {_shown(key)}")
        if kind == "Extension":
            yield from self.extension(node, path)

    def member(
        self, node: dict[str, Any], name: str, element: Element, fields: list[tuple[str, str]], path: str
    ) -> Iterator[Issue]:
        """One element: how often it is there, then each of its values."""
        here = [(m, k) for m, k in fields if m in node or (_is_primitive(k) and "_" + m in node)]
        where = f"{path}.{name}"
        if element.min and not here:
            yield _issue("required", where, f"missing: {path} needs {name}{'[x]' if element.choice else ''}")
        if len(here) > 1:
            yield _issue("structure", where, f"only one of {', '.join(m for m, _ in here)} may be given")
        for member, kind in here:
            if _is_primitive(kind):
                yield from self.primitives(node, member, kind, element, where)
            elif element.many:
                yield from self.many(node[member], kind, element, where)
            else:
                yield from self.value(node[member], kind, element, where)

    def many(self, values: Any, kind: str, element: Element, path: str) -> Iterator[Issue]:
        if not isinstance(values, list):
            yield _issue("structure", path, f"expected a list, found {_json_type(values)}")
            return
        if not values:
            yield _issue("structure", path, "a list must not be empty")
        for position, value in enumerate(values):
            yield from self.value(value, kind, element, f"{path}[{position}]")

    def value(self, value: Any, kind: str, element: Element, path: str) -> Iterator[Issue]:
        if kind == "Resource":
            yield from self.resource(value, None, path)
            return
        yield from self.complex(value, kind, path)
        if not isinstance(value, dict):
            return
        if kind == "Reference" and element.targets and isinstance(value.get("reference"), str):
            found = target_type(value["reference"])
            if found and found not in element.targets:
                allowed = ", ".join(element.targets)
                yield _issue("value", f"{path}.reference", f"points at a {found}; allowed: {allowed}")
        if element.binding == "required" and kind in ("CodeableConcept", "Coding"):
            yield from self.bound(value, kind, element, path)

    def bound(self, value: dict[str, Any], kind: str, element: Element, path: str) -> Iterator[Issue]:
        listed = definitions.codings(element.valueset)
        codings = value.get("coding") if kind == "CodeableConcept" else [value]
        if listed is None or not isinstance(codings, list) or not codings:
            return
        given = [(c.get("system"), c.get("code")) for c in codings if isinstance(c, dict)]
        if not any(pair == known for pair in given for known in listed):
            yield _issue("code-invalid", path, f"no coding from the required value set {element.valueset}")

    def primitives(
        self, node: dict[str, Any], member: str, kind: str, element: Element, path: str
    ) -> Iterator[Issue]:
        """The value of a primitive and the element beside it."""
        value, extra = node.get(member), node.get("_" + member)
        if not element.many:
            if member in node:
                yield from self.primitive(value, kind, element, path)
            if "_" + member in node:
                yield from self.complex(extra, "Element", path)
            return
        for given, found in ((member, value), ("_" + member, extra)):
            if given in node and not isinstance(found, list):
                yield _issue("structure", path, f"expected a list, found {_json_type(found)}")
                return
            if given in node and not found:
                yield _issue("structure", path, "a list must not be empty")
        values, extras = value or [], extra or []
        for position in range(max(len(values), len(extras))):
            one = values[position] if position < len(values) else None
            beside = extras[position] if position < len(extras) else None
            where = f"{path}[{position}]"
            if one is None and beside is None:
                yield _issue("structure", where, "null without a value or an extension beside it")
            if one is not None:
                yield from self.primitive(one, kind, element, where)
            if beside is not None:
                yield from self.complex(beside, "Element", where)

    def primitive(self, value: Any, kind: str, element: Element, path: str) -> Iterator[Issue]:
        problem = _primitive_problem(value, kind)
        if problem:
            yield _issue("value" if _json_fits(value, kind) else "structure", path, problem)
        elif kind == "code" and element.binding == "required":
            listed = definitions.codes(element.valueset)
            if listed is not None and value not in listed:
                text = f"not in the required value set {element.valueset}"
                yield _issue(
                    "code-invalid",
                    path,
                    text + (f": {', '.join(sorted(listed))}" if len(listed) <= 12 else ""),
                )

    def extension(self, node: dict[str, Any], path: str) -> Iterator[Issue]:
        valued = any(key.removeprefix("_").startswith("value") for key in node)
        if valued == ("extension" in node):
            yield _issue("invariant", path, "ext-1: an extension has either a value or extensions")


def _is_primitive(kind: str) -> bool:
    return kind in definitions.PRIMITIVES


def _json_fits(value: Any, kind: str) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in STRINGS:
        return isinstance(value, str) and not isinstance(value, _Number)
    return isinstance(value, int | _Number) and not isinstance(value, bool)


def _primitive_problem(value: Any, kind: str) -> str:
    """What is wrong with the value of a primitive, or empty."""
    if not _json_fits(value, kind):
        return f"expected a JSON {_json_name(kind)} ({kind}), found {_json_type(value)}"
    if kind in INTEGERS:
        low, high = INTEGERS[kind]
        if isinstance(value, _Number | _MinusZero) or not low <= value <= high:
            return f"expected a whole number from {low} to {high}"
    if kind == "decimal" and isinstance(value, _Number) and not _in_range(value):
        return "number out of range"
    if kind not in STRINGS:
        return ""
    if not value:
        return "a string must not be empty"
    if len(value) > LONGEST and kind in BOUNDED:
        return f"a {kind} must not have more than {LONGEST} characters"
    if UNSAFE.search(value):
        return "a string must not contain control characters"
    if _SURROGATE.search(value):
        return "a string must not contain half a surrogate pair"
    pattern = _COMPILED.get(kind)
    if pattern is not None and not pattern.search(value):
        return f"not a valid {kind}: {EXAMPLES[kind]}"
    return ""


def _in_range(text: str) -> bool:
    try:
        Decimal(text)
    except InvalidOperation:
        return False
    return True


def _json_name(kind: str) -> str:
    if kind == "boolean":
        return "boolean"
    return "string" if kind in STRINGS else "number"


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | _Number):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "an object"


def _shown(key: str) -> str:
    return key if re.fullmatch(r"_?[A-Za-z][A-Za-z0-9]{0,63}", key) else "(unreadable name)"
