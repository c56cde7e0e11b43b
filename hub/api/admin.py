"""The operators' routes, `/admin/...`, in JSON: what came in, what goes out, what waits for a person."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Request

from hub import security
from hub.api import auditing, rows
from hub.api.desk import Desk
from hub.api.outcome import BadRequest
from hub.errors import NotFound
from hub.messages import Caller
from hub.store import audit, inbox, notices, outbox, subscriptions, talks
from hub.store.backend import Tx
from hub.subscriptions import CHANNEL

JsonRow = dict[str, Any]
Limit = Annotated[int, Query(ge=1, le=10_000, description="how many rows at most")]
Before = Annotated[int, Query(ge=0, le=2**53, description="only rows with a smaller id: the next page")]
Id = Annotated[int, Path(ge=1, le=2**53)]


def caller(request: Request) -> Caller:
    """Who asks; Forbidden unless it may use the admin routes, 400 for a NUL, which no database takes."""
    found = security.caller_of(request.scope["headers"], request.scope.get("client"))
    security.authorize(found, "admin")
    if b"%00" in request.scope["query_string"] or "\x00" in request.scope["path"]:
        raise BadRequest("the URL contains the character NUL")
    return found


Who = Annotated[Caller, Depends(caller)]


def router(desk: Desk) -> APIRouter:
    """All admin routes for one hub."""
    routes = APIRouter(prefix="/admin", dependencies=[Depends(caller)])
    _channels(routes, desk)
    _messages(routes, desk)
    _deliveries(routes, desk)
    _causes(routes, desk)
    _hub(routes, desk)
    return routes


def _channels(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/channels", tags=["channels"])
    async def channels() -> JsonRow:
        """Every channel with its state: running, paused, failed, stopped."""
        return {"channels": await desk.listing()}

    @routes.post("/channels/{name}/pause", tags=["channels"])
    async def pause(
        name: str,
        who: Who,
        reason: Annotated[str, Body(embed=True, pattern=r"^[^\x00]*$")] = "paused by an operator",
    ) -> JsonRow:
        """Stop receiving and delivering, also after a restart."""
        await desk.pause(name, reason[:500])
        await _record(desk, who, f"channels/{name}/pause")
        return await _channel(desk, name)

    @routes.post("/channels/{name}/resume", tags=["channels"])
    async def resume(name: str, who: Who) -> JsonRow:
        """Go on where it stopped."""
        await desk.resume(name)
        await _record(desk, who, f"channels/{name}/resume")
        return await _channel(desk, name)


def _messages(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/messages", tags=["messages"])
    async def messages(channel: str = "", state: str = "", limit: Limit = 100, before: Before = 0) -> JsonRow:
        """Newest first. States: received, stored, invalid, conflict, duplicate, rejected, replayed."""
        found = await inbox.listing(desk.store, channel=channel, state=state, before=before, most=limit)
        return {"messages": [rows.message(one) for one in found]}

    @routes.get("/messages/counts", tags=["messages"])
    async def counts() -> JsonRow:
        """How many messages of each channel are in each state; replies are counted apart."""
        found = await inbox.counts(desk.store)
        return {
            "counts": [
                {"channel": channel, "state": state, "reply": reply, "messages": number}
                for channel, state, reply, number in found
            ]
        }

    @routes.get("/messages/{id}", tags=["messages"])
    async def message(id: Id, who: Who) -> JsonRow:
        """One message with its body."""
        kept = await inbox.load(desk.store, id)
        if kept is None:
            raise NotFound(f"message {id} is not known")
        await _record(desk, who, f"messages/{id}")
        return rows.message_with_body(kept)

    @routes.post("/messages/{id}/replay", tags=["messages"])
    async def replay(id: Id, who: Who) -> JsonRow:
        """Map a kept message again."""
        outcome = await desk.replay_message(id)
        await _record(desk, who, f"messages/{id}/replay")
        issues = [rows.issue(one) for one in outcome.issues]
        return {"message": outcome.message or id, "outcome": outcome.code, "issues": issues}

    @routes.get("/unmapped", tags=["messages"])
    async def unmapped() -> JsonRow:
        """Codes that no concept map knows, with how many messages they came in."""
        return {"codes": await inbox.unmapped_codes(desk.store)}


def _deliveries(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/deliveries", tags=["deliveries"])
    async def deliveries(
        channel: str = "", state: str = "", limit: Limit = 100, before: Before = 0
    ) -> JsonRow:
        """Newest first. States: pending, in_flight, unknown, delivered, refused, dead, cancelled."""
        found = await outbox.listing(desk.store, channel=channel, state=state, before=before, most=limit)
        return {"deliveries": [rows.delivery(one) for one in found]}

    @routes.get("/deliveries/counts", tags=["deliveries"])
    async def counts() -> JsonRow:
        """How many deliveries of each channel are in each state."""
        found = await outbox.counts(desk.store)
        return {
            "counts": [
                {"channel": channel, "state": state, "deliveries": number} for channel, state, number in found
            ]
        }

    @routes.get("/deliveries/{id}", tags=["deliveries"])
    async def delivery(id: Id, who: Who) -> JsonRow:
        """One delivery with what was sent."""
        row = await outbox.load(desk.store, id)
        if row is None:
            raise NotFound(f"delivery {id} is not known")
        await _record(desk, who, f"deliveries/{id}")
        return rows.delivery_with_body(row)

    @routes.get("/dead-letters", tags=["deliveries"])
    async def dead_letters(channel: str = "", limit: Limit = 100, before: Before = 0) -> JsonRow:
        """Deliveries that wait for a person."""
        found = await outbox.listing(desk.store, channel=channel, state="dead", before=before, most=limit)
        return {"dead_letters": [rows.delivery(one) for one in found]}

    @routes.post("/dead-letters/{id}/replay", tags=["deliveries"])
    async def replay(id: Id, who: Who) -> JsonRow:
        """Send a dead letter again, with the same bytes."""
        await desk.replay_delivery(id)
        await _record(desk, who, f"dead-letters/{id}/replay")
        row = await outbox.load(desk.store, id)
        return rows.delivery(row) if row is not None else {"id": id}


def _causes(routes: APIRouter, desk: Desk) -> None:
    """What deliveries come of."""

    @routes.get("/subscriptions", tags=["deliveries"])
    async def told() -> JsonRow:
        """Subscriptions that are told of changes: how many arrived and wait, and what went wrong last."""
        found = await subscriptions.listing(desk.store)
        waiting = await notices.open_keys(desk.store, CHANNEL)
        return {
            "subscriptions": [
                rows.subscription(one, waiting.get(f"Subscription/{one.id}", {})) for one in found
            ]
        }

    @routes.get("/conversations", tags=["conversations"])
    async def conversations(state: str = "", limit: Limit = 100, before: Before = 0) -> JsonRow:
        """Newest first. States: running, done, refused, waiting (for a person)."""
        found = await talks.listing(desk.store, state=state, before=before, most=limit)
        return {"conversations": [rows.conversation(one) for one in found]}

    @routes.post("/conversations/{id}/retry", tags=["conversations"])
    async def retry(id: Id, who: Who, sure: Annotated[bool, Body(embed=True)] = False) -> JsonRow:
        """Do anew, with fresh bytes, what a waiting or refused conversation stopped at.

        409 where that could double an effect; `sure` says that a person made certain that there was none.
        """
        talk = await desk.retry_conversation(id, sure=sure)
        await _record(desk, who, f"conversations/{id}/retry")
        return rows.conversation(talk)


def _hub(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/journeys/{prescription:path}", tags=["hub"])
    async def journey(prescription: str) -> JsonRow:
        """What happened to one prescription: when, who, what, which resource."""
        return {"prescription": prescription, "steps": await desk.journey(prescription)}

    @routes.get("/adapters", tags=["hub"])
    async def adapters() -> JsonRow:
        """Installed adapters and plugins, the FAILED ones with the reason."""
        return {"adapters": rows.adapters(desk.plugins)}

    @routes.get("/audit", tags=["hub"])
    async def trail(limit: Limit = 100, before: Before = 0) -> JsonRow:
        """Who did what, newest first."""
        found = await audit.trail(desk.store, before=before or 2**62, count=limit)
        return {"audit": [rows.audit(number, row) for number, row in found]}


async def _channel(desk: Desk, name: str) -> JsonRow:
    found = (row for row in await desk.listing() if row["name"] == name)
    return next(found, None) or desk.channels[name].describe()


async def _record(desk: Desk, who: Caller, target: str) -> None:
    async def work(tx: Tx) -> None:
        await auditing.recorded(tx, who, "admin", target)

    await desk.store.write(work)
