"""The commands: what they print and how they end (0 good, 1 bad, 2 usage or set-up, 3 not reachable)."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.integration.cli.conftest import Place, end

MESSAGE = (
    "MSH|^~\\&|HIS|H1|HUB|HUB|20260201090000||ADT^A04^ADT_A01|1|P|2.4\r"
    "EVN|A04|20260201090000\rPID|1||P1^^^H1^PI\r"
)


@pytest.fixture
def place(place: Place) -> Place:
    """Its commands run in this process; in one of their own: `test_a_command_is_a_process`."""
    place.within = True
    return place


def hl7(port: int, message: str = MESSAGE) -> str:
    """Send one message over MLLP; its acknowledgement."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(b"\x0b" + message.encode() + b"\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            answer += connection.recv(65536)
    return answer.decode()


def test_help_and_usage(place: Place) -> None:
    assert place.run("--help").returncode == 0
    for line in ("nonsense", "message show x", "channel pause", "message list --limit 0", "--nonsense"):
        ended = place.run(*line.split())
        assert ended.returncode == 2, line
        assert ended.stderr and "Traceback" not in ended.stderr


def test_a_command_is_a_process(place: Place) -> None:
    place.within = False
    assert place.run("--help").returncode == 0
    rows = place.json("channel", "list")
    assert [(row["name"], row["state"]) for row in rows] == [("ward", "stopped")]
    process = place.serve()
    assert place.json("channel", "list")[0]["state"] == "running"
    ended = place.run("message", "show", "999")
    assert ended.returncode == 1 and "999" in ended.stderr and "Traceback" not in ended.stderr
    assert end(process) == 0
    assert place.run("channel", "list", "--config", "other.toml").returncode == 2


def test_adapters_are_listed(place: Place) -> None:
    rows = place.json("adapter", "list")
    assert {row["adapter"] for row in rows} >= {"his-hl7v2", "settlement-nhsa", "procurement-zhejiang"}
    assert "his-hl7v2" in place.run("adapter", "list").stdout


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ("port = 'x'", "port"),
        ("[channels.ward]\nadapter = 'nobody'", "channels.ward.adapter"),
        ("[channels.ward]\nadapter = 'his-hl7v2'\nlissten = 'x'", "lissten"),
        ("this is not toml", "TOML"),
        ("host = '0.0.0.0'", "loopback"),
        ("database_url = 'mysql://x'", "database_url"),
        ("database_url = 'sqlite:////nowhere/at/all/hub.db'", "database_url"),
    ],
)
def test_bad_settings_are_told_with_file_and_key(place: Place, toml: str, named: str) -> None:
    (place.folder / "hub.toml").write_text(toml if "port" in toml else f"port = 0\n{toml}", "utf-8")
    for command in (["serve"], ["doctor"]):
        ended = place.run(*command)
        assert ended.returncode in (1, 2) if command == ["doctor"] else ended.returncode == 2, ended.stderr
        assert named in ended.stderr + ended.stdout
        assert "Traceback" not in ended.stderr


def test_a_named_settings_file_must_be_there(place: Place) -> None:
    ended = place.run("channel", "list", "--config", "other.toml")
    assert ended.returncode == 2 and "other.toml" in ended.stderr
    assert place.run("channel", "list", HUB_CONFIG="other.toml").returncode == 2


def test_commands_work_without_a_running_hub(place: Place) -> None:
    rows = place.json("channel", "list")
    assert [(row["name"], row["state"]) for row in rows] == [("ward", "stopped")]
    assert place.run("channel", "pause", "ward", "--reason", "holiday").returncode == 0
    rows = place.json("channel", "list")
    assert [(row["state"], row["reason"]) for row in rows] == [("paused", "holiday")]
    assert place.json("message", "list") == [] and place.json("dead-letter", "list") == []
    assert place.run("--config", "hub.toml", "channel", "resume", "ward").returncode == 0


def test_commands_reach_the_running_hub(running: Place) -> None:
    assert running.json("channel", "list")[0]["state"] == "running"
    assert running.run("channel", "pause", "ward").returncode == 0
    with pytest.raises(OSError):
        hl7(running.mllp)
    assert running.run("channel", "resume", "ward").returncode == 0
    assert "MSA|" in hl7(running.mllp)
    rows = running.json("message", "list")
    assert [row["channel"] for row in rows] == ["ward"]
    id = str(rows[0]["id"])
    assert "PID|1" in running.run("message", "show", id).stdout
    replayed = running.run("message", "replay", id, "--json")
    assert json.loads(replayed.stdout)["message"] == rows[0]["id"]
    assert running.run("message", "replay", "999").returncode == 1
    assert running.run("channel", "pause", "nobody").returncode == 1
    assert running.run("dead-letter", "replay", "5").returncode == 1


def test_a_pause_survives_a_restart(place: Place) -> None:
    first = place.serve()
    assert place.run("channel", "pause", "ward").returncode == 0
    assert end(first) == 0
    second = place.serve()
    assert place.json("channel", "list")[0]["state"] == "paused"
    assert end(second) == 0


def test_serve_logs_requests_where_it_is_told_to_and_never_values(running: Place) -> None:
    httpx.get(f"http://127.0.0.1:{running.port}/fhir/Patient?name=wangshen", trust_env=False)
    log = running.log()
    assert "GET /fhir/Patient?***" in log and "wangshen" not in log
    assert all(line[:4].isdigit() for line in log.splitlines())


def test_a_second_hub_on_the_same_port_or_database_is_told(running: Place) -> None:
    busy = running.run("serve")
    assert busy.returncode == 2 and "port" in busy.stderr
    same = running.run("serve", HUB_PORT="0")
    assert same.returncode == 2 and f"http://127.0.0.1:{running.port}" in same.stderr


def test_a_worker_has_health_and_nothing_else(place: Place) -> None:
    process = place.serve("worker")
    with httpx.Client(base_url=f"http://127.0.0.1:{place.port}", trust_env=False) as client:
        assert client.get("/health/live").status_code == 200
        assert client.get("/metrics").status_code == 200
        assert client.get("/fhir/metadata").status_code == 404
        assert client.get("/admin/messages").status_code == 404
    assert end(process) == 0


def test_doctor_finds_what_is_wrong(place: Place) -> None:
    good = place.run("doctor", "--json")
    assert good.returncode == 0, good.stdout
    assert {one["check"] for one in json.loads(good.stdout)} >= {
        "settings",
        "database",
        "port",
        "channel ward",
    }
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", place.port))
        taken.listen()
        busy = place.run("doctor", "--json")
    assert busy.returncode == 1
    assert [one["check"] for one in json.loads(busy.stdout) if not one["ok"]] == ["port"]
    away = place.run("doctor", HUB_DATABASE_URL="postgresql://nobody@127.0.0.1:1/hub")
    assert away.returncode == 3, away.stdout


def test_the_built_in_key_is_warned_of_in_one_line(place: Place) -> None:
    def told(**environment: str) -> str:
        found = json.loads(place.run("doctor", "--json", **environment).stdout)
        (detail,) = (one["detail"] for one in found if one["check"] == "hub_key")
        return str(detail)

    assert told().startswith("warning: hub.toml: hub_key: the built-in development key")
    assert told(HUB_KEY="a key of our own, quite long") == "your own"
    assert end(place.serve()) == 0
    warned = [line for line in place.log().splitlines() if "hub_key" in line]
    assert len(warned) == 1 and " warning " in warned[0]
    with (place.folder / "hub.toml").open("r+", encoding="utf-8") as file:
        text = file.read()
        file.seek(0)
        file.write(f'hub_key = "a key of our own, quite long"\n{text}')
    assert end(place.serve()) == 0
    assert "hub_key" not in place.log()


CLUMSY = """
from hub.adapters import Adapter
from hub.hookspecs import hookimpl

class Clumsy(Adapter):
    kind = "clumsy"

    async def check(self):
        if self.channel == "worse":
            raise KeyError("whatever")

    async def close(self):
        raise ValueError("close() of what was never opened")

@hookimpl
def register_adapters():
    return [Clumsy]
"""


def test_doctor_survives_adapters_that_fail_in_their_own_way(place: Place) -> None:
    (place.folder / "acme_clumsy.py").write_text(CLUMSY, "utf-8")
    about = place.folder / "acme_clumsy-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-clumsy\nVersion: 1\n", "utf-8")
    (about / "entry_points.txt").write_text("[sanyi_hub]\nclumsy = acme_clumsy\n", "utf-8")
    with (place.folder / "hub.toml").open("a", encoding="utf-8") as file:
        file.write('[channels.bad]\nadapter = "clumsy"\n[channels.worse]\nadapter = "clumsy"\n')
    ended = place.run("doctor", "--json", PYTHONPATH=str(place.folder))
    assert ended.returncode == 1 and not ended.stderr, ended.stderr
    bad = {one["check"]: one["detail"] for one in json.loads(ended.stdout) if not one["ok"]}
    assert bad == {
        "channel bad": "ValueError: close() of what was never opened",
        "channel worse": "KeyError: 'whatever'",
    }


def test_doctor_blames_a_silent_hub_and_not_the_database(place: Place) -> None:
    process = place.serve()
    process.send_signal(signal.SIGSTOP)
    try:
        ended = place.run("doctor", "--json")
    finally:
        process.send_signal(signal.SIGCONT)
        assert end(process) == 0
    bad = [one["check"] for one in json.loads(ended.stdout) if not one["ok"]]
    assert (bad, ended.returncode) == (["hub"], 3), ended.stdout


def test_the_demo_says_that_its_port_is_taken(place: Place) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", place.port))
        taken.listen()
        ended = place.run("demo", "--once", "--json", "--port", str(place.port))
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    (line,) = ended.stderr.splitlines()
    assert f"127.0.0.1:{place.port} cannot be used" in line and "--port" in line


def test_doctor_asks_the_running_hub(running: Place) -> None:
    ended = running.run("doctor", "--json")
    found = {one["check"]: one["detail"] for one in json.loads(ended.stdout)}
    assert ended.returncode == 0 and "running" in found["hub"] and found["channel ward"] == "running"


def test_map_run_prints_a_bundle_or_says_why_not(place: Place) -> None:
    (place.folder / "adt.hl7").write_text(MESSAGE, "utf-8")
    missing = place.run("map", "run", "hl7v2", "nothing.hl7")
    unknown = place.run("map", "run", "hl7v2/nothing", "adt.hl7")
    assert (missing.returncode, unknown.returncode) == (2, 2)
    assert "nothing" in missing.stderr and "nothing" in unknown.stderr


def test_simulate_runs_until_it_is_interrupted(place: Place) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "from hub.cli import main; main()", "simulate", "settlement-nhsa", "--json"],
        cwd=place.folder,
        env=place.environment,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    started = json.loads(process.stdout.readline())
    assert started["kind"] == "settlement-nhsa" and started["address"]
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    process.stdout.close()


def test_simulate_refuses_what_it_does_not_know(place: Place) -> None:
    for arguments in (["nobody"], ["settlement-nhsa", "nonsense"], ["settlement-nhsa", "nonsense=1"]):
        ended = place.run("simulate", *arguments)
        assert ended.returncode == 2 and "Traceback" not in ended.stderr, ended.stderr


def test_commands_reach_a_hub_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    place = Place(tmp_path, postgres_url)
    assert place.json("channel", "list")[0]["state"] == "stopped"
    process = place.serve()
    assert place.json("channel", "list")[0]["state"] == "running"
    assert end(process) == 0


def test_own_mappings_are_run_and_tested(place: Place) -> None:
    folder = place.folder / "own" / "clinic"
    (folder / "samples").mkdir(parents=True)
    (place.folder / "hub.toml").write_text('mappings = ["own"]\n', "utf-8")
    (folder / "person.yaml").write_text(
        "mapping: clinic/person\ndirection: in\nformat: json\nkinds: [person]\n"
        "resources:\n  - resourceType: Patient\n    $id: = number\n    active: = active\n",
        "utf-8",
    )
    sample = folder / "samples" / "person.json"
    sample.write_text('{"number": "1", "active": true}', "utf-8")
    expected = folder / "samples" / "person.expected.json"
    expected.write_text('{"resources": [{"resourceType": "Patient", "id": "a", "active": true}]}', "utf-8")

    ran = place.run("map", "run", "clinic/person", str(sample))
    assert ran.returncode == 0, ran.stderr
    bundle = json.loads(ran.stdout)
    assert bundle["resourceType"] == "Bundle" and bundle["entry"][0]["resource"]["active"] is True
    assert place.run("map", "test", "clinic").returncode == 0
    expected.write_text('{"resources": [{"resourceType": "Patient", "id": "a"}]}', "utf-8")
    wrong = place.run("map", "test", "clinic/person")
    assert wrong.returncode == 1 and "active" in wrong.stdout
    assert place.run("map", "test", "nowhere").returncode == 2
