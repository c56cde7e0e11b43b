"""HttpSimulator: a simulated system behind HTTP, on a loopback socket in a thread of its own.

It runs uvicorn's HTTP protocol and a Starlette application in its own event loop, so a slow or
blocked hub never slows the system it talks to, and the other way round.

    class Simulator(HttpSimulator):
        kind = "my-system"

        def routes(self) -> list[Route]:
            return [Route("/orders", self.orders, methods=["POST"])]

        async def orders(self, request: Request) -> Response:
            body = json.loads(await request.body())
            return await self.answer("order", partial(self.take, body), subject=body)

        async def take(self, body) -> Response: ...          # the effect, and its answer
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from hub.clock import Clock, now
from hub.testing.faults import Fault
from hub.testing.simulator import Simulator

T = TypeVar("T")
Answer = Callable[[], Awaitable[Response]]


class HttpSimulator(Simulator):
    """Base of simulators that answer HTTP requests; `address` is `http://127.0.0.1:PORT`.

    Request handlers and scenes run in the simulator's own thread, one event loop: no locks between
    them. `books()` is called from outside; hold `self.lock` there and where a handler changes several
    things that belong together, or return copies of whole values.
    """

    def __init__(self, *, clock: Clock = now) -> None:
        super().__init__(clock=clock)
        self.lock = threading.RLock()
        self._thread: _LoopThread | None = None
        self._listener: _Listener | None = None

    def routes(self) -> Sequence[BaseRoute]:
        """The Starlette routes of the system."""
        raise NotImplementedError

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen, and return the base URL. Raises OSError if the port is taken."""
        if self._thread is not None:
            return self.address
        sock = _bind(host, port)
        thread = _LoopThread(name=f"simulator {self.kind}")
        listener = _Listener(Starlette(routes=list(self.routes())), sock)
        await thread.run(listener.listen())
        self._thread, self._listener = thread, listener
        self.address = f"http://{listener.host}:{listener.port}"
        return self.address

    async def stop(self) -> None:
        """Refuse new connections, abort open ones, end the thread."""
        thread, listener = self._thread, self._listener
        self._thread = self._listener = None
        if thread is not None and listener is not None:
            await thread.run(listener.close())
            await thread.end()

    async def act(self, scene: str, **with_: Any) -> Any:
        """The scene, run in the simulator's own thread (in the caller's while it is stopped)."""
        acted = super().act(scene, **with_)
        return await (self._thread.run(acted) if self._thread is not None else acted)

    async def answer(
        self, kind: str, act: Answer, *, subject: Any = None, refusal: Answer | None = None
    ) -> Response:
        """Call `act` (the effect and its answer) under the next fault for `kind`, if there is one.

        `subject` is what a fault's `where` looks at; `refusal` is the system's way of saying no
        (without one: HTTP 403). "refuse" never calls `act`, "twice" calls it twice.
        """
        fault = await self.faults.next(kind, subject)
        if fault is None:
            return await act()
        return await self._under(fault, act, refusal)

    async def _under(self, fault: Fault, act: Answer, refusal: Answer | None) -> Response:
        assert self._listener is not None
        match fault.what:
            case "lose-request" | "cut" | "reset":
                return _Lost(self._listener)
            case "down":
                return _Lost(self._listener, down=fault.seconds)
            case "http-500":
                return PlainTextResponse("internal error", status_code=500)
            case "refuse":
                return await refusal() if refusal is not None else PlainTextResponse("no", status_code=403)
        response = await act()
        match fault.what:
            case "lose-reply":
                return _Lost(self._listener)
            case "late":
                await fault.wait()
            case "twice":
                return await act()
            case "garble":
                return _with_body(response, b"\x00\xff<{" + response.body[: len(response.body) // 2])
            case "gbk":
                return _with_body(response, bytes(response.body).decode().encode("gb18030"))
        return response


def _with_body(response: Response, body: bytes) -> Response:
    return Response(body, status_code=response.status_code, media_type=response.headers.get("content-type"))


class _Lost(Response):
    """No answer: the connection of this request is cut; with `down`, everyone's, for that long."""

    def __init__(self, listener: _Listener, down: float | None = None) -> None:
        super().__init__()
        self.listener = listener
        self.down = down

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.down is not None:
            self.listener.sleep(self.down)
        self.listener.cut(scope["client"])
        while (await receive())["type"] != "http.disconnect":
            pass


class _Listener:
    """The listening socket and the connections of one simulator; lives in its thread."""

    def __init__(self, app: Starlette, sock: socket.socket) -> None:
        self.host, self.port = sock.getsockname()[:2]
        self.config = Config(
            _quietly(app), lifespan="off", log_config=None, access_log=False, ws="none", http="h11"
        )
        self.config.load()
        self.state = ServerState()
        self.state.default_headers = self.config.encoded_headers
        self._sock: socket.socket | None = sock
        self._server: asyncio.Server | None = None
        self._waking: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        sock, self._sock = self._sock or _bind(self.host, self.port), None
        self._server = await asyncio.get_running_loop().create_server(self._connection, sock=sock)

    def _connection(self) -> H11Protocol:
        return H11Protocol(config=self.config, server_state=self.state, app_state={})

    def cut(self, client: tuple[str, int] | None = None) -> None:
        """Abort the connection from `client`, or all."""
        for connection in list(self.state.connections):
            assert isinstance(connection, H11Protocol)
            if client is None or connection.client == client:
                connection.transport.abort()

    def sleep(self, seconds: float) -> None:
        """Nobody listens for a while; every open connection is cut."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        self._waking = asyncio.get_running_loop().create_task(self._wake(seconds))

    async def _wake(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.listen()

    async def close(self) -> None:
        if self._waking is not None:
            self._waking.cancel()
        if self._server is not None:
            self._server.close()
        self.cut()
        if self._server is not None:
            await self._server.wait_closed()
        for task in list(self.state.tasks):
            task.cancel()
        await asyncio.gather(*self.state.tasks, return_exceptions=True)


def _quietly(app: ASGIApp) -> ASGIApp:
    """A request that is cut off by `stop` ends without a traceback."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            return

    return call


class _LoopThread:
    """An event loop in a daemon thread."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()

    def _main(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it there, and wait for it here."""
        future: concurrent.futures.Future[T] = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        return await asyncio.wrap_future(future)

    async def end(self) -> None:
        """Stop the loop once what it already has to do is done, and join the thread."""
        await self.run(_settle())
        self.loop.call_soon_threadsafe(self.loop.stop)
        await asyncio.to_thread(self._thread.join)


async def _settle() -> None:
    """Cancel what is left over and let it finish, so that the loop closes without a warning."""
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.sleep(0)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends answers at once (TCP_NODELAY) only where the protocol is named
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(128)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock
