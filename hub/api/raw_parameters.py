"""A Parameters resource read without touching the text of what it carries.

`hub.api.parameters` gives plain values; `$validate` and `$meta-add` need the bytes as they were sent
(http://hl7.org/fhir/R4/parameters.html).
"""

from __future__ import annotations

import msgspec

from hub.api import body
from hub.api.outcome import BadRequest
from hub.errors import Issue


class Parameter(msgspec.Struct, rename="camel"):
    """One parameter; of its values only the kinds that those operations know."""

    name: str = ""
    resource: msgspec.Raw = msgspec.Raw(b"")
    value_code: str = ""
    value_uri: str = ""
    value_canonical: str = ""
    value_string: str = ""
    value_meta: msgspec.Raw = msgspec.Raw(b"")

    @property
    def text(self) -> str:
        """A code, uri, canonical or string."""
        return self.value_code or self.value_uri or self.value_canonical or self.value_string


class _Parameters(msgspec.Struct):
    parameter: list[Parameter] = []


_decode = msgspec.json.Decoder(_Parameters).decode


def read(content: bytes) -> list[Parameter] | None:
    """The parameters, or None where the body is a resource of another type; BadRequest for neither."""
    if body.of_any(content).resource_type != "Parameters":
        return None
    try:
        return _decode(content).parameter
    except (msgspec.DecodeError, RecursionError) as error:
        text = "not a Parameters resource: expected parameter to be a list of named values"
        raise BadRequest(issues=[Issue(code="structure", diagnostics=text)]) from error


def only(parameters: list[Parameter], name: str) -> Parameter | None:
    """The parameter of this name, or None; BadRequest for several."""
    found = [one for one in parameters if one.name == name]
    if len(found) > 1:
        text = f"{name}: expected once, found several"
        raise BadRequest(issues=[Issue(code="invalid", diagnostics=text, expression=name)])
    return found[0] if found else None
