"""
Inject faults of an API server at exactly the point that a test needs.

All methods are thread-safe and take effect before they return. The exception is closing connections, which the
event loop that owns them does immediately afterwards. The regular expression *path* is matched with the client's
path without the query. The regular expression *agent* is matched with the User-Agent, so that a fault can hit the
operator but not kubectl.
"""

from __future__ import annotations

import contextlib
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from demo.simulator.latch import Latch

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


@dataclass(frozen=True, slots=True, eq=False)
class Hold:
    """Delays the failures of a fault until the ``with`` block ends."""

    arrived: Latch = field(default_factory=Latch)
    released: Latch = field(default_factory=Latch)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.released.open()

    def wait_arrived(self, timeout: float = 60.0) -> None:
        """Block this thread until a request is held."""
        if not self.arrived.wait(timeout):
            raise TimeoutError("no request arrived")

    async def keep(self) -> None:
        """Hold one request until the release."""
        self.arrived.open()
        await self.released.opened()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The requests that fail, and how."""

    path: str
    method: str = ""
    """Empty: any method."""
    verb: str = ""
    """The RBAC verb, such as ``watch`` or ``list``. Empty: any verb."""
    agent: str = ""
    body: str = ""
    """A regular expression, searched in the body of the request. Empty: any body."""
    status: int | None = None
    """The status of the response. None: drop the connection without a response."""
    reason: str = ""
    """The reason in the response. Empty: the usual reason for the status."""
    message: str = "a fault made on request"
    retry_after: int | None = None
    """The Retry-After header, in seconds."""
    times: int | None = None
    """The number of requests that fail. None: all requests until the fault is cleared."""
    acted: bool = False
    """Whether the request takes effect first, so that only its response is lost or replaced."""
    hold: Hold | None = None

    def hits(self, request: Request, body: bytes) -> bool:
        return (
            self.method in ("", request.method)
            and self.verb in ("", request.verb)
            and re.search(self.path, request.path) is not None
            and re.search(self.agent, request.agent) is not None
            and re.search(self.body.encode(), body) is not None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Swallow:
    """The events that watch streams miss."""

    path: str
    types: AbstractSet[str]
    holding: bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exchange:
    """A request in progress."""

    request: Request
    drop: Callable[[], object]
    """Closes the connection. Thread-safe."""


Rule = TypeVar("Rule", Fault, Swallow)


@dataclass(slots=True)
class Armed(Generic[Rule]):
    """A rule, and how many more times it applies. None: without a limit."""

    rule: Rule
    left: int | None

    def use(self) -> bool:
        if self.left is None:
            return True
        self.left -= 1
        return self.left >= 0


class Faults:
    """The active faults. There are none until a test adds one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Armed[Fault]] = []
        self._swallows: list[Armed[Swallow]] = []
        self._exchanges: set[Exchange] = set()
        self._gone = False
        self._spared: str | None = None

    # For tests

    def add(self, fault: Fault) -> None:
        """Activate *fault*. If several faults match a request, the first one applies."""
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
        """Silently drop watch events of these *types* whose JSON contains the text *holding*."""
        with self._lock:
            self._swallows.append(Armed(Swallow(path=path, types=frozenset(types), holding=holding.encode()), times))

    def cut_watches(self, path: str = "", *, agent: str = "") -> int:
        """Drop the connections of all open watch streams that match, and return their number."""
        return self._drop(
            lambda request: (
                request.verb == "watch"
                and bool(re.search(path, request.path))
                and bool(re.search(agent, request.agent))
            )
        )

    def gone(self, *, spare: str | None = None) -> None:
        """
        Drop all existing and new connections, as if the API server did not exist.

        Requests whose User-Agent matches the regular expression *spare* still succeed.
        """
        with self._lock:
            self._gone, self._spared = True, spare
        self._drop(lambda request: self.is_gone(request.agent))

    def back(self) -> None:
        """Serve requests again after gone()."""
        with self._lock:
            self._gone = False

    def clear(self) -> None:
        """Remove all faults, and serve requests again."""
        with self._lock:
            self._gone = False
            self._faults.clear()
            self._swallows.clear()

    # For the front

    def is_gone(self, agent: str) -> bool:
        with self._lock:
            return self._gone and not (self._spared is not None and re.search(self._spared, agent))

    def find(self, request: Request, body: bytes) -> Fault | None:
        """Return the fault that applies to this request, or None."""
        with self._lock:
            fits = (armed for armed in self._faults if armed.rule.hits(request, body))
            return next((armed.rule for armed in fits if armed.use()), None)

    def swallows(self, path: str, event: bytes) -> bool:
        """Return whether a watch of *path* misses this *event*, which is one line of JSON."""
        if not self._swallows:  # the common case, without the lock
            return False
        match = EVENT_TYPE.match(event)
        with self._lock:
            return any(
                match[1].decode() in armed.rule.types
                and armed.rule.holding in event
                and re.search(armed.rule.path, path)
                and armed.use()
                for armed in self._swallows
                if match
            )

    @contextlib.contextmanager
    def exchange(self, exchange: Exchange) -> Iterator[None]:
        """Register a request in progress, so that cut_watches() and gone() can drop it."""
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
