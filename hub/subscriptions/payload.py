"""What a notification carries: the resource as JSON or XML, as its version was stored.

http://hl7.org/fhir/R4/subscription-definitions.html#Subscription.channel.payload
"""

from __future__ import annotations

from importlib.util import find_spec

PAYLOADS = frozenset({"application/fhir+json", "application/fhir+xml"})


def offered(payload: str) -> bool:
    """Whether resources can be written so."""
    return payload != "application/fhir+xml" or find_spec("hub.r4.xml") is not None


def rendered(body: bytes, payload: str) -> bytes:
    """A stored resource in the format of a payload."""
    if payload != "application/fhir+xml":
        return body
    from hub.r4 import xml  # only where somebody asks for it

    return xml.write(body)
