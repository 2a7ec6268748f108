"""An HTTP server on its own port, with or without TLS, that can be stopped and restarted."""

import asyncio
import contextlib
import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Self, TypeVar

from aiohttp import web

from demo.ports import reserved_port
from demo.simulator import wire
from demo.simulator.fault_responses import TrueAnswer
from demo.simulator.fault_rules import FaultRules
from demo.simulator.latch import Latch
from demo.simulator.messages import Answer, ArmRequest

_GRACE = 0.1
"""The time for unanswered requests when the server stops, in seconds."""
_LAST_STEPS = 0.001
"""The time for the event loop to close the sockets, in seconds."""
_PATIENCE = 30.0
"""The time for the thread to start and to stop on a busy machine, in seconds."""


class HostedServer(ABC):
    """A server that runs inside ``async with``. Its methods are thread-safe, even before it runs."""

    def __init__(self, *, host: str, port: int, tls: bool) -> None:
        self.faults = FaultRules()
        self._host, self._port = host, port
        self._bound: int | None = None
        self._runner: web.ServerRunner | None = None
        self._reservation = contextlib.ExitStack()
        self._tls: ssl.SSLContext | None = None
        self.ca_pem = ""
        """The certificate of the CA if TLS is enabled. No other program trusts it."""
        if tls:
            self._tls, self.ca_pem = _tls(host)

    async def __aenter__(self) -> Self:
        if not self._port:
            self._port = self._reservation.enter_context(reserved_port())
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()
        self._reservation.close()

    async def start(self) -> None:
        """Start to listen. After a stop, the server uses the same port."""
        runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=_GRACE)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._bound or self._port, ssl_context=self._tls).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner, self._bound = runner, runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening, and close all connections."""
        runner, self._runner = self._runner, None
        if runner is None or runner.server is None:
            return
        for site in runner.sites:
            await site.stop()
        await asyncio.sleep(0)  # let aiohttp register connections that were just accepted
        transports = [connection.transport for connection in runner.server.connections]
        await runner.cleanup()
        # TLS connections wait for their peer's close_notify, and the event loop may end before it arrives.
        for transport in filter(None, transports):
            transport.abort()
        await asyncio.sleep(_LAST_STEPS)

    @property
    def url(self) -> str:
        """The URL of the server, without a trailing slash."""
        if self._bound is None:
            raise RuntimeError("the simulator was not started")
        return f"{'http' if self._tls is None else 'https'}://{self._host}:{self._bound}"

    @abstractmethod
    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""

    def _dress(self, answer: Answer, _: ArmRequest) -> Answer:
        """Add the headers of every response of this server."""
        return answer

    async def _deliver(
        self, request: web.BaseRequest, asked: ArmRequest, true_answer: TrueAnswer
    ) -> web.StreamResponse:
        """Send the true response, or that of a fault."""
        fault = self.faults.take(asked)
        if fault is None:
            return response(true_answer())
        if fault.delay:
            await asyncio.sleep(fault.delay)
        answer = fault.respond(true_answer, asked)
        if fault.official:
            answer = self._dress(answer, asked)
        if fault.delivery is not None:
            # send() closes the connection, so the response below is never sent.
            await wire.send(request, fault.delivery, answer)
        return response(answer)


AServer = TypeVar("AServer", bound=HostedServer)


@contextlib.contextmanager
def running(server: AServer) -> Iterator[AServer]:
    """Run a server in a separate thread, for synchronous code."""
    ready, stopping = Latch(), Latch()
    failures: list[BaseException] = []

    async def serve() -> None:
        async with server:
            ready.open()
            await stopping.opened()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            failures.append(error)
        finally:
            ready.open()

    thread = threading.Thread(target=run, name="azure-simulator", daemon=True)
    thread.start()
    try:
        if ready.wait(_PATIENCE) and not failures:
            yield server
    finally:
        stopping.open()
        thread.join(_PATIENCE)
    if thread.is_alive():
        raise TimeoutError("the simulator neither starts nor stops")
    if failures:
        raise failures[0]


def response(answer: Answer) -> web.Response:
    """Convert an answer to aiohttp's response."""
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


def _tls(host: str) -> tuple[ssl.SSLContext, str]:
    import trustme  # noqa: PLC0415 - a dependency of tests only

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, "localhost", "127.0.0.1").configure_cert(context)
    return context, authority.cert_pem.bytes().decode()
