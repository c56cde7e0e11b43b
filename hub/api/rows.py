"""Rows of the admin listings: plain JSON of messages, deliveries, conversations and adapters."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from hub import clock
from hub.audit import Audit
from hub.errors import Issue
from hub.plugins import Plugins
from hub.store.inbox import Kept
from hub.store.outbox import Row
from hub.store.subscriptions import Row as Told
from hub.store.talks import Talk

JsonRow = dict[str, Any]


def issue(found: Issue) -> JsonRow:
    """One finding."""
    return {
        "severity": found.severity,
        "code": found.code,
        "diagnostics": found.diagnostics,
        "expression": found.expression,
    }


def message(kept: Kept) -> JsonRow:
    """A message without its body."""
    return {
        "id": kept.seq,
        "channel": kept.channel,
        "kind": kept.kind,
        "state": kept.state,
        "received": clock.instant(kept.received),
        "key": kept.key,
        "size": kept.size,
        "first": kept.first or None,
        "in_reply_to": kept.in_reply_to or None,
        "content_type": kept.content_type,
        "charset": kept.charset,
        "issues": [issue(one) for one in kept.issues],
    }


def message_with_body(kept: Kept) -> JsonRow:
    """A message with its body: `body` as text where it is text, else `body_base64`."""
    return {**message(kept), **_content(kept.body, kept.charset)}


def delivery(row: Row) -> JsonRow:
    """A delivery without its bytes."""
    return {
        "id": row.id,
        "channel": row.channel,
        "kind": row.kind,
        "step": row.step,
        "state": row.state,
        "attempts": row.attempts,
        "effect": row.effect,
        "unanswered": row.unanswered,
        "order": row.ordering,
        "business_id": row.business_id,
        "conversation": row.conversation or None,
        "reply": row.reply or None,
        "opened": clock.instant(row.opened),
        "due": clock.instant(row.due) if row.open else None,
        "error": row.error,
    }


def delivery_with_body(row: Row) -> JsonRow:
    """A delivery with what was, or will be, sent."""
    return {**delivery(row), "document": row.document, **_content(row.body, "utf-8")}


def conversation(talk: Talk) -> JsonRow:
    """A conversation: where it is; of its facts only the names."""
    return {
        "id": talk.id,
        "document": talk.document,
        "key": talk.key,
        "channel": talk.channel,
        "focus": talk.focus,
        "state": talk.state,
        "step": talk.place.get("step", ""),
        "reason": talk.reason,
        "facts": sorted(talk.facts),
        "opened": clock.instant(talk.opened),
        "changed": clock.instant(talk.changed),
    }


def subscription(row: Told, waiting: dict[str, int]) -> JsonRow:
    """A Subscription that is told of changes; of its criteria, which may name a person, only the type."""
    return {
        "id": row.id,
        "type": row.criteria.lstrip("/").partition("?")[0],
        "status": "error" if row.failed else "active",
        "since": clock.instant(row.since),
        "ends": clock.instant(row.ends) if row.ends else None,
        "delivered": row.delivered,
        "waiting": sum(waiting.values()),
        "dead_letters": waiting.get("dead", 0),
        "error": row.error,
    }


def adapters(plugins: Plugins) -> list[JsonRow]:
    """One row per adapter, and one for every plugin that has none, or that FAILED and why."""
    rows: list[JsonRow] = []
    for entry in plugins.loaded:
        for kind in entry.adapters if not entry.failed else ():
            adapter = plugins.adapters[kind]
            rows.append(
                {
                    "adapter": kind,
                    "plugin": entry.name,
                    "version": entry.version,
                    "state": "loaded",
                    "reason": "",
                    "simulator": bool(adapter.simulator),
                    "capabilities": msgspec.to_builtins(adapter.capabilities),
                }
            )
        if entry.failed or not entry.adapters:
            state = "FAILED" if entry.failed else "loaded"
            rows.append(
                {
                    "adapter": "",
                    "plugin": entry.name,
                    "version": entry.version,
                    "state": state,
                    "reason": entry.failed,
                    "simulator": False,
                    "capabilities": {},
                }
            )
    return rows


def audit(number: int, row: Audit) -> JsonRow:
    """Who did what, and how it ended."""
    return {"id": number, **msgspec.structs.asdict(row), "at": clock.instant(row.at)}


def _content(body: bytes, charset: str) -> JsonRow:
    for name in dict.fromkeys((charset, "utf-8", "gb18030")):
        try:
            text = body.decode(name) if name else None
        except (UnicodeDecodeError, LookupError):
            continue
        if text is not None and "\x00" not in text:
            return {"body": text}
    return {"body_base64": base64.b64encode(body).decode()}
