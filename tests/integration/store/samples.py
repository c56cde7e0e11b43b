"""Small resources for store tests; the persons are invented."""

from __future__ import annotations

import json
from typing import Any

from hub.store import Reader
from hub.store.resources import Draft, draft

IDENTITY = "urn:oid:2.16.156.10011.1.3"


def patient(
    reader: Reader, id: str = "p1", *, owner: str = "county-hospital", at: int = 0, **members: Any
) -> Draft:
    """A Patient draft; `at` is the event time."""
    body = {"resourceType": "Patient", "id": id, **members}
    return draft(reader, json.dumps(body, ensure_ascii=False).encode(), owner=owner, event_time=at)


def any_draft(reader: Reader, body: dict[str, Any], *, owner: str = "county-hospital") -> Draft:
    """A draft of any resource."""
    return draft(reader, json.dumps(body, ensure_ascii=False).encode(), owner=owner)


def identifier(value: str) -> list[dict[str, str]]:
    """An identity card number."""
    return [{"system": IDENTITY, "value": value}]
