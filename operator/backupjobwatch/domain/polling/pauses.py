"""Pauses that Azure demands, each for one kind of request of a principal in a subscription."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

RequestKind = Literal["job", "list", "operation"]
JOB: Final = "job"
LIST: Final = "list"
OPERATION: Final = "operation"
KINDS: Final[tuple[RequestKind, ...]] = (JOB, LIST, OPERATION)
"""The kinds of requests. Azure throttles each kind separately."""


@dataclass(slots=True)
class Pauses:
    """When requests of each kind may be sent again. All times are seconds on one monotonic clock."""

    _ends: dict[RequestKind, float] = field(default_factory=dict)
    _refused: dict[RequestKind, float] = field(default_factory=dict)
    """When the pause after a 429 ends, by kind of request."""

    def extend(self, kind: RequestKind, *, until: float) -> None:
        """Pause *kind*, for example after a 503 with ``Retry-After``. A shorter pause does not end a longer one."""
        self._ends[kind] = max(self._ends.get(kind, until), until)

    def refuse(self, kind: RequestKind, *, until: float, now: float, everything: bool = False) -> None:
        """Pause *kind* after a 429. With *everything*, or if a second kind is refused as well, pause all kinds."""
        is_second = any(end > now for other, end in self._refused.items() if other != kind)
        self._refused[kind] = max(self._refused.get(kind, until), until)
        for each in KINDS if everything or is_second else (kind,):
            self.extend(each, until=until)

    def left(self, kind: RequestKind, now: float) -> float:
        """Return the seconds until requests of *kind* may be sent."""
        return max(self._ends.get(kind, now) - now, 0.0)

    def longest(self, now: float) -> float:
        """Return the seconds until requests of every kind may be sent."""
        return max(self.left(kind, now) for kind in KINDS)
