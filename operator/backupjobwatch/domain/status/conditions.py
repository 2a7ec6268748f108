"""Convert conditions to entries of ``status.conditions``, by the Kubernetes API conventions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from backupjobwatch.domain.jobs.times import format_time

if TYPE_CHECKING:
    from datetime import datetime

ConditionStatus = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of a watch.

    ``Ready``, ``Succeeded``, ``Finished`` and ``AzureReachable`` are always present. ``Complete``, ``Failed``,
    ``Reconciling`` and ``Stalled`` are present only while True, as kstatus requires.
    """

    type: str
    status: ConditionStatus
    reason: str
    message: str


def write_conditions(
    conditions: Iterable[Condition], *, previous: Iterable[Any], generation: int, now: datetime
) -> list[dict[str, Any]]:
    """Return *conditions* as entries of ``status.conditions``.

    ``lastTransitionTime`` changes only with ``status``, like in Go's ``meta.SetStatusCondition``.
    """
    since = {
        (condition.get("type"), condition.get("status")): condition["lastTransitionTime"]
        for condition in previous
        if isinstance(condition, Mapping) and isinstance(condition.get("lastTransitionTime"), str)
    }
    return [
        {
            "type": condition.type,
            "status": condition.status,
            "observedGeneration": generation,
            "lastTransitionTime": since.get((condition.type, condition.status), format_time(now)),
            "reason": condition.reason,
            "message": condition.message,
        }
        for condition in conditions
    ]
