"""The timeline of a backup job: its properties in Azure at each point in time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from demo.simulator.formats import TICKS, iso8601_duration, parse_timestamp, ticks_of, timespan, timestamp

Properties = Mapping[str, Any]
"""All or some properties of a job: JSON values with Azure's names."""

NO_TIME = "0001-01-01T00:00:00"
"""The value of unknown times in Recovery Services. It has no time zone."""

_ORDER = (
    "jobType", "duration", "actionsInfo", "containerName", "virtualMachineVersion", "workloadType", "isUserTriggered",
    "errorDetails", "extendedInfo", "entityFriendlyName", "backupManagementType", "operation", "status", "startTime",
    "endTime", "activityId",
)  # fmt: skip
"""The order of the properties in the documentation's example."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """The data transfer of a restore, which reports linear progress between two times of the job."""

    begins: float
    """Simulated seconds since the job's start."""
    ends: float
    gigabytes: float
    task_id: str = "Transfer data from vault"

    def onto(self, properties: Properties, *, start: int, elapsed: int, ended: bool) -> dict[str, Any]:
        """Add the progress to ``extendedInfo`` and to the transfer task."""
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
    """The state of a job from a given time on."""

    status: str
    after: float = 0.0
    """Simulated seconds since the job's start."""
    properties: Properties = field(default_factory=dict)
    """The properties that this state adds to the job's properties or overrides."""
    ended: bool = False
    """Whether the job has ended: its duration is final, and it has an ``endTime``."""
    transfer: Transfer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    A job with a timeline.

    ``status``, ``duration``, ``startTime`` and ``endTime`` are computed unless the properties contain them.
    """

    name: str
    timeline: tuple[State, ...]
    """The states in chronological order. The first applies from the start."""
    properties: Properties = field(default_factory=dict)
    """The properties that all states share."""
    start_time: str | None = None
    """The start time in Azure's format. None: the simulated time at which the job starts."""
    visible_after: float = 0.0
    """Simulated seconds from the start until GETs find the job."""
    duration_format: Callable[[int], str] = iso8601_duration

    def __post_init__(self) -> None:
        moments = [state.after for state in self.timeline]
        if not moments or moments[0] != 0 or moments != sorted(moments):
            raise ValueError(f"the timeline of job {self.name} must begin at 0 and go forward: {moments}")

    def state_at(self, elapsed: int) -> State:
        """Return the state *elapsed* ticks after the start."""
        return next(state for state in reversed(self.timeline) if ticks_of(state.after) <= max(elapsed, 0))

    def properties_at(
        self, *, started: int, now: int, duration_format: Callable[[int], str] | None = None
    ) -> dict[str, Any] | None:
        """Return the job's properties at *now*, or None while the job is not visible."""
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
