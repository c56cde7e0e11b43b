"""What docs/how-to/connect-procurement.md tells an integrator holds."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from hub import r4
from hub.conversations import load
from hub.settings import ChannelSettings
from hub_procurement_zhejiang import ProcurementAdapter, ZhejiangSettings

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "how-to" / "connect-procurement.md").read_text("utf-8")


def example(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert found
    return found[1]


def test_the_channel_of_the_guide(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET", "APP_CODE", "AUTH_CODE"):
        monkeypatch.setenv(f"PROCUREMENT_{name}", "example")
    table = tomllib.loads(example("toml"))["channels"]["procurement"]
    channel = ChannelSettings.model_validate(table)
    assert channel.adapter == ProcurementAdapter.kind
    settings = ZhejiangSettings.model_validate(channel.adapter_settings)
    assert (settings.medins_code, settings.invoice_title) == (settings.account, settings.medins_name)
    assert set(channel.conversations) <= set(load([ROOT / "mappings"]))


def test_the_receipt_of_the_guide_starts_its_conversation() -> None:
    body = example("json").encode()
    r4.decode(body)
    document = load([ROOT / "mappings"])["procurement-zhejiang/receive-goods"]
    assert document.when is not None and document.resource == "Task"
    assert document.when.truth(json.loads(body), {})


def test_every_setting_of_the_guide_is_there() -> None:
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", GUIDE))
    assert named and named <= set(ZhejiangSettings.model_fields)
