"""Pauses that Azure asks for, each for one kind of request of a principal in a subscription."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

JOB: Final = "job"
LIST: Final = "list"
OPERATION: Final = "operation"
KINDS: Final = (JOB, LIST, OPERATION)
"""The kinds of requests. Azure throttles each kind on its own."""


@dataclass(slots=True)
class Pauses:
    """When requests of each kind may be sent again. All times are seconds on one monotonic clock."""

    _ends: dict[str, float] = field(default_factory=dict)

    def extend(self, kind: str, *, until: float, now: float, everything: bool = False) -> None:
        """Pause *kind*. With *everything*, or if another kind is paused as well, pause all kinds."""
        has_other = any(end > now for other, end in self._ends.items() if other != kind)
        for each in KINDS if everything or has_other else (kind,):
            self._ends[each] = max(self._ends.get(each, until), until)

    def left(self, kind: str, now: float) -> float:
        """Return the seconds until requests of *kind* may be sent."""
        return max(self._ends.get(kind, now) - now, 0.0)

    def longest(self, now: float) -> float:
        """Return the seconds until requests of every kind may be sent."""
        return max(self.left(kind, now) for kind in KINDS)
