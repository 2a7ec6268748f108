"""The first stage of every request: record it, and fail it if a test injected a fault."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from aiohttp import web

from .faults import REASONS, Exchange, Fault, Faults
from .traffic import Request, Traffic, is_watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Begin = Callable[[web.StreamResponse], Awaitable[None]]
    """Sends the status and headers of a response."""
    Answer = Callable[[web.Request, Begin, Fault | None], Awaitable[web.StreamResponse]]
    """Responds to a request. A fault passed to it applies after the request took effect."""

SERVER_AGENT = "apiextensions-apiserver/"
"""The API server's own User-Agent. Faults never apply to its reads of namespaces and services."""


class Gate:
    """Records requests and injects faults before it calls *answer*."""

    def __init__(self, answer: Answer) -> None:
        self.faults = Faults()
        self.requests = Traffic()
        self.opened = asyncio.Event()
        """All requests wait for this event, except the API server's own first ones."""
        self._answer = answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if not self.opened.is_set() and (nothing := nothing_yet(request)) is not None:
            return nothing
        await self.opened.wait()
        method, path, query = request.method, request.path, request.query_string
        asked = Request(method=method, path=path, query=query, agent=request.headers.get("User-Agent", ""), status=None)
        known = asked.agent.startswith(SERVER_AGENT)

        async def begin(response: web.StreamResponse) -> None:
            nonlocal known
            if not known:  # before the response: a client that has it finds its request recorded
                self.requests.record(dataclasses.replace(asked, status=response.status))
                known = True
            await response.prepare(request)

        if known:
            return await self._answer(request, begin, None)
        drop = functools.partial(dropped, request)
        loop = asyncio.get_running_loop()
        exchange = Exchange(request=asked, drop=functools.partial(loop.call_soon_threadsafe, drop))
        try:
            with self.faults.exchange(exchange):
                if self.faults.is_gone(asked.agent):
                    return drop()
                fault = self.faults.find(asked, await request.read())
                if fault and not fault.acted:
                    return await failed(request, begin, fault)
                return await self._answer(request, begin, fault)
        finally:
            if not known:
                self.requests.record(asked)


def nothing_yet(request: web.Request) -> web.StreamResponse | None:
    """
    Return an empty list for the API server's own first reads of policies and namespaces, else None.

    The server admits no object until it has listed the policies, not even the CRD that stores them. Its watches then
    wait until the gate opens.
    """
    if request.method != "GET" or not request.headers.get("User-Agent", "").startswith(SERVER_AGENT):
        return None
    if "sendInitialEvents" in request.query:  # a streaming list: after a 422 the server sends a plain list
        return failure(422, "Invalid", "not before this server has started")
    if is_watch(request.method, request.query_string):
        return None
    return web.json_response({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "0"}, "items": []})


def dropped(request: web.Request) -> web.StreamResponse:
    """Close the connection, and return a response that aiohttp cannot send."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def failed(request: web.Request, begin: Begin, fault: Fault) -> web.StreamResponse:
    """Respond as *fault* specifies."""
    if fault.hold is not None:
        await fault.hold.keep()
    if fault.status is None:
        return dropped(request)
    response = failure(fault.status, fault.reason or REASONS.get(fault.status, "Unknown"), fault.message)
    if fault.retry_after is not None:
        response.headers["Retry-After"] = str(fault.retry_after)
    await begin(response)
    return response


def failure(code: int, reason: str, message: str) -> web.Response:
    """Return an error in the format of the API server."""
    status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return web.json_response({**status, "code": code, "reason": reason, "message": message}, status=code)
