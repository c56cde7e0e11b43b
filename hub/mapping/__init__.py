"""Messages to resources and back, by documents: the meaning of an external system as data.

mappings = load([content.mappings()])
mapped = mappings.for_kind("hl7v2", "OMP^O09").map(body, Context(system=..., hub_key=..., zone=...))
"""

from hub.mapping.library import Mapped, Mapping, Mappings, Rendered, load
from hub.mapping.runtime import BASE, Change, Context, MappedResource, resource_id

__all__ = [
    "BASE",
    "Change",
    "Context",
    "Mapped",
    "MappedResource",
    "Mapping",
    "Mappings",
    "Rendered",
    "load",
    "resource_id",
]
