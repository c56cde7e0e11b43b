"""The HTTP simulator base, with every fault, seen by a real HTTP client."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hub.testing import HttpSimulator, running


class Counter(HttpSimulator):
    kind = "counter"

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[str] = []

    def routes(self) -> list[Route]:
        return [Route("/take", self.take, methods=["POST"])]

    async def take(self, request: Request) -> Response:
        body = (await request.body()).decode()
        return await self.answer("take", partial(self._take, body), subject=body, refusal=self._refuse)

    async def _take(self, body: str) -> Response:
        self.taken.append(body)
        return JSONResponse({"名": body, "n": len(self.taken)})

    async def _refuse(self) -> Response:
        return JSONResponse({"no": True})

    async def scene_think(self, *, what: str) -> str:
        return f"{what} in {threading.current_thread().name}"

    def books(self) -> dict[str, Any]:
        return {"taken": list(self.taken)}


async def post(simulator: Counter, body: str = "a") -> httpx.Response:
    async with httpx.AsyncClient(timeout=2) as client:
        return await client.post(simulator.address + "/take", content=body)


async def test_answers_and_keeps_books() -> None:
    async with running(Counter()) as simulator:
        assert (await post(simulator)).json() == {"名": "a", "n": 1}
        assert simulator.address.startswith("http://127.0.0.1:")
    assert simulator.books() == {"taken": ["a"]}


async def test_scenes_run_in_its_own_thread() -> None:
    async with running(Counter()) as simulator:
        assert await simulator.act("think", what="x") == "x in simulator counter"
    assert simulator.scenes() == ("think",)
    assert await simulator.act("think", what="x") == f"x in {threading.current_thread().name}"
    with pytest.raises(ValueError, match="expected think"):
        await simulator.act("sleep")


@pytest.mark.parametrize(("what", "taken"), [("lose-request", []), ("lose-reply", ["a"])])
async def test_a_lost_answer_is_a_broken_connection(what: Any, taken: list[str]) -> None:
    async with running(Counter()) as simulator:
        simulator.faults.add(what, "take")
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await post(simulator)
        assert simulator.taken == taken
        assert (await post(simulator)).status_code == 200


async def test_late() -> None:
    async with running(Counter()) as simulator:
        simulator.faults.add("late", seconds=0.2)
        began = time.monotonic()
        assert (await post(simulator)).status_code == 200
        assert time.monotonic() - began >= 0.2


async def test_twice_refuse_garble_gbk_and_500() -> None:
    async with running(Counter()) as simulator:
        simulator.faults.add("twice")
        assert (await post(simulator)).json()["n"] == 2
        simulator.faults.add("refuse")
        assert (await post(simulator)).json() == {"no": True}
        simulator.faults.add("http-500")
        assert (await post(simulator)).status_code == 500
        assert len(simulator.taken) == 2
        simulator.faults.add("gbk")
        assert '"名"'.encode("gbk") in (await post(simulator)).content
        simulator.faults.add("garble")
        with pytest.raises(ValueError, match=r"."):
            (await post(simulator)).json()


async def test_down_refuses_connections_and_comes_back_on_the_same_port() -> None:
    async with running(Counter()) as simulator:
        simulator.faults.add("down", seconds=0.3)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await post(simulator)
        with pytest.raises(httpx.ConnectError):
            await post(simulator)
        assert simulator.taken == []
        await asyncio.sleep(0.5)
        assert (await post(simulator)).status_code == 200


async def test_stop_while_an_answer_is_late_and_start_again() -> None:
    simulator = Counter()
    address = await simulator.start()
    simulator.faults.add("late", seconds=30)
    asking = asyncio.ensure_future(post(simulator))
    while not simulator.taken:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    began = time.monotonic()
    await simulator.stop()
    await simulator.stop()
    assert time.monotonic() - began < 1
    with pytest.raises(httpx.HTTPError):
        await asking
    await simulator.start(port=int(address.rpartition(":")[2]))
    assert (await post(simulator)).json()["n"] == 2
    assert await simulator.start() == address
    await simulator.stop()


async def test_a_taken_port_is_told() -> None:
    async with running(Counter()) as simulator:
        with pytest.raises(OSError, match="in use"):
            await Counter().start(port=int(simulator.address.rpartition(":")[2]))
