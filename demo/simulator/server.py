"""The simulator as a running HTTP server."""

import asyncio
import contextlib
import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Literal, Self, TypedDict, Unpack

from aiohttp import web

from demo.simulator import wire
from demo.simulator.arm import ResourceManager
from demo.simulator.clock import SimulatedClock
from demo.simulator.control import ControlApi
from demo.simulator.fault_rules import FaultRules
from demo.simulator.holds import Hold, Holds
from demo.simulator.latch import Latch
from demo.simulator.messages import Answer, ArmRequest, arm_request
from demo.simulator.records import Recorder, RequestRecord
from demo.simulator.tokens import Tokens
from demo.simulator.vaults import Directory, Vault

_ABSOLUTE = re.compile(r"https?://[^/?]*", re.IGNORECASE)
_GRACE = 0.1
"""Seconds that an unanswered request is given when the server stops."""
_LAST_STEPS = 0.001
"""Seconds for the event loop to close the sockets."""
_PATIENCE = 30.0
"""Seconds for the thread to start and to stop, on a machine that is busy."""


class AzureSimulator:
    """
    Azure Resource Manager with Azure Backup behind it, on a port of its own.

    It runs inside ``async with``; its methods may be called from any thread, before and while it runs.
    """

    def __init__(
        self,
        *,
        clock: SimulatedClock | None = None,
        tokens: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: bool = False,
    ) -> None:
        self.clock = clock or SimulatedClock()
        self.tokens = Tokens({"demo-token": "demo-principal"} if tokens is None else tokens)
        self.directory = Directory(self.clock)
        self.arm = ResourceManager(self.directory, self.tokens)
        self.faults = FaultRules()
        self._holds = Holds()
        self._recorder = Recorder()
        self._control = ControlApi(self)
        self._host, self._port = host, port
        self._bound: int | None = None
        self._runner: web.ServerRunner | None = None
        self._tls: ssl.SSLContext | None = None
        self.ca_pem = ""
        """The CA's certificate when TLS is on; nothing else trusts it."""
        if tls:
            self._tls, self.ca_pem = _tls(host)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Begin to listen; after a stop, on the same port again."""
        runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=_GRACE)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._bound or self._port, ssl_context=self._tls).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner, self._bound = runner, runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening, release what is held, close all connections."""
        self._holds.release()
        runner, self._runner = self._runner, None
        if runner is None or runner.server is None:
            return
        for site in runner.sites:
            await site.stop()
        await asyncio.sleep(0)  # connections that were just accepted are known now
        transports = [connection.transport for connection in runner.server.connections]
        await runner.cleanup()
        # TLS connections wait for their peer's farewell, and the event loop may end before it comes.
        for transport in filter(None, transports):
            transport.abort()
        await asyncio.sleep(_LAST_STEPS)

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end: what stands for ``https://management.azure.com``."""
        if self._bound is None:
            raise RuntimeError("the simulator was not started")
        return f"{'http' if self._tls is None else 'https'}://{self._host}:{self._bound}"

    def add_vault(self, subscription_id: str, resource_group: str, name: str) -> Vault:
        """Make a Recovery Services vault, with its subscription and resource group."""
        return self.directory.add_vault(subscription_id, resource_group, name)

    def hold(self, path: str = "", *, state_as_of: Literal["release", "arrival"] = "release") -> Hold:
        """Keep the requests whose path matches a regular expression waiting until the hold is released."""
        return self._holds.add(path, state_as_of=state_as_of)

    def release_holds(self) -> None:
        """Release every hold."""
        self._holds.release()

    @property
    def requests(self) -> tuple[RequestRecord, ...]:
        """The requests so far, oldest first; those to the control API are not among them."""
        return self._recorder.records()

    def requests_to(self, path: str) -> tuple[RequestRecord, ...]:
        """List the requests whose path matches a regular expression."""
        return self._recorder.records(path)

    def clear_requests(self) -> None:
        """Forget the requests so far."""
        self._recorder.clear()

    def wait_requests(self, count: int, *, path: str | None = None, timeout: float = 10.0) -> tuple[RequestRecord, ...]:
        """Block this thread until *count* requests were made; TimeoutError when they were not in time."""
        return self._recorder.wait(count, path=path, timeout=timeout)

    async def requests_arrived(
        self,
        count: int,
        *,
        path: str | None = None,
        timeout: float = 10.0,  # noqa: ASYNC109 - as wait_requests
    ) -> tuple[RequestRecord, ...]:
        """Wait as :meth:`wait_requests` does, without blocking the event loop."""
        return await self._recorder.arrived(count, path=path, timeout=timeout)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        target = _ABSOLUTE.sub("", request.raw_path, count=1)
        if target.startswith(ControlApi.PREFIX):
            return _response(self._control.answer(request.method, target, await request.read()))
        authorization = request.headers.get("Authorization")
        asked = arm_request(request.method, target, request.headers, principal=self.tokens.principal(authorization))
        self._recorder.record(asked)
        return await self._respond(request, asked)

    async def _respond(self, request: web.BaseRequest, asked: ArmRequest) -> web.StreamResponse:
        hold, early = self._holds.find(asked), None
        if hold is not None:
            early = self.arm.answer(asked) if hold.answers_as_of_arrival else None
            await hold.keep()
        fault = self.faults.take(asked)
        if fault is None:
            return _response(early or self.arm.answer(asked))
        if fault.delay:
            await asyncio.sleep(fault.delay)
        answer = fault.respond(lambda: early or self.arm.answer(asked), asked)
        if fault.official:
            answer = self.arm.dress(answer, asked)
        if fault.delivery is not None:
            # It closes the connection: the answer below goes nowhere then.
            await wire.send(request, fault.delivery, answer)
        return _response(answer)


class Options(TypedDict, total=False):
    """What :class:`AzureSimulator` takes."""

    clock: SimulatedClock
    tokens: Mapping[str, str]
    host: str
    port: int
    tls: bool


@contextlib.contextmanager
def running_simulator(**options: Unpack[Options]) -> Iterator[AzureSimulator]:
    """Run a simulator in a thread of its own, for code that blocks."""
    simulator = AzureSimulator(**options)
    ready, stopping = Latch(), Latch()
    failures: list[BaseException] = []

    async def serve() -> None:
        async with simulator:
            ready.open()
            await stopping.opened()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
            failures.append(error)
        finally:
            ready.open()

    thread = threading.Thread(target=run, name="azure-simulator", daemon=True)
    thread.start()
    try:
        if ready.wait(_PATIENCE) and not failures:
            yield simulator
    finally:
        stopping.open()
        thread.join(_PATIENCE)
    if thread.is_alive():
        raise TimeoutError("the simulator neither starts nor stops")
    if failures:
        raise failures[0]


def _response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


def _tls(host: str) -> tuple[ssl.SSLContext, str]:
    import trustme  # noqa: PLC0415 - a dependency of tests only

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, "localhost", "127.0.0.1").configure_cert(context)
    return context, authority.cert_pem.bytes().decode()
