"""What operators do, with the commands they have: at a running hub and at none, and what they are told."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest

from hub.messages import json_line
from hub.testing import PEOPLE
from hub_his_hl7v2.simulator import Simulator as Hospital
from hub_settlement_nhsa.simulator import Simulator as Insurer
from tests.integration.cli.conftest import Place, end, free_port

CLINIC = """
mapping: clinic/adt
format: hl7v2
kinds: [ADT^A04]
resources:
  - {resourceType: Patient, $id: = PID.3.1, gender: "= GENDER"}
ignore:
  - {path: MSH, reason: the envelope}
  - {path: EVN, reason: not of interest}
  - {path: PID, reason: not of interest}
  - {path: PV1, reason: not of interest}
  - {path: DG1, reason: not of interest}
  - {path: IN1, reason: not of interest}
"""
pytestmark = pytest.mark.slow
HL7 = {"adapter": "his-hl7v2", "mapping": "hl7v2"}


class Office:
    """A folder with settings, a hospital, an insurer that listens or not, and the commands."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.insurer = Insurer()
        self.insurer_port = free_port()
        self.hospital = Hospital(target=f"127.0.0.1:{place.mllp}", timeout=20)
        self.process: subprocess.Popen[bytes] | None = None
        self.write()

    def write(self, *, mapping: str = "hl7v2", **insurer: Any) -> None:
        """Settings with a hospital and an insurer."""
        self.insurer.address = f"http://127.0.0.1:{self.insurer_port}"
        tables = {
            "ward": HL7 | {"listen": f"127.0.0.1:{self.place.mllp}", "mapping": mapping},
            "insurer": {
                "adapter": "settlement-nhsa",
                "mapping": "settlement-nhsa",
                "conversations": ["settlement-nhsa/settle"],
                "attempts": 2,
                "retry_seconds": 0.05,
                "connect_timeout": 0.5,
                **self.insurer.channel(),
                **insurer,
            },
        }
        lines = [f"port = {self.place.port}", 'mappings = ["own"]']
        for name, table in tables.items():
            lines += [f"[channels.{name}]", *(f"{key} = {json_line(value)}" for key, value in table.items())]
        (self.place.folder / "hub.toml").write_text("\n".join(lines) + "\n", "utf-8")

    def map_gender(self, expression: str) -> None:
        """The clinic's own mapping of registrations."""
        folder = self.place.folder / "own" / "clinic"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "adt.yaml").write_text(CLINIC.replace("GENDER", expression), "utf-8")

    def open(self) -> None:
        """The insurer begins to listen."""
        asyncio.run(self.insurer.start(port=self.insurer_port))

    def serve(self) -> None:
        assert self.process is None
        self.process = self.place.serve()

    def stop(self) -> None:
        assert self.process is not None
        process, self.process = self.process, None
        assert end(process) == 0, self.place.log()

    def says(self, scene: str, **facts: Any) -> list[str]:
        """A scene at the hospital; the codes of the acknowledgements."""

        async def act() -> None:
            await self.hospital.act(scene, **facts)
            await self.hospital.stop()

        before = len(self.hospital.sent)
        asyncio.run(act())
        return [one.code for one in self.hospital.sent[before:]]

    def rows(self, *command: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.place.json(*command)
        return found

    def get(self, path: str) -> Any:
        answer = httpx.get(f"http://127.0.0.1:{self.place.port}{path}", trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def talks(self, state: str) -> list[dict[str, Any]]:
        """The conversations in a state, asked of the running hub itself."""
        found: list[dict[str, Any]] = self.get(f"/admin/conversations?state={state}")["conversations"]
        return found

    def until(self, holds: Callable[[], Any]) -> Any:
        """Wait for something; what it then gave."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if found := holds():
                return found
            time.sleep(0.1)
        raise AssertionError((self.rows("conversation", "list"), self.place.log()))

    def told(self, *command: str, code: int) -> str:
        """One message on stderr, and how it ended."""
        ended = self.place.run(*command)
        assert ended.returncode == code, (command, ended.returncode, ended.stderr)
        assert ended.stderr.startswith("hub: ") and ended.stderr.count("\n") == 1, ended.stderr
        return ended.stderr


@pytest.fixture
def office(place: Place) -> Iterator[Office]:
    (place.folder / "own").mkdir()
    made = Office(place)
    yield made
    if made.process is not None:
        end(made.process)
    asyncio.run(made.insurer.stop())


@pytest.mark.parametrize("running", [True, False], ids=["running", "none running"])
def test_an_invalid_message_is_replayed_after_its_mapping_is_mended(office: Office, running: bool) -> None:
    office.map_gender("PID.8")
    office.write(mapping="clinic")
    office.serve()
    assert office.says("register") == ["AE"]
    (row,) = office.rows("message", "list", "--state", "invalid")
    assert "gender" in json.dumps(row["issues"]) and "body" not in row
    shown = office.place.run("message", "show", str(row["id"]))
    assert shown.returncode == 0 and PEOPLE[0].name in shown.stdout
    again = office.place.run("message", "replay", str(row["id"]), "--json")
    assert again.returncode == 1 and json.loads(again.stdout)["outcome"] == "invalid"
    office.stop()

    office.map_gender("iif(PID.8 = 'M', 'male', 'female')")
    if running:
        office.serve()
    again = office.place.run("message", "replay", str(row["id"]), "--json")
    assert again.returncode == 0 and json.loads(again.stdout)["outcome"] == "accepted"
    assert [one["state"] for one in office.rows("message", "list")] == ["stored"]
    if not running:
        office.serve()
    assert office.get("/fhir/Patient?gender=male&_summary=count")["total"] == 1
    assert office.says("resend") == ["AA"], "the sender may send it again, too"
    office.stop()


@pytest.mark.parametrize("running", [True, False], ids=["running", "none running"])
def test_a_dead_letter_goes_out_once_the_system_is_back(office: Office, running: bool) -> None:
    office.serve()
    office.says("visit")
    (dead,) = office.until(lambda: office.get("/admin/dead-letters")["dead_letters"])
    assert office.rows("dead-letter", "list") == [dead]
    assert (dead["channel"], dead["attempts"], dead["unanswered"]) == ("insurer", 2, False)
    (talk,) = office.rows("conversation", "list", "--state", "waiting")
    assert talk["step"] == "sign-in" and "sign-in" in talk["reason"]
    office.open()
    office.insurer.channel()
    asyncio.run(office.insurer.act("enroll", **insured()))
    if not running:
        office.stop()
    replayed = office.place.run("dead-letter", "replay", str(dead["id"]), "--json")
    assert replayed.returncode == 0 and json.loads(replayed.stdout)["state"] == "pending"
    if not running:
        assert office.rows("dead-letter", "list") == []
        office.serve()
    office.until(lambda: office.talks("done"))
    assert len(office.insurer.books()["settlements"]) == 1
    assert "not a dead letter" in office.told("dead-letter", "replay", str(dead["id"]), code=1)
    office.stop()


@pytest.mark.parametrize("running", [True, False], ids=["running", "none running"])
def test_a_refused_conversation_is_retried_when_the_reason_is_gone(office: Office, running: bool) -> None:
    office.open()
    office.serve()
    office.says("visit")
    (talk,) = office.until(lambda: office.talks("refused"))
    assert talk["step"] == "person" and "1101" in talk["reason"]
    which = str(talk["id"])
    asyncio.run(office.insurer.act("enroll", **insured()))
    if not running:
        office.stop()
    retried = office.place.run("conversation", "retry", which)
    assert retried.returncode == 0 and "state: running" in retried.stdout
    assert "is running" in office.told("conversation", "retry", which, code=1) or running
    if not running:
        office.serve()
    office.until(lambda: office.talks("done"))
    assert len(office.insurer.books()["settlements"]) == 1
    assert "is done" in office.told("conversation", "retry", which, code=1)
    assert "not known" in office.told("conversation", "retry", "99", code=1)
    targets = [one["target"] for one in office.get("/admin/audit?limit=1000")["audit"]]
    assert f"conversations/{which}/retry" in targets
    office.stop()


def test_a_missing_setting_is_added_and_the_conversation_goes_on(office: Office) -> None:
    office.open()
    asyncio.run(office.insurer.act("enroll", **insured()))
    office.write(fixmedins_name="")
    office.serve()
    office.says("visit")
    (talk,) = office.until(lambda: office.talks("refused"))
    assert "fixmedins_name" in talk["reason"], "it says which setting is missing"
    office.stop()
    office.write()
    office.serve()
    retried = office.place.run("conversation", "retry", str(talk["id"]), "--json")
    assert json.loads(retried.stdout)["state"] == "running"
    office.until(lambda: office.talks("done"))
    office.stop()


def insured() -> dict[str, Any]:
    person = PEOPLE[0]
    birth = f"{person.birth[:4]}-{person.birth[4:6]}-{person.birth[6:]}"
    return {
        "psn_no": "37050000000000000001",
        "certno": person.id_card,
        "psn_name": person.name,
        "gend": "1" if person.gender == "M" else "2",
        "brdy": birth,
        "insuplc_admdvs": "370502",
    }


def test_a_pause_survives_restarts_and_holds_back_deliveries(office: Office) -> None:
    office.open()
    asyncio.run(office.insurer.act("enroll", **insured()))
    assert office.place.run("channel", "pause", "insurer", "--reason", "night").returncode == 0
    for _ in range(2):
        office.serve()
        states = {row["name"]: (row["state"], row["reason"]) for row in office.rows("channel", "list")}
        assert states == {"ward": ("running", ""), "insurer": ("paused", "night")}
        assert office.get("/health/ready")["status"] == "ready"
        assert office.says("visit") == ["AA", "AA"]
        time.sleep(1)
        assert office.insurer.books()["visits"] == []
        office.stop()
    assert office.place.run("channel", "resume", "insurer").returncode == 0
    office.serve()
    office.until(lambda: len(office.talks("done")) == 2)
    office.stop()


def test_a_channel_that_cannot_go_on_is_said_to_have_failed(office: Office) -> None:
    office.serve()
    assert office.place.run("channel", "pause", "ward").returncode == 0
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", office.place.mllp))
        taken.listen()
        ended = office.place.run("channel", "resume", "ward", "--json")
        assert ended.returncode == 1 and json.loads(ended.stdout)["state"] == "failed"
        assert str(office.place.mllp) in json.loads(ended.stdout)["reason"]
        doctor = office.place.run("doctor", "--json")
        wrong = [one["check"] for one in json.loads(doctor.stdout) if not one["ok"]]
        assert doctor.returncode == 1 and wrong == ["channel ward"]
    office.until(lambda: office.rows("channel", "list")[0]["state"] == "running")
    assert office.says("register") == ["AA"], "it comes back by itself when the port is free"
    office.stop()


def test_the_doctor_tells_each_finding_by_itself(office: Office) -> None:
    def doctor(**environment: str) -> tuple[int, dict[str, str]]:
        ended = office.place.run("doctor", "--json", **environment)
        assert "Traceback" not in ended.stderr
        return ended.returncode, {
            one["check"]: one["detail"] for one in json.loads(ended.stdout) if not one["ok"]
        }

    code, wrong = doctor()
    assert code == 3 and list(wrong) == ["channel insurer"], "nobody answers there"
    office.open()
    assert doctor() == (0, {})
    for port, check in ((office.place.port, "port"), (office.place.mllp, "channel ward")):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port))
            taken.listen()
            code, wrong = doctor()
            assert code in (1, 2, 3) and list(wrong) == [check] and str(port) in wrong[check]
    code, wrong = doctor(HUB_DATABASE_URL="postgresql://somebody:top-secret@127.0.0.1:1/hub")
    assert code == 3 and list(wrong) == ["database"] and "top-secret" not in wrong["database"]
    table = office.place.run("doctor")
    assert table.returncode == 0 and "database" in table.stdout


def test_what_does_not_answer_ends_with_3(office: Office) -> None:
    away = {"HUB_DATABASE_URL": "postgresql://somebody:top-secret@127.0.0.1:1/hub"}
    for command in ("serve", "worker", "message list", "channel pause ward", "conversation list"):
        ended = office.place.run(*command.split(), **away)
        assert ended.returncode == 3, (command, ended.stderr)
        assert ended.stderr.startswith("hub: HUB_DATABASE_URL: ") and ended.stderr.count("\n") == 1
        assert "top-secret" not in ended.stderr


@pytest.mark.parametrize("running", [True, False], ids=["running", "none running"])
def test_every_listing_is_json_and_a_table(office: Office, running: bool) -> None:
    if running:
        office.serve()
        office.says("visit")
    for command in ("channel list", "message list", "conversation list", "dead-letter list", "adapter list"):
        assert isinstance(office.rows(*command.split()), list), command
        table = office.place.run(*command.split())
        assert table.returncode == 0 and table.stdout and "Traceback" not in table.stderr, command
    for command in ("message show 99", "message replay 99", "dead-letter replay 99", "conversation retry 99"):
        assert "99" in office.told(*command.split(), code=1)
    for command in ("channel pause nobody", "channel resume nobody"):
        assert "ward" in office.told(*command.split(), code=1), "the names that are there are told"
    for command in ("conversation retry x", "conversation retry", "conversation", "message list --state"):
        ended = office.place.run(*command.split())
        assert ended.returncode == 2 and "Traceback" not in ended.stderr, command
    if running:
        office.stop()


@pytest.mark.parametrize("kind", ["his-hl7v2", "settlement-nhsa", "procurement-zhejiang"])
def test_every_simulator_runs_by_itself(place: Place, kind: str) -> None:
    command = [sys.executable, "-c", "from hub.cli import main; main()", "simulate", kind, "--json"]
    process = subprocess.Popen(
        command, cwd=place.folder, env=place.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    try:
        told = json.loads(process.stdout.readline())
        assert told["kind"] == kind
        if kind != "his-hl7v2":
            port = told["address"].rpartition(":")[2]
            taken = place.run("simulate", kind, "--listen", f"127.0.0.1:{port}")
            assert taken.returncode == 2 and port in taken.stderr and "Traceback" not in taken.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.communicate()


def test_a_simulated_hospital_plays_a_scene_to_the_hub(office: Office) -> None:
    office.serve()
    target = f"target=127.0.0.1:{office.place.mllp}"
    visit = ("simulate", "his-hl7v2", target, "--scene", "visit")
    ended = office.place.run(*visit, "--with", "weeks=8", "--json")
    assert ended.returncode == 0, ended.stderr
    assert "MSA|AA" in ended.stdout
    assert len(office.rows("message", "list", "--channel", "ward")) == 2
    office.stop()
    ended = office.place.run(*visit)
    assert ended.returncode == 3 and "Traceback" not in ended.stderr, ended.stderr
    assert ended.stderr.count("\n") == 1


def test_logs_and_metrics_carry_no_person_and_the_audit_says_who_did_what(office: Office) -> None:
    office.open()
    asyncio.run(office.insurer.act("enroll", **insured()))
    office.insurer.faults.add("lose-reply", "2207A")
    office.insurer.faults.add("garble", "1101")
    office.insurer.faults.add("refuse", "2206A")
    office.write(attempts=20, settle_horizon=1, ask_interval=0.2, timeout=2)
    office.serve()
    first, other = PEOPLE[0], PEOPLE[1]
    office.says("visit", person=first)
    office.says("visit", person=other)
    office.says("resend")
    assert office.says("register", person=wrong(other)) == ["AA"]
    assert office.says("send", content=letter(first.id_card)) == ["AE"]
    with httpx.Client(base_url=f"http://127.0.0.1:{office.place.port}", trust_env=False) as client:
        query = {"identifier": first.id_card, "name": first.name}
        (entry,) = client.get("/fhir/Patient", params=query).json()["entry"]
        patient = entry["resource"]["id"]
        assert client.get(f"/fhir/Patient/{patient}").status_code == 200
        assert client.get(f"/fhir/Patient/{first.id_card}").status_code == 404
        assert client.post("/fhir/Patient", json={"resourceType": "Patient", "gender": first.name}).is_error
        made = client.post("/fhir/Patient", json={"resourceType": "Patient", "name": [{"text": first.name}]})
        assert made.status_code == 201
        assert client.get("/fhir/Patient", params={"nonsense": first.name}).status_code == 400
        assert client.get("/admin/messages", params={"channel": first.name}).status_code == 200
        office.until(lambda: not office.talks("running"))
        time.sleep(1.5)
        metrics = client.get("/metrics").text
        audit = client.get("/admin/audit?limit=10000").json()["audit"]
    office.stop()

    secrets = [text for person in (first, other) for text in (person.name, person.id_card, person.phone)]
    secrets += [first.street, wrong(other).id_card]
    asked = [one for one in audit if one["target"] == f"Patient/{first.id_card}"]
    assert [one["status"] for one in asked] == [404], "the trail keeps which id was asked for"
    trail = json_line([one for one in audit if one not in asked])
    for name, text in (("log", office.place.log()), ("metrics", metrics), ("audit", trail)):
        for secret in secrets:
            assert secret not in text, (name, secret)
    assert "Traceback" not in office.place.log()
    assert all(re.match(r"\d{4}-\d\d-\d\dT", line) for line in office.place.log().splitlines())
    done = {(one["action"], one["target"].partition("/")[0], one["status"]) for one in audit}
    assert {("search", "Patient", 200), ("search", "Patient", 400), ("read", "Patient", 404)} <= done
    assert {("create", "Patient", 201), ("create", "message", 200)} <= done
    assert ("read", f"Patient/{patient}") in {(one["action"], one["target"]) for one in audit}


def wrong(person: Any) -> Any:
    """The same person with an identity number that fails its check, and another number."""
    last = "0" if person.id_card[-1] != "0" else "1"
    return msgspec.structs.replace(person, number="PID9999", id_card=person.id_card[:-1] + last)


def letter(card: str) -> str:
    """A registration with a date that is none."""
    return (
        "MSH|^~\\&|HIS|H37050200001|HUB|HUB|20260201085500||ADT^A04^ADT_A01|BAD1|P|2.4\r"
        f"PID|1||{card}^^^HIS^PI||{PEOPLE[0].name}||{card}|M\r\rnonsense {card}\r"
    )
