"""What every request passes first: it is recorded, and it fails where a test has asked for that."""

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
    """Sends the head of a response."""
    Answer = Callable[[web.Request, Begin, Fault | None], Awaitable[web.StreamResponse]]
    """Answers a request. The fault, if any, is one that strikes after the request took effect."""

SERVER_AGENT = "apiextensions-apiserver/"
"""The API server's own User-Agent: it reads namespaces and services here, which no fault may disturb."""


class Gate:
    """Recording and faults, before *answer*."""

    def __init__(self, answer: Answer) -> None:
        self.faults = Faults()
        self.requests = Traffic()
        self.opened = asyncio.Event()
        """Requests wait for this, but for the first of the API server itself."""
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
            if not known:  # before the answer: whoever has it finds its request recorded
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
                fault = self.faults.strike(asked)
                if fault and not fault.acted:
                    return await failed(request, begin, fault)
                return await self._answer(request, begin, fault)
        finally:
            if not known:
                self.requests.record(asked)


def nothing_yet(request: web.Request) -> web.StreamResponse | None:
    """
    Answer the API server's own first look at policies and namespaces, before anything is served; None for the rest.

    It admits nothing until it has seen what policies there are, the CRD not that the policies are stored by. There are
    none; from then on it watches, and that waits for the opening.
    """
    if request.method != "GET" or not request.headers.get("User-Agent", "").startswith(SERVER_AGENT):
        return None
    if "sendInitialEvents" in request.query:  # a list in the form of a watch: it then asks for a plain one
        return failure(422, "Invalid", "not before this server has started")
    if is_watch(request.method, request.query_string):
        return None
    return web.json_response({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "0"}, "items": []})


def dropped(request: web.Request) -> web.StreamResponse:
    """Close the connection. The response is one that aiohttp will find it cannot send."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def failed(request: web.Request, begin: Begin, fault: Fault) -> web.StreamResponse:
    """Answer as *fault* says."""
    if fault.status is None:
        return dropped(request)
    response = failure(fault.status, fault.reason or REASONS.get(fault.status, "Unknown"), fault.message)
    if fault.retry_after is not None:
        response.headers["Retry-After"] = str(fault.retry_after)
    await begin(response)
    return response


def failure(code: int, reason: str, message: str) -> web.Response:
    """Return an error as the API server words it."""
    status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return web.json_response({**status, "code": code, "reason": reason, "message": message}, status=code)
