"""The requests to the small cluster, with injected faults and holds."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from backupjobwatch.kube.client import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True, kw_only=True)
class Request:
    """A request and its response status."""

    method: str
    path: str
    query: Mapping[str, str]
    user_agent: str
    body: Any = None
    status: int | None = None
    """None while the request waits, or if the connection was dropped."""

    @property
    def line(self) -> str:
        """Method and path, which rules match."""
        return f"{self.method} {self.path}"


@dataclass(slots=True, kw_only=True)
class Rule:
    """A fault for the next requests that match."""

    line: re.Pattern[str]
    remaining: int | None
    """None means until the fault ends."""
    status: int | None
    """None drops the connection."""
    message: str
    body: str | None
    """The raw response body instead of a Kubernetes Status."""
    late: bool
    """Whether the server executes the request before the fault."""
    agent: re.Pattern[str]
    """Must match the User-Agent of the requests."""
    used: int = 0

    def end(self) -> None:
        """End the fault."""
        self.remaining = 0

    def takes(self, request: Request) -> bool:
        """Return whether the rule applies to *request*, and count it."""
        if self.remaining == 0 or not (self.line.search(request.line) and self.agent.search(request.user_agent)):
            return False
        self.used += 1
        if self.remaining is not None:
            self.remaining -= 1
        return True


@dataclass(slots=True)
class Hold:
    """Delays matching requests before the server executes them, until :meth:`release`."""

    line: re.Pattern[str]
    arrivals: int = 0
    _first: asyncio.Event = field(default_factory=asyncio.Event)
    _first_at: float = 0.0
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    async def arrived(self) -> None:
        """Wait until a request has arrived."""
        async with asyncio.timeout(120):
            await self._first.wait()

    async def reached(self, count: int) -> None:
        """Wait until at least *count* requests have arrived."""
        async with asyncio.timeout(120):
            while self.arrivals < count:  # noqa: ASYNC110 -- the event is set only for the first
                await asyncio.sleep(0.02)

    async def all_arrived(self, count: int, *, settle: float = 0.3) -> None:
        """Wait until *count* requests are held, and check after *settle* seconds that there are no others.

        On a busy machine, held requests may time out before that. Each of them is followed by another.
        """
        await self.reached(count)
        await asyncio.sleep(settle)
        timeouts = int((time.monotonic() - self._first_at) / TIMEOUT)
        assert count <= self.arrivals <= count * (1 + timeouts)

    def stop_holding(self) -> None:
        """Hold no further requests."""
        self.line = re.compile("(?!)")

    def release(self) -> None:
        """Release the held requests, and hold no further ones."""
        self._released.set()

    async def keep(self, request: Request) -> None:
        """Hold *request* if it matches."""
        if not self._released.is_set() and self.line.search(request.line):
            self.arrivals += 1
            if not self._first.is_set():
                self._first_at = time.monotonic()
                self._first.set()
            await self._released.wait()


class Traffic:
    """The requests so far, and the rules for the next ones."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._rules: list[Rule] = []
        self._holds: list[Hold] = []

    def fail(
        self,
        line: str,
        *,
        status: int | None,
        times: int | None = 1,
        message: str = "",
        body: str | None = None,
        late: bool = False,
        agent: str = "",
    ) -> Rule:
        """Fail the next *times* requests whose ``METHOD /path`` and User-Agent match regular expressions."""
        text = message or f"made to fail with {status}"
        rule = Rule(
            line=re.compile(line),
            remaining=times,
            status=status,
            message=text,
            body=body,
            late=late,
            agent=re.compile(agent),
        )
        self._rules.append(rule)
        return rule

    def hold(self, line: str) -> Hold:
        """Hold requests whose ``METHOD /path`` matches a regular expression."""
        hold = Hold(re.compile(line))
        self._holds.append(hold)
        return hold

    async def admit(self, request: Request) -> Rule | None:
        """Record *request*, wait for its holds, and return its fault."""
        self.requests.append(request)
        for hold in self._holds:
            await hold.keep(request)
        return next((rule for rule in self._rules if rule.takes(request)), None)

    def release(self) -> None:
        """Release every hold."""
        for hold in self._holds:
            hold.release()

    def matching(self, line: str) -> list[Request]:
        """Return the requests so far whose ``METHOD /path`` matches a regular expression."""
        return [request for request in self.requests if re.search(line, request.line)]
