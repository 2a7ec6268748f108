"""Any response of Azure, for both kinds of vault, is parsed or rejected with an error."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from backupjobwatch.arm.responses import Response, next_path, read_job_list
from backupjobwatch.domain.api.spec import parse_spec, target_digest
from backupjobwatch.domain.jobs import data_protection, recovery_services
from backupjobwatch.domain.jobs.findings import OperationFailure, PinnedJob, Waiting
from backupjobwatch.domain.jobs.job import MAX_ERRORS, MAX_PROPERTIES, MAX_TASKS
from backupjobwatch.domain.jobs.latest import find_latest
from backupjobwatch.domain.jobs.latest_job import LatestJob
from backupjobwatch.domain.jobs.latest_window import list_filter, list_window
from backupjobwatch.domain.jobs.operations import read_operation
from backupjobwatch.domain.jobs.resource_ids import VaultId, VaultKind, is_guid
from backupjobwatch.errors import AzureError, InvalidSpec
from tests.property.oracles import check_status
from tests.property.strategies import dp_payloads, json_values, operations, pages, payloads, texts
from tests.support.builders import (
    JOB_ID,
    JOB_NAME,
    NOW,
    OPERATION,
    RESOURCE_GROUP,
    SUBSCRIPTION,
    VAULT,
    VAULT_REF,
    settle,
    watch_body,
)  # fmt: skip
from tests.support.scale import at_scale

QUICK = settings(deadline=None, max_examples=at_scale(80, 2000))
VAULTS = [
    VaultId(subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP, name=VAULT, kind=kind) for kind in VaultKind
]
BODY = watch_body({"operationId": OPERATION, "vault": VAULT_REF})
_TIMES = st.datetimes().map(lambda time: max(time, NOW.replace(tzinfo=None)).replace(tzinfo=NOW.tzinfo))
_SOURCES = {
    "jobResourceId": st.one_of(st.just(JOB_ID), json_values),
    "jobName": st.one_of(st.just(JOB_NAME), json_values),
    "operationId": st.one_of(st.just(OPERATION), json_values),
    "latest": st.one_of(
        st.fixed_dictionaries(
            {"item": texts},
            optional=dict.fromkeys(("operation", "container", "startedAfter", "completedWithin"), texts),
        ),
        json_values,
    ),
    "vault": st.one_of(st.just(VAULT_REF), st.just({**VAULT_REF, "kind": "BackupVault"}), json_values),
    "identity": st.one_of(st.just({"secretName": "a"}), json_values),
}


@QUICK
@given(dp_payloads)
def test_any_job_of_a_backup_vault(answer: dict[str, Any]) -> None:
    """Any JSON object is parsed as a Backup vault job of limited size that fits a status."""
    read = data_protection.parse_job(answer)

    assert max(len(read.tasks) - MAX_TASKS, len(read.properties) - MAX_PROPERTIES) <= 0
    assert max(len(read.errors), len(read.warnings)) <= MAX_ERRORS
    assert data_protection.parse_job(answer) == read
    check_status(settle(watch_body(), read, NOW))


@QUICK
@example(answer={"name": None, "id": "x" * 257})
@given(st.one_of(payloads, dp_payloads))
def test_a_job_of_the_other_vault_kind(answer: dict[str, Any]) -> None:
    """A job that is parsed as one of the other vault kind still gives a valid status."""
    for parse in (data_protection.parse_job, recovery_services.parse_job):
        check_status(settle(watch_body(), parse(answer), NOW))


@QUICK
@given(operations)
def test_any_operation(answer: dict[str, Any]) -> None:
    """Any JSON object is an operation with jobs named by GUIDs, a reason to wait, a failure or an error."""
    try:
        found = read_operation(answer)
    except AzureError as error:
        check_status(settle(BODY, error, NOW, consecutive_failures=1))
        return
    if isinstance(found, tuple):
        assert found
        assert len({job.name for job in found}) == len(found)
        assert all(is_guid(job.name) and job.name == job.name.lower() for job in found)
        assert str(answer["status"]).lower() == "succeeded"
    else:
        check_status(settle(BODY, found, NOW))
        assert isinstance(found, Waiting | OperationFailure)


@QUICK
@given(pages, st.sampled_from(VAULTS), texts)
def test_any_list(page: dict[str, Any], vault: VaultId, item: str) -> None:
    """Any JSON object is a page of a list or an error. A job that is found in it has a name."""
    answer = Response(status=200, headers={"x-ms-request-id": "r1"}, body=json.dumps(page).encode())
    try:
        jobs, link = read_job_list(answer, vault, now=NOW)
    except AzureError:
        return
    assert link is None or link
    for name in {item, *(job.entity_friendly_name or "" for job in jobs)}:
        latest = LatestJob(vault=vault, item=name, operation="Backup", container=None, started_after=None)
        found = find_latest(jobs, latest, created=NOW - timedelta(days=5000))
        assert found == find_latest(jobs[::-1], latest, created=NOW - timedelta(days=5000))
        if isinstance(found, PinnedJob):
            assert found.name in {(job.name or "").lower() for job in jobs}
        else:
            check_status(settle(BODY, found, NOW))


@QUICK
@given(st.one_of(texts, st.text(), st.builds("https://management.azure.com{}".format, texts)))
def test_any_link(link: str) -> None:
    """Any text is a link on the endpoint's host, or an error."""
    try:
        path, _ = next_path(link, "https://management.azure.com")
    except AzureError:
        return
    assert path.startswith("/")
    assert link.lower().startswith("https://management.azure.com/")


@QUICK
@given(_TIMES, _TIMES)
def test_windows(started_after: Any, now: Any) -> None:
    """For any times, the window has whole days, is not empty and has at most 30 days."""
    latest = LatestJob(vault=VAULTS[0], item="x", operation="Backup", container=None, started_after=started_after)
    if now.year > 9990:
        return
    start, end = list_window(latest, created=NOW, now=now)

    assert timedelta() < end - start <= timedelta(days=30)
    assert start <= now < end
    assert len(list_filter(start, end)) == len(
        "startTime eq '2026-03-04 01:00:00 AM' and endTime eq '2026-03-04 01:00:00 AM'"
    )


@QUICK
@given(st.fixed_dictionaries({}, optional=_SOURCES))
def test_any_source(spec: dict[str, Any]) -> None:
    """Any spec is about one job, or the error says what to write without quoting a secret."""
    assert len(target_digest(spec)) == 16
    try:
        parse_spec(spec)
    except InvalidSpec as error:
        assert str(error).startswith("spec")  # noqa: PT017
        assert "SECRET" not in str(error)  # noqa: PT017
