"""The typed face of resources for authors of adapters and rules: models of `fhir.resources.R4B`.

    from hub import models

    claim = models.read(stored)              # a fhir.resources.R4B Claim
    claim.status = "cancelled"
    body = models.build(claim)               # FHIR JSON; what was not touched is as it was sent

Needs the extra `sanyi-hub[models]`. The hub itself never stores or answers by way of these models: they
rewrite numbers and instants (105.00 becomes 105.0). So `read` remembers the JSON behind a model, and `build`
takes from there whatever the author left alone. https://pypi.org/project/fhir.resources/
"""

from __future__ import annotations

import importlib
from base64 import b64encode
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from hub import r4
from hub.errors import InvalidResource, Misconfigured, NotSupported

if TYPE_CHECKING:
    from fhir.resources.R4B.resource import Resource

__all__ = ["REFUSED", "build", "model", "read"]

_ABSENT = "R4B has no model of it: its definition was removed or is another one there"
_OTHER = "R4B defines it with other elements than R4"

REFUSED: dict[str, str] = {
    "EffectEvidenceSynthesis": _ABSENT,
    "MedicinalProduct": _ABSENT,
    "MedicinalProductAuthorization": _ABSENT,
    "MedicinalProductContraindication": _ABSENT,
    "MedicinalProductIndication": _ABSENT,
    "MedicinalProductIngredient": _ABSENT,
    "MedicinalProductInteraction": _ABSENT,
    "MedicinalProductManufactured": _ABSENT,
    "MedicinalProductPackaged": _ABSENT,
    "MedicinalProductPharmaceutical": _ABSENT,
    "MedicinalProductUndesirableEffect": _ABSENT,
    "RiskEvidenceSynthesis": _ABSENT,
    "SubstanceNucleicAcid": _ABSENT,
    "SubstancePolymer": _ABSENT,
    "SubstanceProtein": _ABSENT,
    "SubstanceReferenceInformation": _ABSENT,
    "SubstanceSourceMaterial": _ABSENT,
    "SubstanceSpecification": _ABSENT,
    "Evidence": _OTHER,
    "EvidenceVariable": _OTHER,
}
"""R4 types without a usable model, and why. They are stored and searched like all others."""

_ORIGIN = "_hub_origin"
"""Where a model carries the JSON it was read from, by member, and how the model showed each then."""


def model(type_name: str) -> type[Resource]:
    """The model class of a resource type.

    Raises NotSupported for the types in REFUSED and for what is no R4 type; Misconfigured when fhir.resources
    is not installed.
    """
    if type_name in REFUSED:
        raise NotSupported(f"{type_name} has no typed model: {REFUSED[type_name]}; use its plain JSON")
    if not r4.is_type(type_name):
        raise NotSupported(f"{type_name[:64]} is not a resource type of FHIR R4")
    try:
        module = importlib.import_module(f"fhir.resources.R4B.{type_name.lower()}")
    except ModuleNotFoundError as error:
        text = "hub.models needs fhir.resources: install sanyi-hub[models]"
        raise Misconfigured(text) from error
    found: type[Resource] = getattr(module, type_name)
    return found


def read(resource: bytes | dict[str, Any]) -> Any:
    """The model of a resource, given as FHIR JSON or as plain JSON values (Decimal for decimals).

    Raises InvalidResource with every issue when it is not valid R4, NotSupported for the types in REFUSED.
    """
    body = resource if isinstance(resource, bytes) else r4.untree(resource)
    try:
        type_name = r4.resource_type(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidResource("expected a resource as FHIR JSON: an object with its resourceType") from error
    made = model(type_name)
    r4.decode(body)
    tree = r4.tree(body)
    try:
        found = made.model_validate(tree)
    except ValueError as error:
        raise InvalidResource(f"{type_name}: fhir.resources refuses it: {_where(error)}") from error
    _remember(found, tree)
    return found


def build(resource: Any) -> bytes:
    """The FHIR JSON of a model, checked against R4.

    What came through `read` and was not changed keeps its literals; a new decimal has the digits it was
    given, a new datetime needs a zone. Raises InvalidResource with every issue.
    """
    type_name = resource.get_resource_type()
    model(type_name)
    return r4.encode(r4.decode(r4.untree(_tree(resource)), type_name))


def _remember(value: Any, origin: Any) -> None:
    """Attach to every model the JSON it stands for."""
    if isinstance(value, list) and isinstance(origin, list):
        for one, its in zip(value, origin, strict=False):
            _remember(one, its)
    elif isinstance(origin, dict) and hasattr(value, "model_fields_set"):
        shown = {}
        for name, member in _members(value):
            if name in origin:
                _remember(member, origin[name])
                shown[name] = (origin[name], _shown(member))
        object.__setattr__(value, _ORIGIN, shown)


def _tree(value: Any) -> Any:
    """Plain JSON of a model, with the origin of what did not change."""
    if isinstance(value, list):
        return [_tree(one) for one in value]
    if not hasattr(value, "model_fields_set"):
        return _shown(value)
    origins = getattr(value, _ORIGIN, {})
    made: dict[str, Any] = {}
    if hasattr(value, "get_resource_type") and r4.is_type(value.get_resource_type()):
        made["resourceType"] = value.get_resource_type()
    for name, member in _members(value):
        origin = origins.get(name)
        made[name] = origin[0] if origin is not None and origin[1] == _shown(member) else _tree(member)
    return made


def _members(value: Any) -> list[tuple[str, Any]]:
    """(name in JSON, value) of what a model holds."""
    fields = type(value).model_fields
    found = ((field.alias or name, getattr(value, name)) for name, field in fields.items())
    return [
        (name, member)
        for name, member in found
        if member is not None and name not in ("fhir_comments", "resource_type", "resourceType")
    ]


def _shown(value: Any) -> Any:
    """A value as JSON, whatever it was read from."""
    if isinstance(value, list):
        return [_shown(one) for one in value]
    if hasattr(value, "model_fields_set"):
        return {name: _shown(member) for name, member in _members(value)}
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return str(value) if isinstance(value, str) else value


def _instant(value: datetime) -> str:
    if value.tzinfo is None:
        raise InvalidResource("a datetime in a model needs a zone: give it a tzinfo")
    fine = "milliseconds" if value.microsecond % 1000 == 0 else "microseconds"
    text = value.isoformat(timespec=fine if value.microsecond else "seconds")
    return text.removesuffix("+00:00") + "Z" if value.utcoffset() == timedelta(0) else text


def _where(error: ValueError) -> str:
    """The places a model refuses, without their values."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return "not a value it knows"
    found = [".".join(map(str, one["loc"])) for one in errors(include_input=False, include_url=False)]
    return ", ".join(found) or "not a value it knows"
