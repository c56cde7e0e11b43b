"""Settings: every wrong key is one sentence with file, key, what was expected and what came."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub import channels, plugins, settings
from hub.errors import Misconfigured

CHANNEL = """
[channels.county-hospital]
adapter = "his-hl7v2"
listen = "127.0.0.1:2575"
mapping = "hl7v2"
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "hub.toml"
    file.write_text(text, "utf-8")
    return file


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = settings.load(environment={})
    assert (found.database_url, found.host, found.port) == ("sqlite:///hub.db", "127.0.0.1", 8080)
    assert found.fhir_base == "http://127.0.0.1:8080/fhir"
    assert str(found.zone) == "Asia/Shanghai" and found.channels == {}


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, 'port = 9000\ndatabase_url = "sqlite:///a.db"\n')
    found = settings.load(file, {"HUB_PORT": "9001", "HUB_DATABASE_URL": "postgresql://h/x"})
    assert (found.port, found.database_url, found.folder) == (9001, "postgresql://h/x", tmp_path)


def test_hub_config_names_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "port = 9000\n")
    assert settings.load(environment={"HUB_CONFIG": str(file)}).port == 9000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", ["prot", "not known", "found 1"]),
        ("port = 'x'", ["port", "found 'x'"]),
        ("timezone = 'Asia/Shanghia'", ["timezone", "IANA", "Asia/Shanghia"]),
        ("[channels.x]", ["channels.x.adapter", "required"]),
        (
            "[channels.x]\nadapter='a'\nacknowledge='later'",
            ["channels.x.acknowledge", "'stored' or 'received'"],
        ),
        ("[channels.'Röntgen']\nadapter='a'", ["Röntgen"]),
        ("port = ", ["not valid TOML"]),
    ],
)
def test_a_wrong_setting_names_file_and_key(tmp_path: Path, text: str, words: list[str]) -> None:
    file = write(tmp_path, text)
    with pytest.raises(Misconfigured) as error:
        settings.load(file, {})
    assert str(file) in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"nowhere\.toml.*expected a settings file"):
        settings.load(tmp_path / "nowhere.toml", {})


def test_secrets_do_not_show(tmp_path: Path) -> None:
    found = settings.load(write(tmp_path, "hub_key = 'very-secret'\n"), {})
    assert "very-secret" not in repr(found) and found.key_bytes == b"very-secret"
    with pytest.raises(Misconfigured) as error:
        settings.load(write(tmp_path, "hub_key = 12345678\n"), {})
    assert "12345678" not in str(error.value)


def test_a_channel_gets_its_adapter_and_its_settings(tmp_path: Path) -> None:
    found = settings.load(write(tmp_path, CHANNEL + 'key = "body"\nmax_message = 1000\n'), {})
    channel = channels.build(found, plugins.load())["county-hospital"]
    assert channel.adapter.kind == "his-hl7v2"
    assert channel.values["key"] == "body" and channel.values["max_message"] == 1000
    assert channel.describe()["state"] == "stopped"


def test_a_disabled_channel_is_left_out(tmp_path: Path) -> None:
    found = settings.load(write(tmp_path, CHANNEL + "enabled = false\n"), {})
    assert channels.build(found, plugins.load()) == {}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("listne = 'x'", ["channels.county-hospital.listne", "not known"]),
        ("listen = '0.0.0.0:2575'", ["channels.county-hospital.listen", "loopback"]),
        ("adapter = 'his-hl7v3'", ["channels.county-hospital.adapter", "his-hl7v3", "installed:"]),
    ],
)
def test_a_wrong_adapter_setting_names_the_channel(tmp_path: Path, line: str, words: list[str]) -> None:
    key = line.split(" ")[0]
    text = "\n".join(one for one in CHANNEL.splitlines() if not one.startswith(f"{key} "))
    found = settings.load(write(tmp_path, text + "\n" + line + "\n"), {})
    with pytest.raises(Misconfigured) as error:
        channels.build(found, plugins.load())
    for word in (str(tmp_path / "hub.toml"), *words):
        assert word in str(error.value)


def test_the_example_file_loads() -> None:
    example = Path(__file__).parents[3] / "hub.example.toml"
    found = settings.load(example, {})
    assert list(channels.build(found, plugins.load())) == ["county-hospital"]
