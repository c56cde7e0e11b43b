"""What a running script knows: fixtures, responses, requests, variables (http://hl7.org/fhir/R4/testscript.html)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hub import fhirpath
from hub.conformance.scripts import Script
from hub.conformance.target import Answered, Asked, Target, identity
from hub.errors import HubError, Misconfigured, NotSupported

STEPS = 200_000
"""What one expression over an answer may cost."""
MAX_VALUE = 10_000
"""Characters of a variable's value."""
_PLACEHOLDER = re.compile(r"\$\{([^{}]*)\}")
_PATH = re.compile(r"(?:fhir:)?[A-Z][A-Za-z]*(?:/(?:fhir:)?[a-z][A-Za-z0-9]*)+(?:/@value)?\Z")


@dataclass
class Fixture:
    """A resource of the script, and who it became on the server once it was created."""

    tree: dict[str, Any]
    contained: bool = False
    autocreate: bool = False
    autodelete: bool = False
    created: tuple[str, str, str] | None = None


@dataclass
class Session:
    """The state of one run."""

    script: Script
    target: Target
    fixtures: dict[str, Fixture] = field(default_factory=dict)
    answers: dict[str, Answered] = field(default_factory=dict)
    requests: dict[str, Asked] = field(default_factory=dict)
    answer: Answered | None = None
    request: Asked | None = None

    def load(self) -> None:
        """Read the fixtures. Raises Misconfigured or NotSupported that names the one."""
        for one in self.script.resource.get("fixture", []):
            name = str(one.get("id", ""))
            reference = str(one.get("resource", {}).get("reference", ""))
            if not name or not reference:
                raise Misconfigured("a fixture needs an id and a resource.reference")
            self.fixtures[name] = Fixture(
                self.script.fixture(reference),
                contained=reference.startswith("#"),
                autocreate=bool(one.get("autocreate")),
                autodelete=bool(one.get("autodelete")),
            )

    def last(self) -> Answered:
        """The response of the latest operation."""
        if self.answer is None:
            raise Misconfigured("there is no response yet: an operation must come first")
        return self.answer

    def fixture(self, name: str) -> Fixture:
        """A fixture by its id."""
        if name not in self.fixtures:
            raise Misconfigured(f"no fixture is named {name}")
        return self.fixtures[name]

    def answered(self, name: str) -> Answered:
        """The response with this responseId; the latest without one."""
        if not name:
            return self.last()
        if name not in self.answers:
            raise Misconfigured(f"no response is named {name}")
        return self.answers[name]

    def source(self, name: str) -> dict[str, Any]:
        """The resource of a fixture or of a response by its id; of the latest response for ""."""
        if name in self.fixtures:
            fixture = self.fixtures[name]
            tree: dict[str, Any] = json_tree(self.filled(fixture.tree))
            if fixture.created:
                tree["id"] = fixture.created[1]
            return tree
        return self.answered(name).tree

    def identity(self, name: str) -> tuple[str, str, str]:
        """Type, id and version on the server of a fixture or a response. Misconfigured without an id."""
        if name in self.fixtures:
            fixture = self.fixtures[name]
            found = fixture.created or identity(fixture.tree)
            if fixture.contained and not fixture.created:
                raise Misconfigured(f"the fixture {name} was not created: it has no id on the server")
        else:
            found = self.answered(name).identity
        if not found[0] or not found[1]:
            raise Misconfigured(f"{name}: expected a resource with an id")
        return found

    def fill(self, text: str, escape: Callable[[str], str] = str) -> str:
        """A text with its `${variables}` replaced, each value escaped for where it stands."""
        return _PLACEHOLDER.sub(lambda found: escape(self.value(found[1])), text)

    def filled(self, tree: Any) -> Any:
        """A resource with the variables in its strings replaced."""
        if isinstance(tree, dict):
            return {name: self.filled(value) for name, value in tree.items()}
        if isinstance(tree, list):
            return [self.filled(value) for value in tree]
        return self.fill(tree) if isinstance(tree, str) and "${" in tree else tree

    def expression(self, text: str) -> str:
        """An expression with its variables replaced, as text inside a FHIRPath string."""
        return self.fill(text, lambda value: json.dumps(value)[1:-1].replace("'", "\\'").replace("`", "\\`"))

    def value(self, name: str) -> str:
        """The value of a variable now. Raises Misconfigured if it is unknown or has none."""
        declared: list[dict[str, Any]] = self.script.resource.get("variable", [])
        variable = next((one for one in declared if one.get("name") == name), None)
        if variable is None:
            raise Misconfigured(f"no variable is named {name}")
        found = self._found(variable)
        if found is None:
            found = variable.get("defaultValue")
        if found is None:
            raise Misconfigured(f"the variable {name} has no value")
        if len(found) > MAX_VALUE:
            raise Misconfigured(f"the variable {name} has more than {MAX_VALUE} characters")
        return str(found)

    def _found(self, variable: Mapping[str, Any]) -> str | None:
        name = str(variable.get("sourceId", ""))
        if "headerField" in variable:
            found = self.answered(name).headers.get(variable["headerField"])
            return None if found is None else str(found)
        if "expression" in variable:
            results = evaluate(str(variable["expression"]), self.source(name))
        elif "path" in variable:
            results = evaluate(from_path(str(variable["path"])), self.source(name))
        else:
            return None
        return text_of(results[0]) if results else None


def evaluate(expression: str, tree: dict[str, Any]) -> list[Any]:
    """The results of an expression over a resource, within bounds. Raises HubError."""
    try:
        return fhirpath.compile(expression, budget=STEPS)(tree, {"resource": tree})
    except RecursionError:
        raise HubError("the resource is nested too deeply") from None


def from_path(path: str) -> str:
    """The FHIRPath of a plain XPath (`fhir:Patient/fhir:name/@value`); NotSupported for any other path."""
    if not _PATH.match(path):
        raise NotSupported("path: only plain steps such as fhir:Bundle/fhir:type/@value; use expression")
    return path.removesuffix("/@value").replace("fhir:", "").replace("/", ".")


def text_of(value: Any) -> str:
    """A result as the text that is compared: `true`, `12.50`, `2026-02-01`. HubError for a whole element."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | Decimal):
        return str(value)
    raise HubError("expected a primitive value, the expression gives an element with members")


def json_tree(tree: Any) -> Any:
    """A copy that shares nothing but scalars."""
    if isinstance(tree, dict):
        return {name: json_tree(value) for name, value in tree.items()}
    return [json_tree(value) for value in tree] if isinstance(tree, list) else tree
