"""An operation as a timeline: what became of a request to Azure Backup, such as to start a backup, at each moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from demo.simulator.formats import ticks_of
from demo.simulator.timeline import Properties

IN_PROGRESS = "InProgress"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationState:
    """What Azure says from a moment of the operation's life on."""

    status: str
    """``InProgress``, ``Succeeded``, ``Failed``, ``Canceled`` (one l, unlike a job's), ``Invalid``."""
    after: float = 0.0
    """Simulated seconds since the operation's start."""
    jobs: tuple[str, ...] = ()
    """The names of the jobs that it started; each kind of vault tells them in its own words."""
    failed_jobs: Mapping[str, str] = field(default_factory=dict)
    """Jobs that could not even be started: their names, with a code of an error each."""
    properties: Properties | None = None
    """Exactly these, instead of what *jobs* come to."""
    error: Mapping[str, str] | None = None

    @property
    def running(self) -> bool:
        """Tell whether the operation has not ended."""
        return self.status.casefold() == IN_PROGRESS.casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation that lives through its states. Its success says that jobs were started, not that they succeeded."""

    name: str
    timeline: tuple[OperationState, ...]
    """In the order of time; the first applies from the start."""
    visible_after: float = 0.0
    """Simulated seconds from the start during which Azure does not know the operation yet."""

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
        """Succeed *after* some seconds, and name these jobs; with none, and no *properties*, the answer has no properties."""
        end = OperationState(
            status="Succeeded", after=after, jobs=jobs, failed_jobs=failed_jobs or {}, properties=properties
        )
        return cls._running_until(name, end)

    @classmethod
    def provisioning(cls, name: str, *, after: float = 5.0) -> "Operation":
        """Succeed in preparing the recovery of single files: there is no job, but a script to run."""
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
        message: str = "Another operation is already running for this item.",
        status: str = "Failed",
    ) -> "Operation":
        """End in an error; *status* may also be ``Canceled`` or ``Invalid``."""
        error = {"code": code, "message": message}
        return cls._running_until(name, OperationState(status=status, after=after, error=error))

    @classmethod
    def ending(cls, name: str, status: str, *, after: float = 5.0) -> "Operation":
        """End in any status, without another word."""
        return cls._running_until(name, OperationState(status=status, after=after))

    @classmethod
    def _running_until(cls, name: str, end: OperationState) -> "Operation":
        beginning = (OperationState(status=IN_PROGRESS),) if end.after > 0 else ()
        return cls(name=name, timeline=(*beginning, end))

    def state_at(self, elapsed: int) -> OperationState | None:
        """Find the state that holds *elapsed* ticks after the start; None while the operation is not visible."""
        if elapsed < ticks_of(self.visible_after):
            return None
        return next(state for state in reversed(self.timeline) if ticks_of(state.after) <= max(elapsed, 0))
