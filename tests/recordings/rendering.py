"""Render recordings as statuses, with the parsers and ``next_status`` of the operator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.arm.responses import read_job, read_job_list, read_object
from backupjobwatch.cli.answers import observe
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs import data_protection, recovery_services
from backupjobwatch.domain.jobs.operations import read_operation
from backupjobwatch.domain.jobs.resource_ids import JobId, VaultId, VaultKind
from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.errors import AzureError, InvalidSpec, JobNotFound
from tests.recordings.problems import find_problems
from tests.recordings.recording import Content, is_data_protection
from tests.support.builders import OPERATION, RESOURCE_GROUP, SUBSCRIPTION, VAULT, VAULT_REF, edit, settle, watch_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from backupjobwatch.domain.jobs.findings import Finding, PinnedJob
    from backupjobwatch.domain.jobs.job import Job
    from tests.recordings.recording import Recording

RUN_TIME: Final = timedelta(minutes=10)
"""The age at which running jobs are rendered."""
_EPOCH: Final = datetime(2026, 3, 4, 14, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """The result of rendering one response, or one item of a list."""

    recording: str
    kind: str
    phase: str = ""
    reason: str
    body: Mapping[str, Any] | None = None
    """The watch with its status."""
    problems: tuple[str, ...] = ()
    is_skipped: bool = False
    """Whether the operator has no parser for the response."""


def render(recording: Recording) -> list[Rendered]:
    """Render *recording*, with one result for each job of a list. An exception becomes a problem."""
    try:
        return list(_READERS[recording.content](recording))
    except Exception as error:  # noqa: BLE001 - the report includes crashes
        return [_crash(recording, error)]


def _job(recording: Recording) -> Iterator[Rendered]:
    name = recording.body.get("name")
    job_id = JobId(vault=_vault(recording.vault_kind), name=str(name))
    yield from _statuses(recording, read_job(recording.answer, job_id, now=_EPOCH))


def _jobs(recording: Recording) -> Iterator[Rendered]:
    jobs, _ = read_job_list(recording.answer, _vault(recording.vault_kind), now=_EPOCH)
    if not jobs:
        yield Rendered(recording=recording.name, kind=recording.kind, reason="(an empty list)")
    for job in jobs:
        yield from _statuses(recording, job)


def _rows(recording: Recording) -> Iterator[Rendered]:
    """Render rows of Resource Graph as if they were jobs from a GET: the operator does not query it."""
    for row in recording.body["data"]:
        parse = data_protection.parse_job if is_data_protection(row) else recovery_services.parse_job
        yield from _statuses(recording, parse(row))


def _operation(recording: Recording) -> Iterator[Rendered]:
    """Render an operation. If it names jobs, render the next poll, which does not find them yet."""
    body = watch_body({"operationId": OPERATION, "vault": {**VAULT_REF, "kind": "RecoveryServices"}})
    now = parse_time(recording.body.get("startTime")) or _EPOCH
    pinned: Sequence[PinnedJob] = ()
    finding: Finding
    try:
        found = read_operation(read_object(recording.answer, now=now))
        if isinstance(found, tuple):
            pinned, finding = found, JobNotFound("Azure knows no such job yet.")
        else:
            finding = found
    except AzureError as error:
        finding = error
    yield _settled(recording, settle(body, finding, now, consecutive_failures=1, pinned=pinned))


def _error(recording: Recording) -> Iterator[Rendered]:
    try:
        read_object(recording.answer, now=_EPOCH)
    except AzureError as error:
        yield _settled(recording, settle(watch_body(), error, _EPOCH, consecutive_failures=1))
    else:
        raise AssertionError("the answer was not read as an error")
    yield _refusal(recording)


def _refusal(recording: Recording) -> Rendered:
    """Render an error as the answer to the request for a backup."""
    body = watch_body({"onDemand": {"item": "vm1"}, "vault": VAULT_REF})
    watch = Watch.from_body(body)
    spec = watch.parsed_spec
    assert not isinstance(spec, InvalidSpec)
    observed = observe(watch, spec, recording.answer, _EPOCH)
    settled = settle(body, observed.finding, _EPOCH, consecutive_failures=1, record=observed.record)
    return replace(_settled(recording, settled), kind=f"{recording.kind} (POST)")


def _other(recording: Recording) -> Iterator[Rendered]:
    yield Rendered(recording=recording.name, kind=recording.kind, reason="(skipped: no reader)", is_skipped=True)


_READERS: Final[Mapping[Content, Callable[[Recording], Iterator[Rendered]]]] = {
    Content.JOB: _job,
    Content.JOBS: _jobs,
    Content.ROWS: _rows,
    Content.OPERATION: _operation,
    Content.ERROR: _error,
    Content.OTHER: _other,
}


def _statuses(recording: Recording, job: Job) -> Iterator[Rendered]:
    """Render a job without accepted warnings, and add the problems of a watch that accepts them."""
    now = job.end_time
    if now is None:
        now = _EPOCH if job.start_time is None else job.start_time + RUN_TIME
    strict, tolerant = (
        _settled(recording, settle(edit(watch_body(), completedWithWarnings=accept), job, now, accept_list_entry=True))
        for accept in ("Failed", "Succeeded")
    )
    yield replace(strict, problems=tuple(dict.fromkeys((*strict.problems, *tolerant.problems))))


def _settled(recording: Recording, body: Mapping[str, Any]) -> Rendered:
    status = body["status"]
    return Rendered(
        recording=recording.name,
        kind=recording.kind,
        phase=status["phase"],
        reason=status["reason"],
        body=body,
        problems=tuple(find_problems(body)),
    )


def _crash(recording: Recording, error: Exception) -> Rendered:
    problem = f"crash: {type(error).__name__}: {str(error)[:200]}"
    return Rendered(recording=recording.name, kind=recording.kind, reason="(crash)", problems=(problem,))


def _vault(kind: VaultKind) -> VaultId:
    return VaultId(subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP, name=VAULT, kind=kind)
