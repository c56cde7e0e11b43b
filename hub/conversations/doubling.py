"""What a person may have done anew: nothing whose effect could double."""

from __future__ import annotations

from hub.conversations.document import Step
from hub.errors import Conflict
from hub.store.outbox import Row
from hub.store.talks import Talk


def check_without_effect(row: Row | None, talk: Talk, step: Step, *, sure: bool) -> None:
    """Raise Conflict unless doing a step anew cannot double its effect."""
    if row is None or not row.effect:
        return
    if row.state == "delivered":
        raise Conflict(
            f"{row.step} of conversation {talk.id} took effect; when its mapping is mended, "
            f"replay its answer: message {row.reply}"
        )
    harmless = step.idempotent or (step.unknown is not None and step.unknown.mode == "resend")
    if row.unanswered and not (sure or harmless):
        raise Conflict(
            f"nobody knows whether {row.step} of conversation {talk.id} took effect (delivery {row.id}, "
            f"{row.kind} {row.business_id}): find out at {talk.channel}; only if it did not, retry it "
            "with --sure"
        )
