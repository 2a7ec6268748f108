"""
The reverse proxy in front of the API server, which adds the features that the server lacks.

The front forwards requests to a kube-apiserver unchanged, streaming watches included. The apiextensions-apiserver
serves custom resources only. For it, the front adds:

* /api and /apis, composed from the server's own discovery of each group.
* Namespaces, events, deployments and other built-in kinds. They are objects of hidden CRDs, so the real server
  stores, watches, patches and prints them too. See ``kinds`` and ``translation``.
* The deletion of namespaces. See ``namespaces``.
* Tokens of ServiceAccounts. See ``service_accounts``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from . import protobuf
from .gate import Gate, dropped, failed, failure
from .kinds import CRDS, HIDDEN, NAMESPACES, Kind
from .namespaces import Namespaces
from .outgoing import HOP_BY_HOP, JSON, Outgoing
from .patches import merge_patch
from .service_accounts import ServiceAccountTokens
from .traffic import is_watch
from .translation import route, schema_path, to_client, to_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .faults import Fault
    from .gate import Begin
    from .service_accounts import SigningKey
    from .upstream import Upstream

STRATEGIC_MERGE = "application/strategic-merge-patch+json"
WRITES_AT_A_TIME = 50
"""A limit, because each connection to the API server takes 250 kB of memory."""


class Front:
    """An HTTP handler that forwards to the API server *upstream*."""

    def __init__(self, upstream: Upstream, key: SigningKey, *, complete: bool) -> None:
        """Sign tokens with *key*. *complete*: the server is a kube-apiserver, and the front adds nothing."""
        self.gate = Gate(self._answer)
        self._upstream = upstream
        self._complete = complete
        self._namespaces = Namespaces(upstream)
        self._tokens = ServiceAccountTokens(upstream, key)
        self._writes = asyncio.Semaphore(WRITES_AT_A_TIME)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self.gate.handle)
        return app

    async def open(self) -> None:
        """Create the objects that every cluster has, then accept requests."""
        if not self._complete:
            await self._upstream.install()
            await self._namespaces.install()
        self.gate.opened.set()

    def close(self) -> None:
        self._namespaces.close()

    async def _answer(self, request: web.Request, begin: Begin, fault: Fault | None) -> web.StreamResponse:
        if request.path in ("/api", "/apis") and not self._complete:
            response = web.json_response(await self._discovery(request.path))
            await begin(response)
            return response
        if not self._complete and (token := await self._tokens.answer(request)) is not None:
            if fault is not None:
                return await failed(request, begin, fault)
            await begin(token)
            return token
        # GETs need no permit: watches are long, and admission reads namespaces here during a write.
        async with contextlib.nullcontext() if request.method == "GET" else self._writes:
            outgoing = Outgoing(request, await request.read())
            try:
                if not self._complete:
                    await self._translate(outgoing)
                answer = await self._upstream.http.request(
                    outgoing.method,
                    outgoing.url(self._upstream.url),
                    headers=outgoing.headers,
                    data=outgoing.body or None,
                    allow_redirects=False,
                )
            except ValueError as error:
                response = failure(415, "UnsupportedMediaType", str(error))
            except aiohttp.ClientConnectionError as error:
                response = failure(503, "ServiceUnavailable", f"the API server does not answer: {error}")
            else:
                async with answer:
                    if fault is None:
                        return await self._relay(answer, outgoing, request, begin)
                    await answer.read()
                    return await failed(request, begin, fault)
            await begin(response)
            return response

    async def _discovery(self, path: str) -> dict[str, Any]:
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        groups = json.loads(to_client(json.dumps(await self._upstream.groups()).encode()))
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group for group in groups if group["name"]]}

    async def _translate(self, outgoing: Outgoing) -> None:
        if outgoing.path.startswith("/openapi/v3"):
            outgoing.translate(schema_path(outgoing.path))
        elif (found := route(outgoing.path)) is not None:
            outgoing.translate(found.path)
            if found.kind is not None:
                await self._translate_object(outgoing, found.kind)
        elif outgoing.path.partition("?")[0] == CRDS and outgoing.method == "GET":
            outgoing.select(f"!{HIDDEN}")

    async def _translate_object(self, outgoing: Outgoing, kind: Kind) -> None:
        path = outgoing.path.partition("?")[0]
        if outgoing.method == "DELETE":
            name = path.removeprefix(kind.path)[1:]
            if kind.plural == NAMESPACES and name and "dryRun" not in outgoing.path and b"dryRun" not in outgoing.body:
                await self._namespaces.terminate(name)
        elif outgoing.body:
            body, content_type = to_server(outgoing.body, outgoing.method, kind), outgoing.content_type
            if content_type == STRATEGIC_MERGE:
                # Lists are merged here with the live object. The server merges the rest later.
                _, live = await self._upstream.call("GET", path.removesuffix("/status"))
                body, content_type = merge_patch(live, body), "application/merge-patch+json"
            elif outgoing.method == "PUT" and not body["metadata"].get("resourceVersion"):
                # Built-in kinds can be replaced without a resourceVersion, custom resources cannot.
                _, live = await self._upstream.call("GET", path.removesuffix("/status"))
                body["metadata"]["resourceVersion"] = live.get("metadata", {}).get("resourceVersion")
            outgoing.send(body, JSON if content_type == protobuf.CONTENT_TYPE else content_type)

    async def _relay(
        self, answer: aiohttp.ClientResponse, outgoing: Outgoing, request: web.Request, begin: Begin
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        for name in HOP_BY_HOP:
            response.headers.popall(name, None)
        await begin(response)
        events = is_watch(request.method, request.query_string) and answer.content_type == JSON
        try:
            async for data in (
                whole_lines(answer.content) if events or outgoing.translated else answer.content.iter_any()
            ):
                piece = to_client(data) if outgoing.translated else data
                if events:
                    piece = self._without_swallowed(request.path, piece)
                if piece:
                    await response.write(piece)
        except aiohttp.ClientPayloadError:  # the API server closed the connection
            return dropped(request)
        except ConnectionResetError:  # the client closed the connection
            pass
        return response

    def _without_swallowed(self, path: str, events: bytes) -> bytes:
        lines = events.splitlines(keepends=True)
        return b"".join(line for line in lines if not self.gate.faults.swallows(path, line))


async def whole_lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """
    Yield the content in chunks that end at line ends: a watch event is one line.

    This keeps the names to translate in one chunk. Lines can have any length.
    """
    begun: list[bytes] = []
    async for data in content.iter_any():
        head, newline, tail = data.rpartition(b"\n")
        if newline:
            yield b"".join((*begun, head, newline))
            begun = []
        begun.append(tail)
    if rest := b"".join(begun):
        yield rest
