"""A fallback is written only where there is none: what is known to be stored is not even checked again."""

from __future__ import annotations

import pytest

from hub.errors import InvalidResource
from hub.store import open_store
from hub.store.resources import draft, put

FULL = b'{"resourceType":"Patient","id":"1","gender":"female","birthDate":"1950-01-01"}'
SHORT = b'{"resourceType":"Patient","id":"1","gender":"female"}'
WRONG = b'{"resourceType":"Patient","id":"1","gender":"unheard of"}'


async def test_a_fallback_is_checked_only_while_there_is_none(database_url: str) -> None:
    store = await open_store(database_url)
    try:
        with pytest.raises(InvalidResource):
            draft(store, WRONG, owner="test", fallback=True)
        assert draft(store, SHORT, owner="test", fallback=True).rows is not None
        full = draft(store, FULL, owner="test")
        await store.write(lambda tx: put(tx, full))
        assert draft(store, SHORT, owner="test", fallback=True).rows is None
        assert draft(store, SHORT, owner="test").rows is not None
    finally:
        await store.close()
