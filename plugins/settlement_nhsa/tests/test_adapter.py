"""Three outcomes: what each answer, and each missing answer, means for the hub."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from hub.errors import Misconfigured, OutcomeUnknown, Rejected, Retryable
from hub.messages import Delivery, Message
from hub.testing import running
from hub_settlement_nhsa.adapter import NhsaAdapter
from hub_settlement_nhsa.settings import NhsaSettings
from hub_settlement_nhsa.simulator import Simulator
from plugins.settlement_nhsa.tests.visits import CONVERSATION, Visit, sample

Answer = Callable[[httpx.Request], httpx.Response]


def delivery(file: str = "10_2207A", **more: Any) -> Delivery:
    visit = Visit("")
    visit.known = {"sign_no": "1"}
    body = visit.body(file)
    infno = file.partition("_")[2]
    return Delivery(
        id=7, channel="insurer", kind=infno, body=body, business_id=json.loads(body)["msgid"], **more
    )


async def send(answer: Answer, sent: Delivery | None = None, **settings: Any) -> Message:
    adapter = NhsaAdapter("insurer", NhsaSettings(base_url="http://insurer.test/api", **settings))
    adapter.transport = httpx.MockTransport(answer)
    await adapter.open()
    try:
        return await adapter.send(sent or delivery())
    finally:
        await adapter.close()


def says(content: bytes | str, status: int = 200) -> Answer:
    return lambda request: httpx.Response(status, content=content)


@pytest.mark.parametrize("infcode", ["0", '"0"', "-0"])
async def test_done(infcode: str) -> None:
    body = f'{{"infcode":{infcode},"err_msg":null,"output":{{"x":105.00}}}}'
    reply = await send(says(body))
    assert reply.body == body.encode()
    assert reply.key == f"reply:{delivery().business_id}"
    assert (reply.kind, reply.content_type, reply.charset) == ("2207A reply", "application/json", "utf-8")
    assert reply.in_reply_to == 7


async def test_done_in_gb18030() -> None:
    body = '{"infcode":0,"output":{"psn_name":"测试珅"}}'.encode("gb18030")
    reply = await send(says(body))
    assert (reply.charset, reply.body) == ("gb18030", body)


@pytest.mark.parametrize("infcode", ["-1", "-2", '"-2"', "1", "9001"])
async def test_refused(infcode: str) -> None:
    with pytest.raises(Rejected, match="未备案") as refused:
        await send(says(f'{{"infcode":{infcode},"err_msg":"未备案"}}'))
    assert isinstance(refused.value.reply, Message)
    assert refused.value.reply.kind == "2207A reply"


async def test_system_error_may_leave_it_open() -> None:
    with pytest.raises(OutcomeUnknown):
        await send(says('{"infcode":-1,"err_msg":"系统异常"}'), system_error="unknown")
    with pytest.raises(Rejected):
        await send(says('{"infcode":-2,"err_msg":"未备案"}'), system_error="unknown")


@pytest.mark.parametrize(
    "answer",
    [
        says(b""),
        says(b'{"infcode":0,"output":{"setl'),
        says(b"<html>gateway</html>"),
        says(b"\x80\x00\xff"),
        says(b"[]"),
        says(b"{}"),
        says(b'{"infcode":null}'),
        says(b'{"infcode":true}'),
        says(b'{"infcode":""}'),
        says(b"internal error", 500),
        says(b'{"infcode":0}', 502),
        says(b"", 409),
    ],
)
async def test_nobody_knows(answer: Answer) -> None:
    with pytest.raises(OutcomeUnknown):
        await send(answer)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectError("refused"), Retryable),
        (httpx.ConnectTimeout("slow"), Retryable),
        (httpx.ReadTimeout("slow"), OutcomeUnknown),
        (httpx.WriteError("cut"), OutcomeUnknown),
        (httpx.ReadError("cut"), OutcomeUnknown),
        (httpx.RemoteProtocolError("cut"), OutcomeUnknown),
    ],
)
async def test_broken_connections(error: Exception, expected: type[Exception]) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(expected):
        await send(fail)


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_gateway_that_turns_us_away_is_a_setting_to_correct(status: int) -> None:
    with pytest.raises(Misconfigured, match=f"HTTP status {status}"):
        await send(says(b"no", status))


async def test_an_incomplete_request_is_never_sent() -> None:
    def unexpected(request: httpx.Request) -> httpx.Response:
        raise AssertionError("sent")

    envelope = json.loads(delivery("06_2201").body)
    del envelope["input"]["data"]["atddr_no"]
    envelope["input"]["data"]["dept_name"] = "科" * 101
    sent = Delivery(id=1, channel="insurer", kind="2201", body=json.dumps(envelope).encode())
    with pytest.raises(Rejected) as refused:
        await send(unexpected, sent)
    assert refused.value.reply is None
    assert str(refused.value) == (
        "2201 was not sent, the request is incomplete: input.data.atddr_no is missing; it comes from: "
        "identifier of the Practitioner, else setting doctor_code; "
        "input.data.dept_name has 101 characters, allowed are 100"
    )


async def test_every_sample_request_is_complete() -> None:
    for file in CONVERSATION:
        body = json.dumps(sample(file)["request"], default=float).encode()
        sent = Delivery(id=1, channel="insurer", kind=file.partition("_")[2], body=body)
        assert await send(says(b'{"infcode":0}'), sent)


async def test_routing_and_charset() -> None:
    seen: list[httpx.Request] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=b'{"infcode":0}')

    await send(note)
    await send(note, path="/medical/service")
    paths = {"2207": "/fsi/api/settle"}
    settings = {"routing": "path per transaction", "paths": paths, "charset": "gb18030"}
    await send(note, delivery(headers={"infno": "2207"}), **settings)
    assert [request.url.path for request in seen] == ["/api", "/api/medical/service", "/api/fsi/api/settle"]
    assert "测试经办" in seen[2].content.decode("gb18030")
    with pytest.raises(Misconfigured, match="no path for transaction 2207A"):
        await send(note, **settings)


@pytest.mark.parametrize("scheme", ["x-tif", "x-ca"])
async def test_signatures_are_accepted_by_the_simulator(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSURER_SECRET", "example-secret-not-real")
    account = ("H37050200001", "example-secret-not-real")
    options: dict[str, Any] = {scheme.replace("-", "_"): account}
    secret, name = ("x_tif_token", "x_tif_paasid") if scheme == "x-tif" else ("x_ca_secret", "x_ca_key")
    async with running(Simulator(auto_enroll=True, sign_in=False, **options)) as insurer:
        settings = {"base_url": insurer.address, "security": scheme, name: account[0]}
        adapter = NhsaAdapter("insurer", NhsaSettings(**settings, **{secret: "env:INSURER_SECRET"}))
        assert await adapter.send(delivery("02_1101"))
        wrong = NhsaAdapter("insurer", NhsaSettings(**settings, **{secret: "other"}))
        with pytest.raises(Misconfigured):
            await wrong.send(delivery("02_1101"))
        await adapter.close()
        await wrong.close()


def test_settings_say_what_is_wrong() -> None:
    for wrong, text in (
        ({"base_url": "insurer.test"}, "http://"),
        ({"base_url": "http://x", "security": "x-ca"}, "x_ca_secret"),
        ({"base_url": "http://x", "x_tif_token": "env:NOT_THERE_AT_ALL"}, "NOT_THERE_AT_ALL"),
        ({"base_url": "http://x", "mdtrtarea_admvs": "37"}, "mdtrtarea_admvs"),
    ):
        with pytest.raises(ValueError, match=text):
            NhsaSettings(**wrong)
