"""
Faults of an API server, made on request, at exactly the point where a test wants one.

All methods may be called from any thread, and take effect before they return, but for the closing of
connections, which happens at once afterwards in the event loop that owns them. Paths are those that clients
use, without the query; *path* and *agent* are regular expressions to be found in them. *agent* is compared
with the User-Agent, so that a fault for the operator need not hit the kubectl that looks on.
"""

from __future__ import annotations

import contextlib
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Set as AbstractSet

    from .traffic import Request

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
EVENT_TYPE = re.compile(rb'\{"type":"([A-Z]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is to go wrong with which requests."""

    path: str
    method: str = ""
    """Any, if empty."""
    verb: str = ""
    """As RBAC says it: ``watch``, ``list``; any, if empty."""
    agent: str = ""
    status: int | None = None
    """The answer's status; None: there is no answer, the connection is dropped."""
    reason: str = ""
    """The reason in the answer; the usual one of the status, if empty."""
    message: str = "a fault made on request"
    retry_after: int | None = None
    """Seconds for the Retry-After header."""
    times: int | None = None
    """So many requests are hit; None: all, until cleared."""
    acted: bool = False
    """The request takes effect first: only its answer is lost or replaced."""

    def hits(self, request: Request) -> bool:
        return (
            self.method in ("", request.method)
            and self.verb in ("", request.verb)
            and re.search(self.path, request.path) is not None
            and re.search(self.agent, request.agent) is not None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Swallow:
    """Events that watch streams are to miss."""

    path: str
    types: AbstractSet[str]
    holding: bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exchange:
    """A request in progress."""

    request: Request
    drop: Callable[[], object]
    """Closes its connection; may be called from any thread."""


Rule = TypeVar("Rule", Fault, Swallow)


@dataclass(slots=True)
class Armed(Generic[Rule]):
    """A rule, and how often it may still strike; None: always."""

    rule: Rule
    left: int | None

    def strike(self) -> bool:
        if self.left is None:
            return True
        self.left -= 1
        return self.left >= 0


class Faults:
    """The faults that are in force now; none, until a test adds one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Armed[Fault]] = []
        self._swallows: list[Armed[Swallow]] = []
        self._exchanges: set[Exchange] = set()
        self._gone = False
        self._spared: str | None = None

    # For tests

    def add(self, fault: Fault) -> None:
        """Have *fault* strike from now on; the first that fits a request wins."""
        with self._lock:
            self._faults.append(Armed(fault, fault.times))

    def swallow_events(
        self,
        path: str,
        types: AbstractSet[str] = frozenset({"DELETED"}),
        *,
        holding: str = "",
        times: int | None = None,
    ) -> None:
        """Have watch streams silently miss events of these *types* whose JSON holds this text."""
        with self._lock:
            self._swallows.append(Armed(Swallow(path=path, types=frozenset(types), holding=holding.encode()), times))

    def cut_watches(self, path: str = "", *, agent: str = "") -> int:
        """Drop the connections of the watch streams that are open now, and tell how many there were."""
        return self._drop(
            lambda request: (
                request.verb == "watch"
                and bool(re.search(path, request.path))
                and bool(re.search(agent, request.agent))
            )
        )

    def gone(self, *, spare: str | None = None) -> None:
        """
        Drop every connection, present and future, as if there were no API server.

        Requests whose User-Agent holds the regular expression *spare* still get through.
        """
        with self._lock:
            self._gone, self._spared = True, spare
        self._drop(lambda request: self.is_gone(request.agent))

    def back(self) -> None:
        """Answer again, after gone()."""
        with self._lock:
            self._gone = False

    def clear(self) -> None:
        """Take back every fault, and be back."""
        with self._lock:
            self._gone = False
            self._faults.clear()
            self._swallows.clear()

    # For the front

    def is_gone(self, agent: str) -> bool:
        with self._lock:
            return self._gone and not (self._spared is not None and re.search(self._spared, agent))

    def strike(self, request: Request) -> Fault | None:
        """Return the fault for this request, if there is one."""
        with self._lock:
            fits = (armed for armed in self._faults if armed.rule.hits(request))
            return next((armed.rule for armed in fits if armed.strike()), None)

    def swallows(self, path: str, event: bytes) -> bool:
        """Whether a watch of *path* is to miss this *event*, one line of JSON."""
        if not self._swallows:  # the usual case costs nothing
            return False
        match = EVENT_TYPE.match(event)
        with self._lock:
            return any(
                match[1].decode() in armed.rule.types
                and armed.rule.holding in event
                and re.search(armed.rule.path, path)
                and armed.strike()
                for armed in self._swallows
                if match
            )

    @contextlib.contextmanager
    def exchange(self, exchange: Exchange) -> Iterator[None]:
        """Have a request in progress within reach of cut_watches() and gone()."""
        with self._lock:
            self._exchanges.add(exchange)
        try:
            yield
        finally:
            with self._lock:
                self._exchanges.discard(exchange)

    def _drop(self, chosen: Callable[[Request], bool]) -> int:
        with self._lock:
            exchanges = list(self._exchanges)
        victims = [exchange for exchange in exchanges if chosen(exchange.request)]
        for exchange in victims:
            exchange.drop()
        return len(victims)
