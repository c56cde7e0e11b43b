"""What differs between regions and institutions; no line of code holds a regional constant.

LOCAL in a description: regions answer differently, read the region's interface document.
UNSURE: no official source was at hand; learn it in the region's test environment.
"""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from hub.adapters import AdapterSettings


def _from_environment(value: object) -> object:
    """`env:NAME` stands for the content of that environment variable."""
    if not isinstance(value, str) or not value.startswith("env:"):
        return value
    name = value.removeprefix("env:")
    if not os.environ.get(name):
        raise ValueError(f"expected the environment variable {name} to hold it; it is not set")
    return os.environ[name]


Secret = Annotated[SecretStr, BeforeValidator(_from_environment)]
Division = Annotated[str, Field(pattern=r"^(\d{6})?$")]


class NhsaSettings(AdapterSettings):
    """One insurer's endpoint, as one channel sees it. The institution comes from the claim."""

    key: str = Field("", description="the hub's own `key` setting; replies are keyed by msgid")
    max_message: int = Field(32 * 1024 * 1024, description="longest reply that is read, in bytes")

    # where and how
    base_url: str = Field(description="http(s) address of the settlement interface, up to where paths begin")
    routing: Literal["one endpoint", "path per transaction"] = Field(
        "one endpoint", description="LOCAL: every transaction to one address, or each to its own path"
    )
    path: str = Field("", description="with one endpoint: the path after base_url, if any")
    paths: dict[str, str] = Field(
        default_factory=dict, description="with path per transaction: path by infno, `2207A = '/fsi/api/...'`"
    )
    timeout: float = Field(30.0, gt=0, description="seconds to wait for an answer; after it nobody knows")
    connect_timeout: float = Field(
        5.0, gt=0, description="seconds to reach the address; after it nothing was sent"
    )
    charset: Literal["utf-8", "gb18030"] = Field(
        "utf-8", description="LOCAL: character set of what we send; answers are recognised by themselves"
    )

    # transport security
    security: Literal["none", "x-tif", "x-ca"] = Field(
        "none",
        description="LOCAL: x-tif = SHA-256 over time, token, nonce; x-ca = HMAC-SM3 over time and body",
    )
    x_tif_paasid: str = Field("", description="x-tif: the identity the gateway gave us")
    x_tif_token: Secret = Field(SecretStr(""), description="x-tif: the token; write env:NAME")
    x_ca_key: str = Field("", description="x-ca: the account the gateway gave us")
    x_ca_secret: Secret = Field(SecretStr(""), description="x-ca: the secret; write env:NAME")

    # the envelope
    mdtrtarea_admvs: Division = Field(
        "", description="division of the place of care; empty: the six digits in the institution's code"
    )
    recer_sys_code: str = Field("FSI_LOCAL", max_length=10, description="LOCAL: receiver system code")
    infver: str = Field("V1.0", max_length=6, description="version of the interface")
    signtype: str = Field("", max_length=10, description="LOCAL: signature type named in the envelope")
    dev_no: str = Field("", max_length=100, description="LOCAL: device number")
    opter_type: Literal["1", "2", "3"] = Field("1", description="1 staff, 2 kiosk, 3 mobile")
    opter: str = Field("HUB", max_length=20, description="operator number known to the insurer")
    opter_name: str = Field("HUB", max_length=50, description="the operator's name")
    sign_in_mac: str = Field("00-00-00-00-00-00", max_length=20, description="MAC address told at sign-in")
    sign_in_ip: str = Field("127.0.0.1", max_length=20, description="IP address told at sign-in")

    # what a claim may leave open
    fixmedins_code: str = Field(
        "", max_length=12, description="institution, where the claim's provider carries no institution code"
    )
    fixmedins_name: str = Field(
        "", max_length=200, description="its name, where the claim's provider has none"
    )
    med_type: str = Field(
        "11", max_length=6, description="LOCAL: kind of care where the claim has no subType"
    )
    insutype: str = Field(
        "", max_length=6, description="insurance to use; empty: the coverage's, else the first"
    )
    mdtrt_cert_type: Literal["01", "02", "03"] = Field(
        "02", description="proof of identity: 02 is the id card"
    )
    psn_setlway: str = Field("01", max_length=6, description="way of settling: 01 by item")
    acct_used_flag: Literal["0", "1"] = Field("0", description="1: pay from the personal account first")
    doctor_code: str = Field("", max_length=30, description="attending doctor where the claim names none")
    doctor_name: str = Field("", max_length=50, description="the doctor's name where the claim names none")
    department_code: str = Field("", max_length=30, description="department where the encounter names none")
    department_name: str = Field("", max_length=100, description="its name where the encounter names none")
    caty: str = Field("", max_length=6, description="specialty; empty: the department's code")

    # transactions and how they are answered
    presettle_infno: str = Field(
        "2206A", pattern=r"^2206A?$", description="LOCAL: number of the pre-settlement"
    )
    settle_infno: str = Field("2207A", pattern=r"^2207A?$", description="LOCAL: number of the settlement")
    oinfno: Literal["as sent", "first 4"] = Field(
        "as sent", description="UNSURE: how 2601 names the original transaction (declared four long)"
    )
    system_error: Literal["refused", "unknown"] = Field(
        "refused", description="LOCAL: infcode -1 is a refusal, or leaves open whether it took effect"
    )
    fund_sum_includes_account: bool = Field(
        False, description="LOCAL: fund_pay_sumamt includes the personal account (invariants I2 and I3)"
    )
    settle_horizon: float = Field(
        1800.0,
        ge=0,
        description="seconds after which an unanswered settlement that is not found counts as not made",
    )
    ask_interval: float = Field(
        30.0, gt=0, description="seconds between two questions about an unanswered effect"
    )
    optional_fields: tuple[str, ...] = Field(
        (), description="LOCAL: fields our table requires and the region does not, as `2204 prd_days`"
    )

    @field_validator("base_url")
    @classmethod
    def _http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("expected an address that begins with http:// or https://")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _complete(self) -> NhsaSettings:
        if self.security == "x-tif" and not (self.x_tif_paasid and self.x_tif_token.get_secret_value()):
            raise ValueError("security x-tif needs x_tif_paasid and x_tif_token")
        if self.security == "x-ca" and not (self.x_ca_key and self.x_ca_secret.get_secret_value()):
            raise ValueError("security x-ca needs x_ca_key and x_ca_secret")
        return self
