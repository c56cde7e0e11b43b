"""What an operation was given, whichever way it came: Parameters, a resource as the body, or the URL.

http://hl7.org/fhir/R4/operations.html#request
"""

from __future__ import annotations

from typing import Any

import msgspec

from hub import r4
from hub.api import body
from hub.api.exchange import Ask
from hub.api.outcome import BadRequest
from hub.errors import Issue

_CONTROLS = frozenset({"_format", "_pretty", "_elements", "_summary"})


class Given(msgspec.Struct):
    """Parameters by name, in their order: a URL's as text, a body's as plain JSON values or resources."""

    values: dict[str, list[Any]]

    def all(self, name: str) -> list[Any]:
        """Every value of a parameter."""
        return self.values.get(name, [])

    def one(self, name: str) -> Any:
        """The value of a parameter that may be given once, or None; BadRequest for several."""
        found = self.all(name)
        if len(found) > 1:
            raise wrong(name, "expected once, found several")
        return found[0] if found else None

    def text(self, name: str) -> str:
        """A primitive as text, or empty."""
        value = self.one(name)
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (dict, list)):
            raise wrong(name, "expected a primitive value")
        return str(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean."""
        text = self.text(name)
        if text not in ("", "true", "false"):
            raise wrong(name, "expected true or false")
        return text == "true" if text else default

    def whole(self, name: str) -> int | None:
        """A whole number that is not negative, or None."""
        text = self.text(name)
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise wrong(name, "expected a whole number")
        return int(text)


def given(ask: Ask, *, resource: str = "resource") -> Given:
    """Read the parameters. A body that is no Parameters is the parameter named `resource`.

    Raises BadRequest for a body that is no resource, or a parameter without a name.
    """
    values: dict[str, list[Any]] = {}
    for name, value in ask.query:
        if name not in _CONTROLS:
            values.setdefault(name, []).append(value)
    if not ask.body:
        return Given(values)
    head = body.of_any(ask.body)
    tree = r4.tree(ask.body)
    if head.resource_type != "Parameters":
        values.setdefault(resource, []).append(tree)
        return Given(values)
    r4.decode(ask.body, "Parameters")
    for one in tree.get("parameter", []):
        values.setdefault(one["name"], []).append(_value(one))
    return Given(values)


def wrong(name: str, text: str) -> BadRequest:
    """The error for one parameter; never quotes its value."""
    return BadRequest(
        issues=[Issue(code="invalid", diagnostics=f"{name[:64]}: {text}", expression=name[:64])]
    )


def _value(parameter: dict[str, Any]) -> Any:
    """Its value, its resource, or its parts by name."""
    if "resource" in parameter:
        return parameter["resource"]
    if "part" in parameter:
        parts: dict[str, Any] = {}
        for part in parameter["part"]:
            parts.setdefault(part["name"], []).append(_value(part))
        return parts
    return next((value for name, value in parameter.items() if name.startswith("value")), None)
