"""Subscriptions: who is told that a resource was created or updated, http://hl7.org/fhir/R4/subscription.html

`Subscriptions` decides, inside the transaction of a change, which notifications it calls for and writes them
into the outbox; `RestHook` is the adapter that takes them to their endpoints.
"""

from hub.subscriptions.acceptance import Acceptance
from hub.subscriptions.endpoints import Endpoints
from hub.subscriptions.engine import CHANNEL, Subscriptions
from hub.subscriptions.hook import RestHook

__all__ = ["CHANNEL", "Acceptance", "Endpoints", "RestHook", "Subscriptions"]
