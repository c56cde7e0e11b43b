"""A resource's JSON taken apart once: what identifies it, its `meta`, and everything else verbatim.

The raw text of every member but `resourceType`, `id` and `meta` goes into the stored body as it came, but for
the white space between its parts.
"""

from __future__ import annotations

import hashlib

import msgspec

from hub.clock import instant
from hub.errors import InvalidResource

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_string = msgspec.json.Decoder(str)
_plain = msgspec.json.Decoder(float_hook=lambda literal: "\0" + literal).decode
_sorted = msgspec.json.Encoder(order="sorted").encode
_OURS = ("versionId", "lastUpdated")


class Parts(msgspec.Struct, frozen=True):
    """`meta` and `rest` are raw members, comma separated, without braces; `type`, `id` may be empty."""

    type: str
    id: str
    meta: bytes
    rest: bytes

    def content(self) -> bytes:
        """16 bytes that stand for everything but the id, `meta.versionId` and `meta.lastUpdated`.

        Whatever the order of members and the way a string is escaped; numbers count by their literals.
        """
        text = b'{"meta":{%b},"rest":{%b}}' % (self.meta, self.rest)
        try:
            text = _sorted(_plain(text))
        except (msgspec.DecodeError, RecursionError):
            pass  # whoever reads it next says what is wrong with it
        return hashlib.blake2b(text, digest_size=16).digest()

    def body(self, type_name: str, id: str, version: int, updated: int) -> bytes:
        """The resource as it is stored: `resourceType`, `id` and `meta` first."""
        head = (
            f'{{"resourceType":"{type_name}","id":"{id}",'
            f'"meta":{{"versionId":"{version}","lastUpdated":"{instant(updated)}"'
        ).encode()
        meta = b"," + self.meta if self.meta else b""
        rest = b"," + self.rest if self.rest else b""
        return b"".join((head, meta, b"}", rest, b"}"))


def split(body: bytes) -> Parts:
    """Take a resource apart. Raises InvalidResource when it is not a JSON object."""
    try:
        members = _object.decode(msgspec.json.format(body, indent=-1))
        type_name = _text(members.pop("resourceType", None))
        id = _text(members.pop("id", None))
        meta = members.pop("meta", None)
        own = _object.decode(meta) if meta is not None else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidResource(f"This is not a resource: {error}") from error
    for name in _OURS:
        own.pop(name, None)
    return Parts(type_name, id, _join(own), _join(members))


def _text(raw: msgspec.Raw | None) -> str:
    return _string.decode(raw) if raw is not None else ""


def _join(members: dict[str, msgspec.Raw]) -> bytes:
    return b",".join(
        [
            (b'"%b":%b' % (name.encode(), value))
            if name.isidentifier()
            else msgspec.json.encode(name) + b":" + bytes(value)
            for name, value in members.items()
        ]
    )
