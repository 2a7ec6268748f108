"""Pauses that Azure demands, each for one kind of request of a principal in a subscription."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

RequestKind = Literal["job", "list", "operation", "secondary"]
JOB: Final = "job"
LIST: Final = "list"
OPERATION: Final = "operation"
SECONDARY: Final = "secondary"
"""Reads of jobs in a secondary region. They are POST requests, which Azure counts as writes."""
READS: Final[tuple[RequestKind, ...]] = (JOB, LIST, OPERATION)
"""The kinds of requests that Azure counts as reads. Azure throttles each kind separately."""
KINDS: Final[tuple[RequestKind, ...]] = (*READS, SECONDARY)
"""All kinds of requests."""


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
        """Pause *kind* after a 429. With *everything*, or if a second kind is refused as well, pause all reads.

        Azure limits writes separately, so reads and reads in a secondary region never pause each other.
        """
        if kind == SECONDARY:
            self.extend(kind, until=until)
            return
        is_second = any(end > now for other, end in self._refused.items() if other != kind)
        self._refused[kind] = max(self._refused.get(kind, until), until)
        for each in READS if everything or is_second else (kind,):
            self.extend(each, until=until)

    def left(self, kind: RequestKind, now: float) -> float:
        """Return the seconds until requests of *kind* may be sent."""
        return max(self._ends.get(kind, now) - now, 0.0)

    def longest(self, now: float, kinds: Iterable[RequestKind] = KINDS) -> float:
        """Return the seconds until requests of all *kinds* may be sent."""
        return max(self.left(kind, now) for kind in kinds)
