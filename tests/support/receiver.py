"""A webhook receiver on its own port, which checks signatures like real receivers and can misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import itertools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from aiohttp import web
from cloudevents.core.bindings.http import HTTPMessage, from_http_event

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

    from cloudevents.core.base import BaseCloudEvent

ReconcileResult = int | str | tuple[int, str]
"""The response: a status, one with Retry-After, ``hang``, ``reset``, ``endless``, or the target of a redirect."""
PATIENCE: Final = 120.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A received request."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> BaseCloudEvent:
        """The event as parsed by the CloudEvents library, in either mode."""
        return from_http_event(HTTPMessage(dict(self.headers), self.body))

    @property
    def id(self) -> str:
        """The event's ID."""
        return str(self.event.get_id())

    @property
    def data(self) -> Any:
        """The event's data."""
        return self.event.get_data()


def flux_accepts(delivery: Delivery, token: bytes) -> bool:
    """Check ``X-Signature`` like Flux's notification-controller: ``<hash>=<hex>``, of three hashes."""
    hashes = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha512": hashlib.sha512}
    name, _, signature = delivery.headers.get("X-Signature", "").partition("=")
    if name not in hashes:
        return False
    return hmac.compare_digest(bytes.fromhex(signature), hmac.new(token, delivery.body, hashes[name]).digest())


def github_accepts(delivery: Delivery, token: bytes) -> bool:
    """Check ``X-Hub-Signature-256`` like GitHub's example."""
    expected = "sha256=" + hmac.new(token, msg=delivery.body, digestmod=hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, delivery.headers.get("X-Hub-Signature-256", ""))


class Receiver:
    """A server that runs inside ``async with``."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.deliveries: list[Delivery] = []
        self.then: ReconcileResult = 200
        """The response after all configured steps."""
        self.accepts: Callable[[bytes], bool] = lambda _: True
        """Whether the receiver accepts a body. Otherwise it returns 400, like Slack."""
        self._steps: list[ReconcileResult] = []
        self._tls = tls
        self._port = port
        self._released = asyncio.Event()
        self._runner: web.ServerRunner | None = None
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self._port, ssl_context=self._tls).start()
        self._runner, self._port = runner, runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        """The URL of the receiver."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}/hook"

    @property
    def port(self) -> int:
        """The port of the receiver."""
        return self._port

    def answer(self, *steps: ReconcileResult) -> None:
        """Set the responses to the next requests."""
        self._steps.extend(steps)

    def release(self) -> None:
        """Release the hanging requests."""
        self._released.set()

    async def received(self, count: int = 1) -> list[Delivery]:
        """Wait for this number of requests, and return all of them."""
        async with asyncio.timeout(PATIENCE):
            while len(self.deliveries) < count:
                self._news.clear()
                await self._news.wait()
        return self.deliveries

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.deliveries.append(Delivery(request.path_qs, dict(request.headers), await request.read()))
        self._news.set()
        if not self.accepts(self.deliveries[-1].body):
            return web.Response(status=400, text="invalid_payload")
        step = self._steps.pop(0) if self._steps else self.then
        if isinstance(step, tuple):
            return web.Response(status=step[0], headers={"Retry-After": step[1]})
        if isinstance(step, int):
            return web.Response(status=step, text="a receiver's own words")
        if step.startswith("http"):
            return web.Response(status=307, headers={"Location": step})
        if step == "hang":
            await self._released.wait()
        elif step == "reset" and request.transport is not None:
            request.transport.abort()
        elif step == "endless":
            return await self._pour(request)
        return web.Response()

    async def _pour(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in itertools.count():
            if request.transport is None or request.transport.is_closing() or self._released.is_set():
                return response
            await response.write(b"x" * 65536)
        return response


@contextlib.contextmanager
def running_receiver(*steps: ReconcileResult, port: int = 0) -> Iterator[Receiver]:
    """Run a receiver in its own thread, for tests that block."""
    receiver = Receiver(port=port)
    receiver.answer(*steps)
    loop, ready, stopping = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with receiver:
            ready.set()
            await stopping.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="receiver", daemon=True)
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(PATIENCE)
        loop.close()
