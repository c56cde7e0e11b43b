"""What writers lock so that conditional writes see each other: names, identifiers, whole conditions."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from hub import r4
from hub.store.backend import Reader
from hub.store.search.query import Query
from hub.store.search.values import parts_of_token


class _Identified(msgspec.Struct):
    identifier: Any = None


_identified = msgspec.json.Decoder(_Identified)


def identifier_keys(body: bytes) -> set[int]:
    """The token keys of every identifier of a resource, with and without its system."""
    found = _identified.decode(body).identifier
    keys: set[int] = set()
    for one in found if isinstance(found, list) else [found]:
        if isinstance(one, dict) and isinstance(one.get("value"), str):
            keys.add(r4.hash_token(one.get("system") or "", one["value"]))
            keys.add(r4.hash_token(None, one["value"]))
    return keys


def lock_keys(query: Query, reader: Reader) -> set[int]:
    """What a conditional write locks: the whole condition, and every identifier in it."""
    text = query.type + "?" + "&".join(sorted(f"{name}={value}" for name, value in query.used))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    keys = {int.from_bytes(digest, "big", signed=True)}
    for one in query.asked:
        if one.parameter.code == "identifier" and not one.chain and not one.modifier:
            for value in one.values:
                system, code = parts_of_token(value)
                if code is not None:
                    keys.add(r4.hash_token(system, code))
    return keys
