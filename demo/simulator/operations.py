"""The timeline of an asynchronous operation, such as starting a backup."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from demo.simulator.formats import ticks_of
from demo.simulator.timeline import Properties

IN_PROGRESS = "InProgress"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationState:
    """The state of an operation from a given time on."""

    status: str
    """``InProgress``, ``Succeeded``, ``Failed``, ``Canceled`` (jobs have ``Cancelled``) or ``Invalid``."""
    after: float = 0.0
    """Simulated seconds since the operation's start."""
    jobs: tuple[str, ...] = ()
    """The names of the started jobs. Each kind of vault has its own format for them."""
    failed_jobs: Mapping[str, str] = field(default_factory=dict)
    """The error codes of jobs that failed to start, by job name."""
    properties: Properties | None = None
    """Properties to send instead of those derived from *jobs*."""
    error: Mapping[str, str] | None = None

    @property
    def running(self) -> bool:
        """Whether the operation is in progress."""
        return self.status.casefold() == IN_PROGRESS.casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation with a timeline. Its success means that jobs started, not that they succeeded."""

    name: str
    timeline: tuple[OperationState, ...]
    """The states in chronological order. The first applies from the start."""
    visible_after: float = 0.0
    """Simulated seconds from the start until GETs find the operation."""

    def __post_init__(self) -> None:
        moments = [state.after for state in self.timeline]
        if not moments or moments[0] != 0 or moments != sorted(moments):
            raise ValueError(f"the timeline of operation {self.name} must begin at 0 and go forward: {moments}")

    @classmethod
    def succeeding(
        cls,
        name: str,
        *jobs: str,
        after: float = 5.0,
        failed_jobs: Mapping[str, str] | None = None,
        properties: Properties | None = None,
    ) -> "Operation":
        """Succeed *after* some seconds with *jobs* or *properties*, or without any properties."""
        end = OperationState(
            status="Succeeded", after=after, jobs=jobs, failed_jobs=failed_jobs or {}, properties=properties
        )
        return cls._running_until(name, end)

    @classmethod
    def provisioning(cls, name: str, *, after: float = 5.0) -> "Operation":
        """Succeed in provisioning a file recovery, which returns a script instead of a job."""
        script = {
            "osType": "Windows",
            "scriptExtension": "exe",
            "scriptNameSuffix": "vm-harbour-01",
            "url": "https://download.example/ilr",
            "scriptContent": "cm0=",
        }
        recovery = {"recoveryTarget": {"clientScripts": [script]}}
        kind = {"objectType": "OperationStatusProvisionILRExtendedInfo"}
        return cls.succeeding(name, after=after, properties=kind | recovery)

    @classmethod
    def failing(
        cls,
        name: str,
        *,
        after: float = 5.0,
        code: str = "UserErrorBackupOperationInProgress",
        message: str = "Unable to initiate backup as another backup operation is currently in progress.",
        status: str = "Failed",
    ) -> "Operation":
        """End with an error. *status* can also be ``Canceled`` or ``Invalid``."""
        error = {"code": code, "message": message}
        return cls._running_until(name, OperationState(status=status, after=after, error=error))

    @classmethod
    def ending(cls, name: str, status: str, *, after: float = 5.0) -> "Operation":
        """End with any status, without properties and errors."""
        return cls._running_until(name, OperationState(status=status, after=after))

    @classmethod
    def _running_until(cls, name: str, end: OperationState) -> "Operation":
        beginning = (OperationState(status=IN_PROGRESS),) if end.after > 0 else ()
        return cls(name=name, timeline=(*beginning, end))

    def state_at(self, elapsed: int) -> OperationState | None:
        """Return the state *elapsed* ticks after the start, or None while the operation is not visible."""
        if elapsed < ticks_of(self.visible_after):
            return None
        return next(state for state in reversed(self.timeline) if ticks_of(state.after) <= max(elapsed, 0))
