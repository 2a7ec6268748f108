"""A backup job as a timeline: what Azure says of it at each moment of its life."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from demo.simulator.formats import TICKS, iso8601_duration, parse_timestamp, ticks_of, timespan, timestamp

Properties = Mapping[str, Any]
"""A job's properties, or some of them: JSON values under Azure's names."""

NO_TIME = "0001-01-01T00:00:00"
"""What Recovery Services sends for a time that is not known yet; it has no zone."""

_ORDER = (
    "jobType", "duration", "actionsInfo", "containerName", "virtualMachineVersion", "workloadType", "isUserTriggered",
    "errorDetails", "extendedInfo", "entityFriendlyName", "backupManagementType", "operation", "status", "startTime",
    "endTime", "activityId",
)  # fmt: skip
"""The order in which the documentation's example has the properties."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A restore's copying, which has a progress: from one moment of the job to another, at an even pace."""

    begins: float
    """Simulated seconds since the job's start."""
    ends: float
    gigabytes: float
    task_id: str = "Transfer data from vault"

    def onto(self, properties: Properties, *, start: int, elapsed: int, ended: bool) -> dict[str, Any]:
        """Add progress to the extended information and to the task that copies."""
        begins, ends = ticks_of(self.begins), ticks_of(self.ends)
        share = min(max((elapsed - begins) / (ends - begins), 0.0), 1.0)
        percentage = round(100 * share, 1)
        told = {
            "startTime": timestamp(start + begins),
            "endTime": timestamp(start + ends) if ended else NO_TIME,
            "instanceId": "0",
            "progressPercentage": percentage,
            "taskExecutionDetails": f"{round(self.gigabytes * share, 2):g} GBs / {self.gigabytes:g} GBs Transferred",
        }
        extended = dict(properties.get("extendedInfo", {}))
        extended["tasksList"] = [
            {**task, **told} if task["taskId"] == self.task_id else task for task in extended.get("tasksList", ())
        ]
        extended["progressPercentage"] = percentage
        if not ended:
            whole_seconds = max(ends - elapsed, 0) // TICKS * TICKS
            extended["estimatedRemainingDuration"] = timespan(whole_seconds)
        return {**properties, "extendedInfo": extended}


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What Azure says from a moment of the job's life on."""

    status: str
    after: float = 0.0
    """Simulated seconds since the job's start."""
    properties: Properties = field(default_factory=dict)
    """What this state adds to the job's properties or puts in their place."""
    ended: bool = False
    """From here on the duration stands still, and there is an ``endTime``."""
    transfer: Transfer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    A job that lives through its states.

    ``status``, ``duration``, ``startTime`` and ``endTime`` are reckoned unless a state's properties give them.
    """

    name: str
    timeline: tuple[State, ...]
    """In the order of time; the first applies from the start."""
    properties: Properties = field(default_factory=dict)
    """What is the same in every state."""
    start_time: str | None = None
    """As Azure writes it; by default the simulated time at which the job was started."""
    visible_after: float = 0.0
    """Simulated seconds from the start during which Azure does not know the job yet."""
    duration_format: Callable[[int], str] = iso8601_duration

    def __post_init__(self) -> None:
        moments = [state.after for state in self.timeline]
        if not moments or moments[0] != 0 or moments != sorted(moments):
            raise ValueError(f"the timeline of job {self.name} must begin at 0 and go forward: {moments}")

    def state_at(self, elapsed: int) -> State:
        """Find the state that holds *elapsed* ticks after the start."""
        return next(state for state in reversed(self.timeline) if ticks_of(state.after) <= max(elapsed, 0))

    def properties_at(
        self, *, started: int, now: int, duration_format: Callable[[int], str] | None = None
    ) -> dict[str, Any] | None:
        """Tell the job's properties at *now*, or None while it is not visible; by default in its own format."""
        elapsed = now - started
        if elapsed < ticks_of(self.visible_after):
            return None
        state = self.state_at(elapsed)
        start = started if self.start_time is None else parse_timestamp(self.start_time)
        lasted = ticks_of(state.after) if state.ended else max(elapsed, 0)
        properties = {
            "status": state.status,
            "duration": (duration_format or self.duration_format)(lasted),
            "startTime": timestamp(start),
            **({"endTime": timestamp(start + lasted)} if state.ended else {}),
            **self.properties,
            **state.properties,
        }
        if state.transfer is not None:
            properties = state.transfer.onto(properties, start=start, elapsed=elapsed, ended=state.ended)
        known = {name: properties[name] for name in _ORDER if name in properties}
        return known | properties
