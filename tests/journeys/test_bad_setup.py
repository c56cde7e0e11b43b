"""A set-up that cannot work: `hub serve` ends with 2 and one message that names where and what."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Place, end

PLUGIN = """
from hub.adapters import Adapter
from hub.hookspecs import hookimpl

class Fax(Adapter):
    kind = "{kind}"

@hookimpl
def register_adapters():
    return [Fax]
"""

WARD = "[channels.ward]\nadapter = 'his-hl7v2'\nlisten = '127.0.0.1:0'\n"
PLATFORM = (
    "[channels.platform]\nadapter = 'procurement-zhejiang'\nserver_host = 'http://127.0.0.1:1'\n"
    "sign_in_uri = '/a'\nservice_uri = '/b'\naccount = 'x'\nsecret = 'top-secret-1'\n"
    "app_code = 'top-secret-2'\nauth_code = 'top-secret-3'\n"
)
INSURER = "[channels.insurer]\nadapter = 'settlement-nhsa'\nbase_url = 'http://127.0.0.1:1'\n"

WRONG = [
    ("this is not toml", "hub.toml", "TOML"),
    ("name = 'a'\nname = 'b'", "hub.toml", "TOML"),
    ("port = 'x'", "hub.toml: port", "'x'"),
    ("port = 99999", "hub.toml: port", "65535"),
    ("prot = 8080", "hub.toml: prot", "not known"),
    ("timezone = 'Asia/Nowhere'", "hub.toml: timezone", "Asia/Shanghai"),
    ("host = '0.0.0.0'", "hub.toml: host", "loopback"),
    ("host = 'hub.example.org'", "hub.toml: host", "loopback"),
    ("mappings = ['nowhere']", "hub.toml: mappings", "nowhere"),
    ("database_url = 'mysql://x'", "hub.toml: database_url", "sqlite:///"),
    ("database_url = 'sqlite:////nowhere/at/all/hub.db'", "hub.toml: database_url", "/nowhere/at/all/hub.db"),
    ("database_url = 'sqlite:///own'", "hub.toml: database_url", "own"),
    ("database_url = 'sqlite:///hub.toml'", "hub.toml: database_url", "hub.toml"),
    ("channels = 5", "hub.toml: channels", "5"),
    ("[channels.Ward]\nadapter = 'his-hl7v2'", "hub.toml: channels.Ward", ""),
    ("[channels.ward]\nlisten = '127.0.0.1:0'", "hub.toml: channels.ward.adapter", ""),
    ("[channels.ward]\nadapter = 'nobody'", "hub.toml: channels.ward.adapter", "his-hl7v2"),
    (WARD + "lissten = 'x'", "hub.toml: channels.ward.lissten", "not known"),
    (WARD + "acknowledge = 'never'", "hub.toml: channels.ward.acknowledge", "received"),
    (WARD + "attempts = 0", "hub.toml: channels.ward.attempts", "0"),
    (WARD.replace("127.0.0.1:0", "0.0.0.0:0"), "hub.toml: channels.ward.listen", "loopback"),
    (WARD + "mapping = 'hl7v22'", "hub.toml: channels.ward.mapping", "hl7v2, "),
    (
        INSURER + "conversations = ['settle']",
        "hub.toml: channels.insurer.conversations",
        "settlement-nhsa/settle",
    ),
    (INSURER + "conversations = 'settle'", "hub.toml: channels.insurer.conversations", ""),
    (INSURER + "security = 'x-tif'", "hub.toml: channels.insurer", "x_tif_token"),
    (INSURER + "x_tif_token = 'env:NOT_THERE'", "hub.toml: channels.insurer.x_tif_token", "NOT_THERE"),
    (PLATFORM + "chk_stas_hold = 'two'", "hub.toml: channels.platform.chk_stas_hold", "two"),
    (PLATFORM + "poll_interval = 0", "hub.toml: channels.platform.poll_interval", "0"),
]


@pytest.fixture
def bad(place: Place) -> Iterator[Place]:
    """A folder to be set up wrongly; beside the settings lies an empty folder `own`."""
    (place.folder / "own").mkdir()
    yield place


def refused(ended: subprocess.CompletedProcess[str], *named: str) -> None:
    """It ended with 2 and one message that names all this, and no secret."""
    assert ended.returncode == 2, (ended.returncode, ended.stderr)
    assert ended.stderr.startswith("hub: ") and "Traceback" not in ended.stderr, ended.stderr
    assert ended.stderr.count("\n") == 1 and ended.stdout == "", ended.stderr
    for one in named:
        assert one in ended.stderr, ended.stderr
    assert "top-secret" not in ended.stderr


def settings(place: Place, text: str) -> None:
    text = text if "port" in text.split("\n[")[0].split(" ")[0] else f"port = 0\n{text}"
    (place.folder / "hub.toml").write_text(text, "utf-8")


@pytest.mark.parametrize(("text", "where", "what"), WRONG)
def test_a_wrong_setting_is_told_with_file_and_key(bad: Place, text: str, where: str, what: str) -> None:
    settings(bad, text)
    refused(bad.run("serve"), where, what)


@pytest.mark.parametrize("command", ["worker", "channel list", "message list", "map test"])
def test_every_command_tells_it_the_same_way(bad: Place, command: str) -> None:
    settings(bad, "timezone = 'Asia/Nowhere'")
    refused(bad.run(*command.split()), "hub.toml: timezone")


def test_what_the_environment_overrides_is_told_by_its_variable(bad: Place) -> None:
    settings(bad, "timezone = 'Asia/Shanghai'")
    refused(bad.run("serve", HUB_PORT="many"), "HUB_PORT: ", "'many'")
    refused(bad.run("serve", HUB_HOST="0.0.0.0"), "HUB_HOST: ", "loopback")
    refused(bad.run("serve", HUB_DATABASE_URL="sqlite:////nowhere/hub.db"), "HUB_DATABASE_URL: ", "/nowhere")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused(bad.run("serve", HUB_PORT=str(taken.getsockname()[1])), "HUB_PORT: 127.0.0.1:")


def test_a_settings_file_of_other_bytes(bad: Place) -> None:
    (bad.folder / "hub.toml").write_bytes("name = '三医'".encode("gb18030"))
    refused(bad.run("serve"), "hub.toml", "UTF-8")


def test_several_mistakes_are_told_together(bad: Place) -> None:
    settings(bad, "prot = 1\ntimezone = 'x'\n[channels.ward]\n")
    ended = bad.run("serve")
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    for key in ("prot", "timezone", "channels.ward.adapter"):
        assert f"hub.toml: {key}" in ended.stderr


def test_a_channel_that_is_left_out_need_not_fit(bad: Place) -> None:
    settings(bad, WARD + "mapping = 'hl7v22'\nenabled = false\n")
    ended = bad.run("doctor", "--json")
    assert all(one["ok"] for one in json.loads(ended.stdout)), ended.stdout


def test_a_broken_document_names_its_file(bad: Place) -> None:
    folder = bad.folder / "own" / "clinic"
    folder.mkdir()
    file = folder / "visit.conversation.yaml"
    settings(bad, "mappings = ['own']")
    file.write_bytes("conversation: 三医".encode("gb18030"))
    refused(bad.run("serve"), "own/clinic/visit.conversation.yaml")
    file.write_text("conversation: visit\ntrigger: {resource: Claim}\nsteps: [{step: a, sned: b}]\n", "utf-8")
    refused(bad.run("serve"), "own/clinic/visit.conversation.yaml", "sned")


def test_a_conversation_without_its_mappings_is_found_by_the_doctor(bad: Place) -> None:
    folder = bad.folder / "own" / "clinic"
    folder.mkdir()
    text = "conversation: visit\ntrigger: {resource: Claim}\nsteps: [{step: a, send: clinic/nothing}]\n"
    (folder / "visit.conversation.yaml").write_text(text, "utf-8")
    settings(bad, "mappings = ['own']")
    ended = bad.run("doctor", "--json")
    wrong = {one["check"]: one["detail"] for one in json.loads(ended.stdout) if not one["ok"]}
    assert ended.returncode == 2 and "clinic/nothing" in wrong["mappings"]


def install(place: Place, name: str, code: str) -> None:
    """A distribution as pip leaves it: the module and its `.dist-info`, found by PYTHONPATH."""
    folder = place.folder / "installed"
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n", "utf-8")
    module = name.replace("-", "_")
    (info / "entry_points.txt").write_text(f"[sanyi_hub]\nfax = {module}\n", "utf-8")
    (folder / f"{module}.py").write_text(code, "utf-8")
    place.environment["PYTHONPATH"] = str(folder)


FAX = PLUGIN.format(kind="fax")
BROKEN = {
    "it-raises": ("raise RuntimeError('no fax line')", "RuntimeError: no fax line"),
    "it-imports": ("import a_library_nobody_has", "a_library_nobody_has"),
    "it-quits": ("raise SystemExit(3)", "SystemExit"),
    "it-is-no-python": ("def register_adapters(:", "SyntaxError"),
    "it-gives-no-adapter": (FAX.replace("return [Fax]", "return [1]"), "expected a subclass"),
    "it-misspells": (FAX.replace("register_adapters", "register_adaptors"), "unknown hook"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_stops_nobody_but_those_who_name_it(bad: Place, name: str) -> None:
    code, why = BROKEN[name]
    install(bad, f"acme-{name}", code)
    listed = bad.run("adapter", "list", "--json")
    rows = json.loads(listed.stdout)
    failed = [row for row in rows if row["state"] == "FAILED"]
    assert listed.returncode == 1 and "Traceback" not in listed.stderr
    assert [row["plugin"] for row in failed] == [f"acme-{name}:fax"] and why in failed[0]["reason"]
    assert {"his-hl7v2", "settlement-nhsa"} <= {row["adapter"] for row in rows}

    settings(bad, "[channels.fax]\nadapter = 'fax'\n")
    refused(bad.run("serve"), "hub.toml: channels.fax.adapter", f"acme-{name}:fax FAILED", why)


def test_a_hub_starts_beside_a_broken_plugin_and_says_so(bad: Place) -> None:
    install(bad, "acme-fax", "raise RuntimeError('no fax line')")
    process = bad.serve()
    assert bad.json("channel", "list")[0]["state"] == "running"
    assert end(process) == 0
    assert "plugin acme-fax:fax FAILED: RuntimeError: no fax line" in bad.log()


@pytest.mark.parametrize(("kinds", "wanted"), [(("fax", "fax"), "fax"), (("his-hl7v2",), "his-hl7v2")])
def test_two_plugins_of_one_kind_are_both_named(bad: Place, kinds: tuple[str, ...], wanted: str) -> None:
    for number, kind in enumerate(kinds):
        install(bad, f"acme-{number}", PLUGIN.format(kind=kind))
    rivals = [f"acme-{number}:fax" for number in range(len(kinds))]
    rivals += ["sanyi-hub-his-hl7v2:his-hl7v2"] if wanted == "his-hl7v2" else []
    settings(bad, f"[channels.ward]\nadapter = '{wanted}'\n")
    refused(bad.run("serve"), "hub.toml: channels.ward.adapter", "uninstall one of them", *rivals)
    listed = json.loads(bad.run("adapter", "list", "--json").stdout)
    assert {row["plugin"] for row in listed if row["state"] == "FAILED"} == set(rivals)
    ended = bad.run("doctor", "--json")
    wrong = {one["check"] for one in json.loads(ended.stdout) if not one["ok"]}
    assert ended.returncode == 2 and wrong == {"channels", *(f"plugin {one}" for one in rivals)}


def test_settings_beside_the_working_folder(bad: Place, tmp_path: Path) -> None:
    """A relative folder in the file starts at the file, wherever the command runs."""
    (bad.folder / "far").mkdir()
    (bad.folder / "far" / "hub.toml").write_text("port = 0\nmappings = ['own']\n", "utf-8")
    refused(bad.run("serve", "--config", "far/hub.toml"), "far/hub.toml: mappings", "far/own")
    (bad.folder / "far" / "own").mkdir()
    assert bad.run("doctor", "--config", "far/hub.toml").returncode == 0
