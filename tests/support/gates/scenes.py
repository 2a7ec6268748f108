"""Bring watches to each state that the operator can write: one scene per phase and reason, and edits.

Each scene has its own watch and uses the whole operator. It ends when the watch has the expected status.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from demo.simulator import Fault, Operation
from tests.support.gates import on_demand_scenes as on_demand
from tests.support.gates.stage import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.gates.stage import Watch

    Play = Callable[[Watch], Awaitable[None]]

RUNNING: Final = "job-iaasvm-inprogress"
COMPLETED: Final = "job-iaasvm-completed"
WARNED: Final = "job-iaasvm-completedwithwarnings"
FAILED: Final = "job-iaasvm-failed"
_FEW: Final = 51
"""One job more than the status can list, so the operator continues to poll the operation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A state named as in docs/gates.md, and how to reach it."""

    watch: str
    """The row of the document."""
    phase: str
    reason: str
    play: Play
    generation: int = 1

    @property
    def name(self) -> str:
        """The name of the object, which is the same in every run."""
        words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in self.phase + self.reason)
        return words.strip("-") + ("" if self.generation == 1 else "-edited")


def shown(example: str, **spec: Any) -> Play:
    """Azure returns the job."""

    async def play(watch: Watch) -> None:
        watch.show(example)
        watch.create(**spec)

    return play


def missed(*, vault: bool = False, **spec: Any) -> Play:
    """Azure returns no such job, or no such vault."""

    async def play(watch: Watch) -> None:
        if vault:
            watch.trouble(Fault.vault_not_found())
        watch.create(**spec)

    return play


def failing(fault: Fault, **spec: Any) -> Play:
    """All requests fail."""

    async def play(watch: Watch) -> None:
        watch.trouble(fault)
        watch.create(**spec)

    return play


def failing_later(fault: Fault) -> Play:
    """Requests fail after the operator has found the job."""

    async def play(watch: Watch) -> None:
        watch.show(RUNNING)
        watch.create()
        await watch.until("Running", "JobInProgress")
        watch.trouble(fault)

    return play


def edited(before: Play, phase: str, reason: str, **spec: Any) -> Play:
    """A user edits the spec of a watch in another state."""

    async def play(watch: Watch) -> None:
        await before(watch)
        await watch.until(phase, reason)
        watch.edit(**spec)

    return play


def another_job(before: Play, phase: str, reason: str, *, example: str = "") -> Play:
    """A user selects another job in a finished watch. Azure does not return it yet, or returns *example*."""

    async def play(watch: Watch) -> None:
        await before(watch)
        await watch.until(phase, reason)
        watch.job = watch.guid("another job")
        if example:
            watch.show(example)
        watch.edit(**watch.source)

    return play


def started_by(*, ends: str = "", jobs: int = 0, **spec: Any) -> Play:
    """The spec selects an operation that is running, or *ends* with this status and number of jobs."""

    async def play(watch: Watch) -> None:
        if ends == "Succeeded":
            watch.vault.add_operation(Operation.succeeding(watch.operation, after=0))
        elif ends:
            watch.vault.add_operation(Operation.failing(watch.operation, status=ends, after=0))
        else:
            watch.vault.add_operation(Operation.succeeding(watch.operation, watch.job, after=3600))
        watch.create(operationId=watch.operation, vault=watch.in_vault, **spec)

    return play


async def no_longer_lists_its_jobs(watch: Watch) -> None:
    """An operation no longer lists its many jobs, and a restarted operator has only the status."""
    names = [watch.guid(f"job {number}") for number in range(_FEW)]
    watch.job = names[0]
    watch.show(RUNNING)
    running = watch.vault.find_job(watch.job) or {}
    for name in names:
        watch.vault.set_job(name, running)
    watch.vault.add_operation(Operation.succeeding(watch.operation, *names, after=0))
    watch.create(operationId=watch.operation, vault=watch.in_vault)
    await watch.until("Running", "JobInProgress")
    watch.vault.add_operation(Operation.succeeding(watch.operation, after=0))
    watch.restore()


def latest(*, containers: int = 0) -> Play:
    """The spec selects an item with recent jobs in this number of containers."""

    async def play(watch: Watch) -> None:
        now = datetime.now(UTC)
        for number in range(containers):
            watch.job = watch.guid(f"job of container {number}")
            began = f"{now - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
            watch.show(RUNNING, containerName=f"iaasvmcontainerv2;rg-{number};vm-harbour-01", startTime=began)
        after = f"{now - timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}"
        watch.create(latest={"item": "vm-harbour-01", "startedAfter": after}, vault=watch.in_vault)

    return play


async def listed_without_end(watch: Watch) -> None:
    """The list of the vault's jobs has more pages than the operator reads."""
    watch.trouble(Fault.endless_list(to=watch.sim.url))
    after = f"{datetime.now(UTC) - timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}"
    watch.create(latest={"item": "vm-harbour-01", "startedAfter": after}, vault=watch.in_vault)


def identity(spoil: Callable[[Watch], None], *, seen: bool, **spec: Any) -> Play:
    """The watch's own ServiceAccount is broken from the start, or after the job was *seen*."""

    async def play(watch: Watch) -> None:
        watch.own_identity()
        watch.show(RUNNING)
        if not seen:
            spoil(watch)
        watch.create(identity={"serviceAccountName": ACCOUNT}, **spec)
        if seen:
            await watch.until("Running", "JobInProgress")
            spoil(watch)

    return play


def missing(watch: Watch) -> None:
    """The ServiceAccount does not exist."""
    watch.api.identities.delete("serviceaccounts", ACCOUNT, namespace=watch.namespace)


def forbidden(watch: Watch) -> None:
    """The operator has no permission to read the ServiceAccount."""
    watch.api.identities.forbid("serviceaccounts", ACCOUNT, namespace=watch.namespace)


def unavailable(watch: Watch) -> None:
    """The API server does not return the ServiceAccount."""
    watch.api.traffic.fail(f"/{watch.namespace}/serviceaccounts/{ACCOUNT}$", status=503, times=None)


async def invalid(watch: Watch) -> None:
    """A spec that an older CRD accepted."""
    watch.create(checked=False, jobName=watch.job)


PENDING: Final = "pending: the operation runs, no job yet, not visible yet"
IN_PROGRESS: Final = "running: in progress, being cancelled, an unknown status"
RETRYING: Final = "retrying: throttled, Azure down, access refused, no identity"
SUSPENDED: Final = "suspended before its end"
SUCCEEDED: Final = "succeeded"
HAS_FAILED: Final = "failed"
STARTED_OVER: Final = "target edited: restarted"
STILL_SUCCEEDED: Final = "succeeded, then another field edited"
STILL_FAILED: Final = "failed, then another field edited"

_TROUBLES: Final = {
    "Throttled": Fault.throttled(retry_after=300),
    "AzureUnavailable": Fault.server_error(status=503),
    "UnexpectedResponse": Fault.html(status=200),
    "AuthenticationFailed": Fault.unauthorized(),
    "AuthorizationFailed": Fault.forbidden(),
}
_NO_GRACE: Final[dict[str, Any]] = {"graceSeconds": 0}


def _scene(watch: str, phase: str, reason: str, play: Play, generation: int = 1) -> Scene:
    return Scene(watch=watch, phase=phase, reason=reason, play=play, generation=generation)


SCENES: Final = (
    _scene(PENDING, "Pending", "Progressing", started_by()),
    _scene(PENDING, "Pending", "OperationWithoutJob", started_by(ends="Succeeded")),
    _scene(PENDING, "Pending", "WaitingForJob", latest()),
    _scene(PENDING, "Pending", "AmbiguousItem", latest(containers=2)),
    _scene(PENDING, "Pending", "JobNotVisible", missed()),
    _scene(PENDING, "Pending", "VaultNotFound", missed(vault=True)),
    _scene(PENDING, "Pending", "TriggerUncertain", on_demand.answer_lost),
    _scene(IN_PROGRESS, "Running", "JobInProgress", shown(RUNNING)),
    _scene(IN_PROGRESS, "Running", "JobCancelling", shown("job-iaasvm-cancelling")),
    _scene(IN_PROGRESS, "Running", "JobStatusUnknown", shown("job-unknown-type-and-status")),
    *(_scene(RETRYING, "Pending", reason, failing(fault)) for reason, fault in _TROUBLES.items()),
    *(_scene(RETRYING, "Running", reason, failing_later(fault)) for reason, fault in _TROUBLES.items()),
    _scene(RETRYING, "Pending", "JobListTooLong", listed_without_end),
    _scene(RETRYING, "Pending", "BackupLimitReached", on_demand.over_the_limit),
    _scene(RETRYING, "Pending", "BackupConflict", on_demand.conflict),
    _scene(RETRYING, "Pending", "CredentialsNotFound", identity(missing, seen=False)),
    _scene(RETRYING, "Running", "CredentialsNotFound", identity(missing, seen=True)),
    _scene(RETRYING, "Pending", "IdentityNotAllowed", identity(forbidden, seen=False)),
    _scene(RETRYING, "Running", "IdentityNotAllowed", identity(forbidden, seen=True)),
    _scene(RETRYING, "Pending", "CredentialsUnavailable", identity(unavailable, seen=False)),
    _scene(RETRYING, "Running", "CredentialsUnavailable", identity(unavailable, seen=True)),
    _scene(RETRYING, "Running", "JobNotVisible", failing_later(Fault.job_not_found())),
    _scene(RETRYING, "Running", "VaultNotFound", failing_later(Fault.vault_not_found())),
    _scene(RETRYING, "Running", "OperationWithoutJob", no_longer_lists_its_jobs),
    _scene(SUSPENDED, "Pending", "Suspended", shown(RUNNING, suspend=True)),
    _scene(
        SUSPENDED,
        "Running",
        "Suspended",
        edited(shown(RUNNING), "Running", "JobInProgress", suspend=True),
        generation=2,
    ),
    _scene(SUCCEEDED, "Succeeded", "JobCompleted", shown(COMPLETED)),
    _scene(SUCCEEDED, "Succeeded", "JobCompletedWithWarnings", shown(WARNED, completedWithWarnings="Succeeded")),
    _scene(HAS_FAILED, "Failed", "JobFailed", shown(FAILED)),
    _scene(HAS_FAILED, "Failed", "JobCancelled", shown("job-iaasvm-cancelled")),
    _scene(HAS_FAILED, "Failed", "JobCompletedWithWarnings", shown(WARNED)),
    _scene(HAS_FAILED, "Failed", "DeadlineExceeded", shown(RUNNING, activeDeadlineSeconds=1)),
    _scene(HAS_FAILED, "Failed", "JobNotFound", missed(**_NO_GRACE)),
    _scene(HAS_FAILED, "Failed", "VaultNotFound", missed(vault=True, **_NO_GRACE)),
    _scene(HAS_FAILED, "Failed", "OperationFailed", started_by(ends="Failed")),
    _scene(HAS_FAILED, "Failed", "OperationWithoutJob", started_by(ends="Succeeded", **_NO_GRACE)),
    _scene(HAS_FAILED, "Failed", "AuthenticationFailed", failing(Fault.unauthorized(), **_NO_GRACE)),
    _scene(HAS_FAILED, "Failed", "AuthorizationFailed", failing(Fault.forbidden(), **_NO_GRACE)),
    _scene(HAS_FAILED, "Failed", "CredentialsNotFound", identity(missing, seen=False, **_NO_GRACE)),
    _scene(HAS_FAILED, "Failed", "IdentityNotAllowed", identity(forbidden, seen=False, **_NO_GRACE)),
    _scene(HAS_FAILED, "Failed", "InvalidSpec", invalid),
    _scene(HAS_FAILED, "Failed", "InvalidTarget", on_demand.not_protected),
    _scene(HAS_FAILED, "Failed", "NamespaceNotAllowed", on_demand.not_allowed),
    _scene(HAS_FAILED, "Failed", "TriggerUncertain", on_demand.lost_long_ago),
    _scene(STARTED_OVER, "Pending", "JobNotVisible", another_job(shown(COMPLETED), "Succeeded", "JobCompleted"), 2),
    _scene(
        STARTED_OVER, "Running", "JobInProgress", another_job(shown(FAILED), "Failed", "JobFailed", example=RUNNING), 2
    ),
    _scene(
        STILL_SUCCEEDED,
        "Succeeded",
        "JobCompleted",
        edited(shown(COMPLETED), "Succeeded", "JobCompleted", suspend=True),
        generation=2,
    ),
    _scene(
        STILL_FAILED,
        "Failed",
        "JobFailed",
        edited(shown(FAILED), "Failed", "JobFailed", pollInterval="5m"),
        generation=2,
    ),
)
