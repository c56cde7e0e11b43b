"""batch: every entry of a Bundle by itself, http://hl7.org/fhir/R4/http.html#transaction

Entries of one verb run side by side, so that their writes share commits; the verbs follow each other
in the order of a transaction.
"""

from __future__ import annotations

import asyncio
import logging
from uuid import uuid4

from hub.api import bundle, outcome, steps, table
from hub.api.bundle import Entry, Reply
from hub.api.exchange import Answer, Api, Ask
from hub.api.steps import ORDER
from hub.errors import HubError

log = logging.getLogger("hub.api")

TOGETHER = 64


async def batch(api: Api, ask: Ask, content: bundle.Bundle) -> Answer:
    """200 with one response entry each, successes and failures alike."""
    replies: dict[int, Reply] = {}
    order = sorted(range(len(content.entry)), key=lambda index: _rank(content.entry[index]))
    gate = asyncio.Semaphore(TOGETHER)

    async def one(index: int) -> None:
        async with gate:
            replies[index] = await _reply(api, ask, index, content.entry[index])

    for rank in range(len(ORDER)):
        group = [index for index in order if _rank(content.entry[index]) == rank]
        if group:
            await asyncio.gather(*(one(index) for index in group))
    entries = bundle.replies(api.base, (replies[index] for index in range(len(content.entry))))
    return Answer(body=bundle.document("batch-response", entries))


async def _reply(api: Api, ask: Ask, index: int, entry: Entry) -> Reply:
    try:
        return await table.reply_to(api, steps.step(api, ask, index, entry))
    except HubError as error:
        outcome.located(error, f"Bundle.entry[{index}]")
        status = outcome.http_status(error)
        return Reply(status=bundle.phrase(status), outcome=outcome.render(error.issues))
    except Exception:
        reference = uuid4().hex
        log.exception("batch entry failed", extra={"reference": reference, "entry": index})
        return Reply(status=bundle.phrase(500), outcome=outcome.render([outcome.unexpected(reference)]))


def _rank(entry: Entry) -> int:
    return ORDER.get(entry.request.method, 0) if entry.request else 0
