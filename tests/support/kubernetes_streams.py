"""The watch streams of the small cluster."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from typing import TYPE_CHECKING, Any

from aiohttp import web

from backupjobwatch.constants import API_VERSION, KIND
from tests.support.kubernetes_objects import Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.support.kubernetes_objects import Change, Objects


class Streams:
    """All open streams. Each gets every change once."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._open: set[_Stream] = set()
        self._sent = objects.version
        self._swallowed: deque[tuple[str, str]] = deque()
        self.ending = False
        """Whether each new stream ends immediately, without an event."""

    def __len__(self) -> int:
        return sum(stream.alive for stream in self._open)

    def swallow(self, event: str, name: str) -> None:
        """Drop the next change of that type for the object with that name."""
        self._swallowed.append((event, name))

    def cut(self) -> None:
        """Drop all connections."""
        for stream in self._open:
            stream.cut()

    def repeat(self, body: Mapping[str, Any], event: str = "MODIFIED") -> None:
        """Send a late *event* with *body* on each open stream."""
        for stream in self._open:
            stream.send(event, body)

    def send_changes(self) -> None:
        """Send the new changes of the history."""
        for change in self._objects.changes(since=self._sent):
            if self._swallowed and self._swallowed[0] == (change.type, change.name):
                self._swallowed.popleft()
                continue
            for stream in self._open:
                stream.send_change(change)
        self._sent = self._objects.version

    async def serve(self, http: web.BaseRequest, namespace: str | None) -> web.StreamResponse:
        """Serve a watch stream until its timeout or the end of its connection."""
        stream = _Stream(http, namespace)
        since, compacted = int(http.query["resourceVersion"]), self._objects.compacted
        if self.ending:
            stream.end()
        elif since < compacted:
            gone = Refused(410, "Expired", f"too old resource version: {since} ({compacted})")
            stream.send("ERROR", gone.as_status())
            stream.end()
        else:
            for change in self._objects.changes(since=since):
                stream.send_change(change)
        self._open.add(stream)
        try:
            return await stream.run(float(http.query["timeoutSeconds"]), self._objects)
        finally:
            self._open.discard(stream)


class _Stream:
    def __init__(self, http: web.BaseRequest, namespace: str | None) -> None:
        self._http = http
        self._namespace = namespace
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()

    @property
    def alive(self) -> bool:
        return self._http.transport is not None and not self._http.transport.is_closing()

    def send_change(self, change: Change) -> None:
        if self._namespace in (None, change.namespace):
            self.send(change.type, change.after)

    def send(self, kind: str, value: Mapping[str, Any]) -> None:
        self._lines.put_nowait(_line(kind, value))

    def end(self) -> None:
        """Close the stream after all pending lines."""
        self._lines.put_nowait(None)

    def cut(self) -> None:
        if self._http.transport is not None:
            self._http.transport.abort()
        self.end()

    async def run(self, seconds: float, objects: Objects) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        with contextlib.suppress(ConnectionError):
            await response.prepare(self._http)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    async for line in self._until_end():
                        await response.write(line)
            bookmark = {"resourceVersion": str(objects.version)}
            await response.write(_line("BOOKMARK", {"kind": KIND, "apiVersion": API_VERSION, "metadata": bookmark}))
            await response.write_eof()
        return response

    async def _until_end(self) -> AsyncIterator[bytes]:
        while (line := await self._lines.get()) is not None:
            yield line


def _line(kind: str, value: Mapping[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": value}).encode() + b"\n"
