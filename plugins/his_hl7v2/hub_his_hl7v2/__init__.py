"""HL7 v2 over MLLP: hospitals send, the hub acknowledges."""

from __future__ import annotations

from hub.adapters import Adapter
from hub.hookspecs import hookimpl


@hookimpl
def register_adapters() -> list[type[Adapter]]:
    """The adapter `his-hl7v2`."""
    from hub_his_hl7v2.adapter import HisHl7v2

    return [HisHl7v2]
