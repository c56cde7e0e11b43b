"""POST of a Bundle to the base: a batch or a transaction, http://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

from hub.api import steps
from hub.api.batch import batch
from hub.api.exchange import Answer, Api, Ask, Interaction
from hub.api.transaction import transaction


async def exchange(api: Api, ask: Ask) -> Answer:
    """Read the Bundle and run it as what it says it is."""
    content = steps.read(ask.body)
    return await (transaction if content.type == "transaction" else batch)(api, ask, content)


BUNDLE = Interaction("bundle", "operation", exchange)
