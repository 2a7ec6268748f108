"""Which queries a watch requires, and what their results lead to."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import WatchSpec
from backupjobwatch.domain.jobs.findings import OperationFailure, PinnedJob, Waiting
from backupjobwatch.domain.jobs.latest_job import LatestJob
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId
from backupjobwatch.domain.jobs.times import format_time
from backupjobwatch.domain.polling.observations import JobList, Observation, Result, observe
from backupjobwatch.domain.polling.queries import Requirements, latest_window, workload_history
from backupjobwatch.domain.polling.requirements import required_queries
from backupjobwatch.errors import AzureUnavailable, NotPolledYet
from tests.support.builders import (
    JOB_ID,
    JOB_NAME,
    NOW,
    OPERATION,
    OTHER_JOB_NAME,
    VAULT_REF,
    edit,
    job,
    settle,
    watch,
    watch_body,
)

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.polling.queries import Query

TROUBLE = AzureUnavailable("503")
PINS = (PinnedJob(name=JOB_NAME),)
BY_OPERATION = {"operationId": OPERATION, "vault": VAULT_REF}
BY_LATEST = {"latest": {"item": "uttestvmub1"}, "vault": VAULT_REF}


def spec_of(snapshot: Watch) -> WatchSpec:
    assert isinstance(snapshot.parsed_spec, WatchSpec)
    return snapshot.parsed_spec


def seen(result: Result) -> Observation:
    return observe(None, result, sent=0, time=NOW)


def required(
    snapshot: Watch, observations: dict[Query, Observation] | None = None, pinned: tuple[PinnedJob, ...] = ()
) -> Requirements:
    return required_queries(snapshot, spec_of(snapshot), observations or {}, now=NOW, pinned=pinned)


def job_query(snapshot: Watch, name: str = JOB_NAME) -> JobId:
    return JobId(vault=spec_of(snapshot).source.vault, name=name)


def listed(*jobs: Job) -> Observation:
    return seen(JobList(jobs))


def latest_of(snapshot: Watch) -> LatestJob:
    source = spec_of(snapshot).source
    assert isinstance(source, LatestJob)
    return source


def windows(snapshot: Watch) -> tuple[Query, Query]:
    """Return the queries of a watch for its window and the history of its vault."""
    latest = latest_of(snapshot)
    return latest_window(latest, created=snapshot.created, now=NOW), workload_history(latest.vault, now=NOW)


def test_named_job() -> None:
    """A watch that names its job requires that job."""
    query = JobId.parse(JOB_ID)

    assert required(watch()) == Requirements(queries=frozenset({query}), jobs=(query,))


@pytest.mark.parametrize("spec", [BY_OPERATION, BY_LATEST])
@pytest.mark.parametrize("is_in_status", [True, False])
def test_pinned(spec: dict[str, Any], is_in_status: bool) -> None:  # noqa: FBT001
    """A watch whose jobs are known requires only them, whether or not its status has them."""
    body = watch_body(spec)
    if is_in_status:
        body = settle(body, TROUBLE, NOW, pinned=PINS)
    snapshot = watch(spec, body["status"])
    query = job_query(snapshot)

    assert required(snapshot, pinned=() if is_in_status else PINS) == Requirements(
        queries=frozenset({query}), pinned=PINS, jobs=(query,)
    )


def test_operation() -> None:
    """An operation is required until it names its jobs. Then the jobs are required."""
    snapshot = watch(BY_OPERATION)
    operation = OperationId(vault=spec_of(snapshot).source.vault, name=OPERATION)
    pins = (*PINS, PinnedJob(name=OTHER_JOB_NAME, error_code="X"))

    assert required(snapshot) == Requirements(queries=frozenset({operation}))
    found = required(snapshot, {operation: seen(pins)})
    assert found == Requirements(queries=frozenset({job_query(snapshot)}), pinned=pins, jobs=(job_query(snapshot),))


@pytest.mark.parametrize(
    "result", [Waiting(reason="Progressing", message="m"), OperationFailure(message="m"), TROUBLE], ids=repr
)
def test_operation_without_jobs(result: Any) -> None:
    """If an operation names no jobs, the reason is reported."""
    snapshot = watch(BY_OPERATION)
    operation = OperationId(vault=spec_of(snapshot).source.vault, name=OPERATION)

    assert required(snapshot, {operation: seen(result)}) == Requirements(queries=frozenset({operation}), found=result)


def test_latest() -> None:
    """A watch of the latest job requires the list until the list contains the job."""
    snapshot = watch(BY_LATEST)
    window, _ = windows(snapshot)

    assert required(snapshot) == Requirements(queries=frozenset({window}))
    assert required(snapshot, {window: seen(TROUBLE)}) == Requirements(queries=frozenset({window}), found=TROUBLE)
    nothing = required(snapshot, {window: listed()})
    assert nothing.queries == {window}
    assert isinstance(nothing.found, Waiting)
    found = required(snapshot, {window: listed(job(name=JOB_NAME.upper()))})
    assert found == Requirements(queries=frozenset({job_query(snapshot)}), pinned=PINS, jobs=(job_query(snapshot),))


def test_latest_after_an_edit_of_the_revision() -> None:
    """No job is taken from a list before the time of the edit is in the status. Only later jobs match then."""
    running = settle(watch_body({**BY_LATEST, "revision": "v1"}), job(), NOW, pinned=PINS)
    edited = edit(running, revision="v2")
    snapshot = Watch.from_body(edited)
    window = latest_window(latest_of(snapshot), created=NOW, now=NOW)
    old = listed(job())

    assert required(snapshot, {window: old}) == Requirements(queries=frozenset({window}))
    written = Watch.from_body(settle(edited, NotPolledYet(), NOW))
    assert isinstance(required(written, {window: old}).found, Waiting)
    late = job(name=OTHER_JOB_NAME, startTime=format_time(NOW + timedelta(seconds=1)))
    assert required(written, {window: listed(job(), late)}).pinned == (PinnedJob(name=OTHER_JOB_NAME),)


def test_list_that_failed_after_it_was_read() -> None:
    """The job is not taken from a list that is older than the last failure."""
    snapshot = watch(BY_LATEST)
    window, _ = windows(snapshot)
    failed = observe(listed(job()), TROUBLE, sent=1, time=NOW)

    assert required(snapshot, {window: failed}) == Requirements(queries=frozenset({window}), found=TROUBLE)


def test_history() -> None:
    """A database also requires all workload jobs of the vault, because several hosts may have one of its name."""
    snapshot = watch({"latest": {"item": "msdb"}, "vault": VAULT_REF})
    window, history = windows(snapshot)
    database = job(backupManagementType="AzureWorkload", entityFriendlyName="msdb [host-1]", operation="Backup (Full)")
    other = job(
        name=OTHER_JOB_NAME, backupManagementType="AzureWorkload", entityFriendlyName="msdb [host-2]",
        operation="Backup (Full)", startTime="2018-05-10T00:00:00Z", endTime="2018-05-10T01:00:00Z",
    )  # fmt: skip
    observations = {window: listed(database)}

    assert required(snapshot, observations) == Requirements(queries=frozenset({window, history}))
    failed = required(snapshot, {**observations, history: seen(TROUBLE)})
    assert failed == Requirements(queries=frozenset({window, history}), found=TROUBLE)
    found = required(snapshot, {**observations, history: listed()})
    assert found.pinned == PINS
    ambiguous = required(snapshot, {**observations, history: listed(other)})
    assert isinstance(ambiguous.found, Waiting)
    assert ambiguous.found.reason == "AmbiguousItem"
    assert ambiguous.queries == {window, history}
