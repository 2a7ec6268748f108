"""The requests to the small cluster: those that were made, those that fail, and those that have to wait."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True, kw_only=True)
class Request:
    """One request, and how it was answered."""

    method: str
    path: str
    query: Mapping[str, str]
    user_agent: str
    body: Any = None
    status: int | None = None
    """None while it waits, and where the connection was dropped."""

    @property
    def line(self) -> str:
        """Method and path: what rules are matched to."""
        return f"{self.method} {self.path}"


@dataclass(slots=True, kw_only=True)
class Rule:
    """A fault for the next requests that match."""

    line: re.Pattern[str]
    remaining: int | None
    """None: until it is taken back."""
    status: int | None
    """None: the connection is dropped."""
    message: str
    body: str | None
    """The whole answer, in place of what a server would say."""
    late: bool
    """Whether the request is carried out, and its answer lost."""
    agent: re.Pattern[str]
    """Found in the User-Agent of those requests."""
    used: int = 0

    def end(self) -> None:
        """Take the fault back."""
        self.remaining = 0

    def takes(self, request: Request) -> bool:
        """Tell whether the rule is for *request*, and count it."""
        if self.remaining == 0 or not (self.line.search(request.line) and self.agent.search(request.user_agent)):
            return False
        self.used += 1
        if self.remaining is not None:
            self.remaining -= 1
        return True


@dataclass(slots=True)
class Hold:
    """Keeps matching requests waiting, before they are carried out, until :meth:`release`."""

    line: re.Pattern[str]
    arrivals: int = 0
    _first: asyncio.Event = field(default_factory=asyncio.Event)
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    async def arrived(self) -> None:
        """Wait until a request has arrived."""
        async with asyncio.timeout(60):
            await self._first.wait()

    async def all_arrived(self, count: int, *, settle: float = 0.3) -> None:
        """Wait until so many requests are held, and *settle* seconds for what there may be besides: there are no more."""
        async with asyncio.timeout(60):
            while self.arrivals < count:  # noqa: ASYNC110 -- only the first wakes anybody
                await asyncio.sleep(0.02)
        await asyncio.sleep(settle)
        assert self.arrivals == count

    def let_others_pass(self) -> None:
        """Hold no more than those that have arrived."""
        self.line = re.compile("(?!)")

    def release(self) -> None:
        """Let the requests go on, and hold no more."""
        self._released.set()

    async def keep(self, request: Request) -> None:
        """Hold *request*, if it is one of those."""
        if not self._released.is_set() and self.line.search(request.line):
            self.arrivals += 1
            self._first.set()
            await self._released.wait()


class Traffic:
    """Requests so far, and what is to happen to the next."""

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
        """Let the next *times* requests fail whose ``METHOD /path`` and User-Agent match regular expressions."""
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
        """Keep such requests waiting."""
        hold = Hold(re.compile(line))
        self._holds.append(hold)
        return hold

    async def admit(self, request: Request) -> Rule | None:
        """Note *request*, let it wait, and find the fault that is for it."""
        self.requests.append(request)
        for hold in self._holds:
            await hold.keep(request)
        return next((rule for rule in self._rules if rule.takes(request)), None)

    def release(self) -> None:
        """Release every hold."""
        for hold in self._holds:
            hold.release()

    def matching(self, line: str) -> list[Request]:
        """List the requests so far whose ``METHOD /path`` matches a regular expression."""
        return [request for request in self.requests if re.search(line, request.line)]
