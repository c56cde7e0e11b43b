"""Bad input at a real hub over a real MLLP socket: the right answer, everything kept, and on it goes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import letters
from tests.faults.letters import CR, FS, VT, Line, ask
from tests.faults.running import RunningHub, free_ports

SMALL = 100_000


class Desk:
    """A hub with two channels, and what it lists."""

    def __init__(self, hub: RunningHub, hospital: str, small: str) -> None:
        self.hub = hub
        self.hospital = hospital
        self.small = small
        self.seen = 0

    async def listed(self, count: int = 1) -> list[dict[str, Any]]:
        """The messages that came since the last look, oldest first; waits for `count` of them."""
        while True:
            found = (await self.hub.get("/admin/messages"))["messages"]
            new = [one for one in reversed(found) if one["id"] > self.seen]
            if len(new) >= count:
                self.seen = new[-1]["id"]
                return new
            await asyncio.sleep(0.05)

    async def last(self) -> dict[str, Any]:
        """The one message that came since the last look."""
        (found,) = await self.listed()
        return found

    async def resources(self, kind: str, **query: str) -> list[dict[str, Any]]:
        """What a search finds."""
        bundle = await self.hub.get(f"/fhir/{kind}", **query)
        return [entry["resource"] for entry in bundle.get("entry", [])]


def settings(folder: Path, database_url: str, **more: Any) -> tuple[RunningHub, str, str]:
    port, first, second = free_ports(3)
    hospital, small = f"127.0.0.1:{first}", f"127.0.0.1:{second}"
    channel = {"adapter": "his-hl7v2", "mapping": "hl7v2"}
    channels = {
        "hospital": channel | {"listen": hospital},
        "small": channel | {"listen": small, "max_message": SMALL},
    }
    tables = {"port": port, "database_url": database_url, **more, "channels": channels}
    return RunningHub(folder, tables), hospital, small


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One hub for all that can go wrong with a single message."""
    folder = tmp_path_factory.mktemp("a hub")
    hub, hospital, small = settings(folder, f"sqlite:///{folder / 'hub.db'}")
    try:
        asyncio.run(hub.start())
        yield Desk(hub, hospital, small)
        assert hub.stop() == 0, hub.tail()
    finally:
        hub.close()


@pytest.fixture
async def desk(shared: Desk) -> AsyncIterator[Desk]:
    """The hub; after every test each channel still takes a good message."""
    found = (await shared.hub.get("/admin/messages", limit=1))["messages"]
    shared.seen = found[0]["id"] if found else 0
    yield shared
    for target in (shared.hospital, shared.small):
        ack = await ask(target, letters.registration(f"LIVE{shared.seen}{target[-1]}"))
        assert ack.code == "AA"


async def test_a_truncated_frame_is_kept_and_not_answered(desk: Desk) -> None:
    whole = letters.registration("TRUNC1")
    async with Line(desk.hospital) as line:
        await line.say(VT + whole[:120])
        line.writer.write_eof()
        assert await line.reader.read() == b""
    found = await desk.last()
    assert found["state"] == "invalid"
    assert found["size"] == 120
    assert "truncated" in found["issues"][0]["diagnostics"]
    assert (await ask(desk.hospital, whole)).code == "AA", "the whole one is another message"


async def test_a_second_start_block_ends_the_first_message(desk: Desk) -> None:
    async with Line(desk.hospital) as line:
        ack = await line.ask(letters.registration("RESTART1")[:90] + VT + letters.registration("RESTART2"))
    assert (ack.code, ack.control) == ("AA", "RESTART2")
    states = sorted([one["state"] for one in await desk.listed(2)])
    assert states == ["invalid", "stored"]


async def test_no_msh(desk: Desk) -> None:
    ack = await ask(desk.hospital, b"PID|1||P1^^^HIS^PI\rPV1|1|O\r")
    assert ack.code == "AE" and ack.error
    found = await desk.last()
    assert found["state"] == "invalid"
    assert "MSH" in found["issues"][0]["diagnostics"]


@pytest.mark.parametrize("kind", ["ZZZ^Z01", "ORU^R01^ORU_R01"])
async def test_an_unknown_type_is_rejected_and_kept(desk: Desk, kind: str) -> None:
    ack = await ask(desk.hospital, letters.other("TYPE" + kind[:3], kind))
    assert ack.code == "AR" and ack.error
    found = await desk.last()
    assert found["state"] == "rejected"
    assert kind[:7] in found["issues"][0]["diagnostics"]
    kept = await desk.hub.get(f"/admin/messages/{found['id']}")
    assert kept["body"].startswith("MSH|")


async def test_bytes_of_no_charset(desk: Desk) -> None:
    ack = await ask(
        desk.hospital, letters.registration("CHARSET1").replace("测试甲".encode(), b"\xff\xfe\xff")
    )
    assert (ack.code, ack.control) == ("AE", "CHARSET1") and ack.error
    found = await desk.last()
    assert found["state"] == "invalid"
    assert "body_base64" in await desk.hub.get(f"/admin/messages/{found['id']}")


async def test_a_wrong_label_is_seen_through(desk: Desk) -> None:
    body = letters.registration("CHARSET2").decode().encode("gb18030")
    assert (await ask(desk.hospital, body)).code == "AA"
    assert (await desk.last())["state"] == "stored"


async def test_twenty_megabytes_hold_up_nobody(desk: Desk) -> None:
    image = "OBX|1|ED|18748-4^Image^LN||^image^jpeg^Base64^" + "QUJD" * 5_000_000 + "||||||F\r"
    async with Line(desk.hospital) as long, Line(desk.hospital) as short:
        answer = asyncio.create_task(long.ask(letters.registration("LONG1", more=image)))
        await asyncio.sleep(0)
        answered = [(await short.ask(letters.registration(f"SHORT{n}"))).code for n in range(3)]
        assert answered == ["AA"] * 3
        ack = await answer
    assert (ack.code, ack.control) == ("AA", "LONG1")
    found = {one["key"].split("|")[-1]: one for one in await desk.listed(4)}
    assert found["LONG1"]["state"] == "stored" and found["LONG1"]["size"] > 20_000_000


def children(pid: int) -> list[int]:
    """The processes that a process started (Linux)."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    if not listed.exists():
        pytest.skip("this system does not list the children of a process")
    return [int(child) for child in listed.read_text().split()]


def ended(pid: int) -> bool:
    """It is gone, or only waits to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def gone(pid: int) -> None:
    while True:
        if ended(pid):
            return
        await asyncio.sleep(0.05)


async def test_a_killed_hub_leaves_no_process_behind(sqlite_url: str, tmp_path: Path) -> None:
    hub, hospital, _ = settings(tmp_path, sqlite_url)
    try:
        await hub.start()
        text = "NTE|1||" + "x" * 300_000 + "\r"
        assert (await ask(hospital, letters.registration("LONG2", more=text))).code == "AA"
        started = children(hub.pid)
        assert started, "a long message is mapped in another process"
        hub.kill()
        for pid in started:
            await gone(pid)
    finally:
        hub.close()


async def test_above_max_message_head_and_hash_are_kept(desk: Desk) -> None:
    body = letters.registration("BIG1", more="NTE|1||" + "x" * 2 * SMALL + "\r")
    ack = await ask(desk.small, body)
    assert (ack.code, ack.control) == ("AR", "BIG1") and ack.error
    found = await desk.last()
    assert (found["state"], found["size"]) == ("rejected", len(body))
    kept = await desk.hub.get(f"/admin/messages/{found['id']}")
    assert kept["body"].startswith("MSH|") and len(kept["body"]) < len(body)
    assert (await ask(desk.small, body)).code == "AR", "again: the same answer"
    assert (await desk.listed())[-1]["state"] == "rejected"


async def test_a_duplicate_gets_the_same_answer_and_no_effect(desk: Desk) -> None:
    body = letters.registration("DUP1")
    first, second = await ask(desk.hospital, body), await ask(desk.hospital, body)
    assert first.code == second.code == "AA"
    stored, duplicate = await desk.listed(2)
    assert (stored["state"], duplicate["state"]) == ("stored", "duplicate")
    assert duplicate["first"] == stored["id"]
    (patient,) = await desk.resources("Patient", identifier="PDUP1")
    assert patient["meta"]["versionId"] == "1"


async def test_the_same_key_with_another_body_waits_for_a_person(desk: Desk) -> None:
    assert (await ask(desk.hospital, letters.registration("CONF1"))).code == "AA"
    ack = await ask(desk.hospital, letters.registration("CONF1", name="测试乙"))
    assert ack.code == "AE" and ack.error
    stored, conflict = await desk.listed(2)
    assert (stored["state"], conflict["state"]) == ("stored", "conflict")
    assert conflict["first"] == stored["id"]
    (patient,) = await desk.resources("Patient", identifier="PCONF1")
    assert patient["name"][0]["text"] == "测试甲"


async def test_an_unknown_drug_code_keeps_its_coding(desk: Desk) -> None:
    assert (await ask(desk.hospital, letters.prescription("DRUG1", drug="LOCAL-4711"))).code == "AA"
    found = await desk.last()
    assert found["state"] == "stored"
    assert any(one["code"] == "code-invalid" and one["severity"] == "warning" for one in found["issues"])
    codes = (await desk.hub.get("/admin/unmapped"))["codes"]
    assert any(one["code"] == "LOCAL-4711" for one in codes)
    requests = await desk.resources("MedicationRequest", code="LOCAL-4711")
    assert requests[0]["medicationCodeableConcept"]["coding"][0]["code"] == "LOCAL-4711"


async def test_a_wrong_check_digit_is_a_warning_that_travels(desk: Desk) -> None:
    assert (await ask(desk.hospital, letters.registration("CARD1", card=letters.WRONG_CARD))).code == "AA"
    found = await desk.last()
    assert found["state"] == "stored"
    assert {one["severity"] for one in found["issues"]} == {"warning"}
    (patient,) = await desk.resources("Patient", identifier="PCARD1")
    assert any(tag["code"] == "id-card-check-digit" for tag in patient["meta"]["tag"])
    assert letters.WRONG_CARD in [one["value"] for one in patient["identifier"]]


async def test_a_message_without_its_start_block_is_kept(desk: Desk) -> None:
    async with Line(desk.hospital) as line:
        await line.say(letters.registration("NOVT1") + FS + CR)
        ack = await line.ask(letters.registration("NOVT2"))
    assert (ack.code, ack.control) == ("AA", "NOVT2")
    assert sorted(one["state"] for one in await desk.listed(2)) == ["invalid", "stored"]


MENDED = """\
mapping: own/note
kinds: [ZNT^Z01]
format: hl7v2
resources:
  - resourceType: Basic
    $id: = {field}
    code: {{text: note}}
"""


async def test_a_resent_invalid_message_is_mapped_again(database_url: str, tmp_path: Path) -> None:
    own = tmp_path / "mappings" / "own"
    own.mkdir(parents=True)
    (own / "note.yaml").write_text(MENDED.format(field="ZZZ.1"), "utf-8")
    hub, hospital, small = settings(tmp_path, database_url, mappings=["mappings"])
    text = hub.file.read_text("utf-8").replace('"mapping": "hl7v2"', '"mapping": "own"')
    hub.file.write_text(text.replace('mapping = "hl7v2"', 'mapping = "own"'), "utf-8")
    desk = Desk(hub, hospital, small)
    body = letters.other("NOTE1", "ZNT^Z01")
    try:
        await hub.start()
        assert [(await ask(hospital, body)).code for _ in range(2)] == ["AE", "AE"]
        assert [one["state"] for one in await desk.listed(2)] == ["replayed", "invalid"]
        assert hub.stop() == 0
        (own / "note.yaml").write_text(MENDED.format(field="MSH.10"), "utf-8")
        await hub.start()
        assert (await ask(hospital, body)).code == "AA"
        assert (await desk.last())["state"] == "stored"
        states = [one["state"] for one in (await hub.get("/admin/messages"))["messages"]]
        assert states == ["stored", "replayed", "replayed"]
        assert (await ask(hospital, body)).code == "AA"
        assert (await desk.last())["state"] == "duplicate"
        assert len(await desk.resources("Basic")) == 1
        assert hub.stop() == 0, hub.tail()
    finally:
        hub.close()


async def test_the_same_message_on_many_lines_at_once(database_url: str, tmp_path: Path) -> None:
    hub, hospital, small = settings(tmp_path, database_url)
    desk = Desk(hub, hospital, small)
    try:
        await hub.start()
        for number in range(10):
            body = letters.registration(f"AT-ONCE{number}")
            acks = await asyncio.gather(*(ask(hospital, body) for _ in range(6)))
            assert {ack.code for ack in acks} == {"AA"}
            states = sorted(one["state"] for one in await desk.listed(6))
            assert states == ["duplicate"] * 5 + ["stored"]
        assert hub.stop() == 0, hub.tail()
    finally:
        hub.close()


@contextlib.asynccontextmanager
async def outage(hub: RunningHub, database_url: str) -> AsyncIterator[None]:
    """The database cannot commit: no byte of disk is left, or the server lets nobody in."""
    if database_url.startswith("sqlite"):
        resource = pytest.importorskip("resource")
        if not hasattr(resource, "prlimit"):
            pytest.skip("this system sets no limits of another process")
        before = resource.prlimit(hub.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(hub.pid, resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            yield
        finally:
            resource.prlimit(hub.pid, resource.RLIMIT_FSIZE, before)
        return
    import asyncpg
    from sqlalchemy.engine import make_url

    name = make_url(database_url).database
    server = await asyncpg.connect(database_url.replace(f"/{name}", "/postgres"))
    try:
        await server.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        await server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
        )
        try:
            yield
        finally:
            await server.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
    finally:
        await server.close()


async def test_a_hub_that_cannot_store_says_not_now(database_url: str, tmp_path: Path) -> None:
    hub, hospital, small = settings(tmp_path, database_url)
    desk = Desk(hub, hospital, small)
    body = letters.registration("AWAY1")
    try:
        await hub.start()
        async with Line(hospital) as line:
            assert (await line.ask(letters.registration("BEFORE1"))).code == "AA"
            async with outage(hub, database_url):
                ack = await line.ask(body)
                assert (ack.code, ack.control) == ("AR", "AWAY1")
                assert (await line.ask(body)).code == "AR"
            assert (await line.ask(body)).code == "AA", hub.tail()
            assert (await line.ask(letters.registration("AFTER1"))).code == "AA"
        assert [one["state"] for one in await desk.listed(3)] == ["stored"] * 3
        assert hub.stop() == 0, hub.tail()
    finally:
        hub.close()
