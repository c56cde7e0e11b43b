"""What differs between provinces and institutions; no line of code holds a regional constant.

LOCAL in a description: no public source states it, or platforms differ; read the platform's interface
document and try it in its test environment before the first real order.
"""

from __future__ import annotations

import os
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from hub.adapters import AdapterSettings


def _from_environment(value: object) -> object:
    """`env:NAME` stands for the content of that environment variable."""
    if not isinstance(value, str) or not value.startswith("env:"):
        return value
    name = value.removeprefix("env:")
    found = os.environ.get(name)
    if not found:
        raise ValueError(f"expected the environment variable {name} to hold it, found none")
    return found


Secret = Annotated[SecretStr, BeforeValidator(_from_environment)]


class ZhejiangSettings(AdapterSettings):
    """One institution's account at one procurement platform."""

    key: str = Field("", description="the hub's own `key` setting; shipments are keyed by their content")
    max_message: int = Field(32 * 1024 * 1024, gt=0, description="longest answer that is read, in bytes")

    server_host: str = Field(description="http(s) address of the platform, up to where the two paths begin")
    sign_in_uri: str = Field(
        description="LOCAL: path of the token request (accessTokenUri); no public source names one"
    )
    service_uri: str = Field(description="LOCAL: path of every transaction; no public source names one")
    account: str = Field(min_length=1, description="x-ca-key: the account at the platform")
    secret: Secret = Field(description="secret of the account, which signs every request; write env:NAME")
    app_code: Secret = Field(description="appCode of the token request; write env:NAME")
    auth_code: Secret = Field(description="authCode of the token request; write env:NAME")
    session_life: float = Field(1800.0, gt=0, description="LOCAL: seconds a token lives; no answer says so")
    session_refused: tuple[str, ...] = Field(
        (), description="LOCAL: infcodes that mean the token is no longer valid, beside HTTP status 401"
    )
    unknown_codes: tuple[str, ...] = Field(
        ("-1",), description="LOCAL: infcodes after which the outcome is unknown (-1: system error)"
    )

    medins_code: str = Field("", description="institution code in the messages; empty: the account")
    medins_name: str = Field("", description="the institution's name")
    addr_id: str = Field("", description="addrId of the storehouse to deliver to, as ZJ9604 lists it")
    contact_name: str = Field("", description="conerName: who receives the goods")
    contact_phone: str = Field("", description="conerTel: the receiver's telephone")
    invoice_title: str = Field("", description="invottl: title on the invoice; empty: medins_name")
    chk_stas_hold: int = Field(
        2, description="LOCAL: chkStas of ZJ9653 that keeps a plan unsent; if wrong, plans leave early"
    )
    chk_stas_send: int = Field(4, description="LOCAL: chkStas of ZJ9656 that sends a plan")

    timezone: str = Field("Asia/Shanghai", description="time zone of the platform's dates")
    page_size: int = Field(100, gt=0, description="LOCAL: rows asked for at a time")
    poll_interval: float = Field(60.0, gt=0, description="seconds between two looks for changed shipments")
    poll_overlap: float = Field(
        600.0, ge=0, description="seconds looked at again each time, for late rows and clocks that differ"
    )
    poll_window: float = Field(7 * 86400.0, gt=0, description="LOCAL: longest span of a question, in seconds")
    poll_since: float = Field(30 * 86400.0, ge=0, description="seconds to look back when a channel is new")
    timeout: float = Field(30.0, gt=0, description="seconds to wait for an answer; after it nobody knows")
    connect_timeout: float = Field(5.0, gt=0, description="seconds to connect; after it nothing was sent")
    effect_horizon: float = Field(
        600.0, ge=0, description="seconds after which an unanswered request without a trace was not done"
    )

    @field_validator("server_host")
    @classmethod
    def _http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("expected an address that begins with http:// or https://")
        return value.rstrip("/")

    @field_validator("sign_in_uri", "service_uri")
    @classmethod
    def _path(cls, value: str) -> str:
        if not value.startswith("/"):
            raise ValueError("expected a path that begins with /")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("expected an IANA time zone such as Asia/Shanghai") from error
        return value

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values: Any) -> Any:
        """What is left empty follows from what is given, so that mappings find every value in place."""
        if not isinstance(values, dict):
            return values
        filled = dict(values)
        filled["medins_code"] = filled.get("medins_code") or filled.get("account", "")
        filled["invoice_title"] = filled.get("invoice_title") or filled.get("medins_name", "")
        return filled
