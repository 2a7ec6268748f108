"""Record the requests to the simulator, so that tests can check them."""

import asyncio
import contextlib
import hashlib
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from demo.simulator.latch import Latch
from demo.simulator.messages import ArmRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One request, with only a hash of its token."""

    time: datetime
    """The real time, not the simulated one."""
    method: str
    path: str
    """The percent-decoded path in the letter case of the request."""
    query: Mapping[str, str]
    principal: str | None
    header_names: tuple[str, ...]
    """The header names in lowercase."""
    user_agent: str | None
    client_request_id: str | None
    authorization_sha256: str | None
    """The hash of the whole ``Authorization`` header."""
    body: str


class Recorder:
    """Stores the records. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: list[RequestRecord] = []
        self._waiting: list[tuple[int, str | None, Latch]] = []

    def record(self, request: ArmRequest) -> None:
        """Record a request, and wake the callers that wait for it."""
        record = _record(request)
        with self._lock:
            self._records.append(record)
            met = [entry for entry in self._waiting if len(_matching(self._records, entry[1])) >= entry[0]]
            self._waiting = [entry for entry in self._waiting if entry not in met]
        for _, _, latch in met:
            latch.open()

    def records(self, path: str | None = None) -> tuple[RequestRecord, ...]:
        """Return the requests so far, oldest first. The regular expression *path* selects requests."""
        with self._lock:
            return _matching(self._records, path)

    def clear(self) -> None:
        """Clear the recorded requests."""
        with self._lock:
            self._records.clear()

    def wait(self, count: int, *, path: str | None, timeout: float) -> tuple[RequestRecord, ...]:
        """Block this thread until *count* matching requests have arrived since the last :meth:`clear`."""
        with self._expected(count, path) as latch:
            met = latch.wait(timeout)
        return self._outcome(count, path, met=met)

    async def arrived(
        self,
        count: int,
        *,
        path: str | None,
        timeout: float,  # noqa: ASYNC109 - the same signature as wait
    ) -> tuple[RequestRecord, ...]:
        """Wait as :meth:`wait` does, without blocking the event loop."""
        met = False
        with self._expected(count, path) as latch, contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await latch.opened()
                met = True
        return self._outcome(count, path, met=met)

    @contextlib.contextmanager
    def _expected(self, count: int, path: str | None) -> Iterator[Latch]:
        latch = Latch()
        entry = (count, path, latch)
        with self._lock:
            if len(_matching(self._records, path)) >= count:
                latch.open()
            else:
                self._waiting.append(entry)
        try:
            yield latch
        finally:
            with self._lock:
                self._waiting = [other for other in self._waiting if other is not entry]

    def _outcome(self, count: int, path: str | None, *, met: bool) -> tuple[RequestRecord, ...]:
        records = self.records(path)
        if not met:
            raise TimeoutError(f"{len(records)} of {count} requests arrived that match {path or 'anything'}")
        return records


def _matching(records: list[RequestRecord], path: str | None) -> tuple[RequestRecord, ...]:
    return tuple(record for record in records if path is None or re.search(path, record.path, re.IGNORECASE))


def _record(request: ArmRequest) -> RequestRecord:
    authorization = request.headers.get("authorization")
    return RequestRecord(
        time=datetime.now(UTC),
        method=request.method,
        path=request.path,
        query=dict(request.query),
        principal=request.principal,
        header_names=tuple(request.headers),
        user_agent=request.headers.get("user-agent"),
        client_request_id=request.headers.get("x-ms-client-request-id"),
        authorization_sha256=None if authorization is None else hashlib.sha256(authorization.encode()).hexdigest(),
        body=request.body.decode(errors="replace"),
    )
