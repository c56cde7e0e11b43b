"""What `[channels.NAME]` may say for `adapter = "his-hl7v2"`."""

from __future__ import annotations

import ipaddress
from typing import Literal

from pydantic import Field, field_validator

from hub.adapters import AdapterSettings


class HisHl7v2Settings(AdapterSettings):
    """An MLLP listener.

    `key` and `max_message` are keys of the channel that the hub reads too; the adapter gets the same values.
    """

    listen: str = Field(
        "127.0.0.1:2575", description="host:port to listen on; loopback only; port 0 takes a free one"
    )
    key: Literal["", "body"] = Field(
        "", description="what makes a message the same one: MSH-3/4/7/10 (empty), or its whole body (`body`)"
    )
    max_message: int = Field(
        32 * 1024 * 1024, gt=0, description="bytes; of a longer message the head is kept"
    )
    idle_timeout: float = Field(
        3600.0, ge=0, description="seconds without a byte after which a connection is closed; 0: never"
    )
    max_connections: int = Field(
        512, gt=0, description="connections at a time; further ones are closed at once"
    )
    max_waiting: int = Field(
        256, gt=0, description="messages read and not yet taken by the hub; then reading stops"
    )

    @field_validator("listen")
    @classmethod
    def _loopback(cls, value: str) -> str:
        host, port = address(value)
        if not (host == "localhost" or _is_loopback(host)):
            raise ValueError(
                "expected a loopback host such as 127.0.0.1: MLLP has no authentication, so without security "
                "settings other machines are not listened to"
            )
        if not 0 <= port <= 65535:
            raise ValueError("expected a port from 0 to 65535")
        return value


def address(text: str) -> tuple[str, int]:
    """`host:port` as a pair; `[::1]:2575` for IPv6. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise ValueError("expected host:port, such as 127.0.0.1:2575")
    return host.strip("[]"), int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
