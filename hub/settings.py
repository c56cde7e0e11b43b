"""Settings: one `hub.toml`, overridden by `HUB_*` in the environment.

    database_url = "sqlite:///hub.db"
    timezone = "Asia/Shanghai"

    [channels.county-hospital]
    adapter = "his-hl7v2"
    listen = "127.0.0.1:2575"
    mapping = "hl7v2"

Every wrong key or value is one sentence with the file, the key, what was expected and what came.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from hub.errors import Misconfigured

DEVELOPMENT_KEY = "sanyi-hub-development-key"
URL_PREFIX = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:\d{1,5})?(/[^\s?#]*)?", re.ASCII)
NAME = r"^[a-z][a-z0-9-]{0,62}$"


class ChannelSettings(BaseModel):
    """What the hub itself reads of `[channels.NAME]`; the other keys belong to the adapter."""

    model_config = ConfigDict(extra="allow", frozen=True)

    adapter: str = Field(description="kind of the adapter, as `hub adapter list` shows it")
    mapping: str = Field("", description="mapping set that understands what comes in")
    key: Literal["", "body"] = Field("", description="`body`: a message's key is its body's hash")
    acknowledge: Literal["stored", "received"] = Field(
        "stored", description="when the sender gets its answer: after storing, or after the inbox commit"
    )
    max_message: int = Field(32 * 1024 * 1024, gt=0, description="bytes; a longer message is refused")
    max_backlog: int = Field(
        200_000, gt=0, description="messages received and not yet mapped; then reading stops"
    )
    max_in_flight: int = Field(256, gt=0, description="messages between receive and acknowledge")
    conversations: tuple[str, ...] = Field((), description="conversation documents this target takes part in")
    attempts: int = Field(12, gt=0, description="sends of one delivery before it becomes a dead letter")
    retry_seconds: float = Field(1.0, gt=0, description="first pause before a retry; it doubles, with jitter")
    retry_seconds_max: float = Field(600.0, gt=0, description="longest pause before a retry")
    enabled: bool = Field(True, description="false: the channel is left out")

    @property
    def adapter_settings(self) -> dict[str, Any]:
        """The keys that belong to the adapter."""
        return dict(self.model_extra or {})


class Settings(BaseModel):
    """All settings of one hub."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("Sanyi Hub", description="what the hub calls itself to its clients")
    database_url: str = Field(
        "sqlite:///hub.db",
        description="`sqlite:///FILE` (relative to the working folder) or `postgresql://...`",
    )
    host: str = Field("127.0.0.1", description="address to answer on; without security a loopback one")
    port: int = Field(
        8080, ge=0, le=65535, description="port of FHIR, admin, health and metrics; 0: a free one"
    )
    base_url: str = Field("", description="our own absolute FHIR base; empty: http://host:port/fhir")
    canonical: str = Field("https://sanyi-hub.org/fhir", description="base of our profiles and code systems")
    timezone: str = Field(
        "Asia/Shanghai", description="IANA name; of times that come without an offset, and of what is shown"
    )
    hub_key: SecretStr = Field(SecretStr(DEVELOPMENT_KEY), description="key of the resource ids")
    mappings: tuple[str, ...] = Field((), description="folders with mapping sets, beside the shipped ones")
    max_body: int = Field(64 * 1024 * 1024, gt=0, description="bytes of one HTTP request")
    access_log: bool = Field(
        False, description="a log line for each HTTP request, without its query; the audit names them anyway"
    )
    subscriptions_allow: tuple[str, ...] = Field(
        ("http://127.0.0.1", "http://localhost", "http://[::1]"),
        description="URL prefixes that Subscriptions may notify; one without a port means every port",
    )
    subscriptions_attempts: int = Field(
        450,
        gt=0,
        description="sends of one notification before it becomes a dead letter; 450 take three days",
    )
    export_folder: str = Field(
        "",
        description="folder of the files of bulk exports, shared by all processes of a hub; "
        "empty: `exports` beside the SQLite file or the settings",
    )
    export_keep_hours: float = Field(24.0, gt=0, description="hours until the files of an export are removed")
    export_jobs: int = Field(2, gt=0, le=16, description="exports that one process runs at a time")
    export_lines: int = Field(50_000, gt=0, description="resources in one file of an export")
    channels: dict[Annotated[str, Field(pattern=NAME)], ChannelSettings] = Field(
        default_factory=dict, description="the channels by name, a table `[channels.NAME]` each"
    )
    file: Path | None = Field(None, exclude=True)
    variables: tuple[str, ...] = Field((), exclude=True)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("expected an IANA time zone such as Asia/Shanghai") from error
        return value

    @field_validator("subscriptions_allow")
    @classmethod
    def _url_prefixes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(URL_PREFIX.fullmatch(one) and _has_port(one) for one in value):
            raise ValueError("expected URL prefixes such as https://his.example.org/fhir")
        return value

    @field_validator("channels")
    @classmethod
    def _own_channels(cls, value: dict[str, ChannelSettings]) -> dict[str, ChannelSettings]:
        if "subscriptions" in value:
            raise ValueError("subscriptions is the name of the hub's own channel; choose another")
        return value

    def origin(self, key: str) -> str:
        """Where a key was set: `hub.toml: port`, or the variable of the environment that overrides it."""
        variable = next((one for one in self.variables if ENVIRONMENT[one] == key), "")
        return variable or f"{self.file or 'settings'}: {key}"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def fhir_base(self) -> str:
        return (self.base_url or f"http://{self.host}:{self.port}/fhir").rstrip("/")

    @property
    def key_bytes(self) -> bytes:
        return self.hub_key.get_secret_value().encode()

    @property
    def key_warning(self) -> str:
        """What to say of the built-in key, which everybody knows; empty once the hub has its own."""
        if self.hub_key.get_secret_value() != DEVELOPMENT_KEY:
            return ""
        where = self.origin("hub_key")
        return f"{where}: the built-in development key, which everybody knows; set your own, or HUB_KEY"

    @property
    def exports_at(self) -> Path:
        """The folder of the files of bulk exports."""
        if self.export_folder:
            return (self.folder / self.export_folder).absolute()
        kind, _, file = self.database_url.partition(":///")
        beside = Path(file.partition("?")[0]).parent if kind.startswith("sqlite") else self.folder
        return (beside / "exports").absolute()

    @property
    def folder(self) -> Path:
        """Where relative paths of the file start."""
        return self.file.parent if self.file else Path.cwd()


ENVIRONMENT = {
    "HUB_DATABASE_URL": "database_url",
    "HUB_HOST": "host",
    "HUB_PORT": "port",
    "HUB_BASE_URL": "base_url",
    "HUB_TIMEZONE": "timezone",
    "HUB_KEY": "hub_key",
}


def load(path: Path | str | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings: `path`, else HUB_CONFIG, else `hub.toml` if it is there, else the defaults.

    Raises Misconfigured with every finding.
    """
    env = os.environ if environment is None else environment
    named = path or env.get("HUB_CONFIG")
    file = Path(named) if named else Path("hub.toml")
    raw: dict[str, Any] = {}
    if file.is_file():
        raw = _read(file)
    elif named:
        raise Misconfigured(f"{file}: expected a settings file there, found none; name another with --config")
    variables = tuple(variable for variable in ENVIRONMENT if env.get(variable))
    raw |= {ENVIRONMENT[variable]: env[variable] for variable in variables}
    return build(raw, file if file.is_file() else None, variables)


def build(raw: dict[str, Any], file: Path | None = None, variables: tuple[str, ...] = ()) -> Settings:
    """Settings from a plain table; raises Misconfigured with file and key of every finding."""
    try:
        return Settings.model_validate(raw | {"file": file, "variables": variables})
    except ValidationError as error:
        told = complaint(str(file or "settings"), error)
        for variable in variables:
            told = told.replace(f"{file or 'settings'}: {ENVIRONMENT[variable]}: ", f"{variable}: ")
        raise Misconfigured(told) from error


def complaint(where: str, error: ValidationError, table: str = "") -> str:
    """One line per finding: `hub.toml: channels.x.key: ..., found ...`; values of secrets stay out."""
    lines = []
    for finding in error.errors(include_url=False):
        key = ".".join([table, *(str(part) for part in finding["loc"])]).strip(".") or "(the whole)"
        hidden = not finding["loc"] or _secret(key) or finding["type"] == "missing"
        found = "" if hidden else f", found {_short(finding.get('input'))}"
        text = finding["msg"].removeprefix("Value error, ")
        if finding["type"] == "extra_forbidden":
            text = "this key is not known; check its spelling"
        lines.append(f"{where}: {key}: {text}{found}")
    return "\n".join(lines)


def _has_port(url: str) -> bool:
    """Whether the port of a URL, where it names one, can be one."""
    try:
        urlsplit(url).port  # noqa: B018
    except ValueError:
        return False
    return True


def _secret(key: str) -> bool:
    return any(word in key.lower() for word in ("key", "secret", "password", "token", "auth"))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{file}: not valid TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{file}: expected UTF-8 text, found other bytes at {error.start}") from error
