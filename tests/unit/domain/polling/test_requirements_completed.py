"""What a watch with ``completedWithin`` requires: a list, and a GET of each job that may open the gate."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import WatchSpec
from backupjobwatch.domain.jobs.findings import PinnedJob, UnsupportedItem, Waiting
from backupjobwatch.domain.jobs.latest_job import LatestJob
from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.domain.jobs.times import format_time
from backupjobwatch.domain.polling.observations import JobList, Observation, observe
from backupjobwatch.domain.polling.queries import Requirements, latest_window
from backupjobwatch.domain.polling.requirements import required_queries
from backupjobwatch.errors import AzureUnavailable, NotPolledYet
from tests.support.builders import (
    CANCELLED_AFTER_SNAPSHOT,
    JOB_NAME,
    NOW,
    OTHER_JOB_NAME,
    VAULT_REF,
    edit,
    job,
    list_entry,
    running_job,
    settle,
    watch_body,
)

if TYPE_CHECKING:
    from datetime import datetime

    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.polling.queries import Query

SPEC = {"latest": {"item": "uttestvmub1", "completedWithin": "2h"}, "vault": VAULT_REF}
CREATED = NOW
TROUBLE = AzureUnavailable("503")
WARNED = {"status": "CompletedWithWarnings"}
OLDER = {"name": OTHER_JOB_NAME, "startTime": "2018-05-21T07:00:00Z", "endTime": "2018-05-21T07:30:00Z"}


def body(**spec: Any) -> dict[str, Any]:
    """Return a watch that was created shortly after the end of the usual job."""
    return watch_body({**SPEC, **spec}, creationTimestamp=format_time(CREATED))


def seen(result: Any, *, previous: Observation | None = None) -> Observation:
    return observe(previous, result, sent=0, time=NOW)


class Required:
    """The requirements of a watch after a list of *entries*, with the results of GETs."""

    def __init__(
        self, given: dict[str, Any], *entries: Job, results: dict[str, Observation] | None = None, now: datetime = NOW
    ) -> None:
        watch = Watch.from_body(given)
        spec = watch.parsed_spec
        assert isinstance(spec, WatchSpec)
        assert isinstance(spec.source, LatestJob)
        is_searched = watch.searched_until is not None
        self.vault = spec.source.vault
        self.window = latest_window(spec.source, created=watch.search_start or now, now=now, is_searched=is_searched)
        observations: dict[Query, Observation] = {self.window: seen(JobList(entries))}
        observations.update({self.job(name): result for name, result in (results or {}).items()})
        self.found = required_queries(watch, spec, observations, now=now)

    def job(self, name: str) -> JobId:
        return JobId(vault=self.vault, name=name)

    def pins(self) -> list[str]:
        return [pin.name for pin in self.found.pinned]


def test_a_job_that_completed() -> None:
    """The job of the list is read first, together with the list. Then the watch requires only the job."""
    first = Required(body(), list_entry())
    assert first.found == Requirements(queries=frozenset({first.window, first.job(JOB_NAME)}))

    for result in (job(), list_entry()):
        second = Required(body(), list_entry(), results={JOB_NAME: seen(result)})
        assert second.pins() == [JOB_NAME]
        assert second.found.pinned[0].note.startswith("It ended at 2018-05-21T08:56:04Z, within 2h0m0s")
        assert second.found.queries == {first.job(JOB_NAME)}


@pytest.mark.parametrize(
    "result",
    [seen(list_entry(**WARNED)), seen(running_job()), seen(TROUBLE), seen(TROUBLE, previous=seen(job()))],
    ids=["entry with warnings", "running", "error", "later error"],
)
def test_a_job_without_its_get(result: Observation) -> None:
    """Until a GET shows the end of the job, nothing is decided."""
    found = Required(
        body(completedWithWarnings="Succeeded"), list_entry(**WARNED), list_entry(**OLDER), results={JOB_NAME: result}
    )

    assert found.found == Requirements(
        queries=frozenset({found.window, found.job(JOB_NAME)}), found=TROUBLE if result.error else None
    )


def test_a_cancelled_job_does_not_count() -> None:
    """A job that the list shows with warnings, and a GET as cancelled, is skipped. Older jobs are read next."""
    entries = (list_entry(**WARNED), list_entry(**OLDER))
    results = {JOB_NAME: seen(job(**CANCELLED_AFTER_SNAPSHOT))}
    spec = {"completedWithWarnings": "Succeeded"}

    second = Required(body(**spec), *entries, results=results)
    assert second.found == Requirements(
        queries=frozenset({second.window, second.job(JOB_NAME), second.job(OTHER_JOB_NAME)})
    )
    third = Required(body(**spec), *entries, results={**results, OTHER_JOB_NAME: seen(job(**OLDER))})
    assert third.pins() == [OTHER_JOB_NAME]
    assert "ended as Cancelled" in third.found.pinned[0].note
    alone = Required(body(**spec), entries[0], results=results)
    assert isinstance(alone.found.found, Waiting)
    assert alone.found.queries == {alone.window, alone.job(JOB_NAME)}


@pytest.mark.parametrize("result", [running_job(), running_job(status="Cancelling")], ids=["running", "cancelling"])
def test_the_next_job(result: Job) -> None:
    """A job that was running when the watch was created is pinned after a later answer. Its note is empty."""
    first = Required(body(), running_job())
    assert first.found == Requirements(queries=frozenset({first.window, first.job(JOB_NAME)}))

    found = Required(body(), running_job(), results={JOB_NAME: seen(result)})
    assert found.found == Requirements(
        queries=frozenset({found.job(JOB_NAME)}), pinned=(PinnedJob(name=JOB_NAME),), jobs=(found.job(JOB_NAME),)
    )


def test_a_job_that_started_later() -> None:
    """A job that started after the watch was created is pinned without a GET."""
    found = Required(body(), running_job(startTime=format_time(NOW + timedelta(minutes=1))))
    assert found.pins() == [JOB_NAME]


def test_a_list_from_before_the_start() -> None:
    """Another watch may have requested the list before the start. A job that ended since then is judged by its end."""
    stale = observe(None, running_job(), sent=0, time=CREATED - timedelta(seconds=1))
    found = Required(body(), running_job(), results={JOB_NAME: stale})
    assert found.found == Requirements(queries=frozenset({found.window, found.job(JOB_NAME)}))
    rounded = observe(None, running_job(), sent=0, time=CREATED - timedelta(milliseconds=900))
    assert Required(body(), running_job(), results={JOB_NAME: rounded}).pins() == [JOB_NAME]

    early = format_time(CREATED - timedelta(hours=3))
    for ended in (job(endTime=early), job(status="Failed")):
        found = Required(body(), running_job(), results={JOB_NAME: seen(ended)})
        assert isinstance(found.found.found, Waiting)
        assert found.pins() == []
    recent = Required(body(), running_job(), results={JOB_NAME: seen(job())})
    assert recent.found.pinned[0].note
    late = job(endTime=format_time(CREATED + timedelta(minutes=1)), status="Failed")
    assert Required(body(), running_job(), results={JOB_NAME: seen(late)}).pins() == [JOB_NAME]


def test_a_database() -> None:
    """A database is refused, without a list of the vault's history."""
    found = Required(body(), list_entry(backupManagementType="AzureWorkload"))

    assert isinstance(found.found.found, UnsupportedItem)
    assert found.found.queries == {found.window}


def test_a_search_without_a_job() -> None:
    """After a complete search, the list is shorter. It still finds a job that Azure lists late."""
    long = body(latest={"item": "uttestvmub1", "completedWithin": "200h"})
    waiting = settle(long, Waiting(reason="WaitingForJob", message="m", searched=True), NOW)

    assert Required(waiting).window == Required(body()).window != Required(long).window
    assert Required(waiting).found.queries == {Required(body()).window}
    late = Required(waiting, list_entry(), results={JOB_NAME: seen(job())})
    assert late.pins() == [JOB_NAME]


def test_an_edit_of_the_target() -> None:
    """After an edit, the time of the edit counts. Until the status has it, no job is found."""
    later = NOW + timedelta(hours=3)
    done = settle(body(), job(), NOW, pinned=(PinnedJob(name=JOB_NAME),))
    for fields in ({"revision": "v2"}, {"latest": {**SPEC["latest"], "completedWithin": "1h"}}, {"graceSeconds": 1}):
        edited = edit(done, **fields)
        assert Required(edited, list_entry(), results={JOB_NAME: seen(job())}).found.pinned == ()
        written = settle(edited, NotPolledYet(), later)
        found = Required(written, list_entry(), results={JOB_NAME: seen(job())})
        assert isinstance(found.found.found, Waiting)
        recent = list_entry(endTime=format_time(later - timedelta(minutes=30)))
        found = Required(written, recent, now=later)
        assert found.found.queries == {found.window, found.job(JOB_NAME)}


def test_an_edit_before_the_first_status() -> None:
    """An object that was edited before the operator saw it may have had another target."""
    edited = Watch.from_body({**body(), "metadata": {**body()["metadata"], "generation": 2}})

    assert edited.lacks_edit_time
    assert edited.search_start is None


def test_other_edits() -> None:
    """An edit of another field keeps the start."""
    waiting = settle(body(), Waiting(reason="WaitingForJob", message="m", searched=True), NOW)
    edited = Watch.from_body(edit(waiting, pollInterval="5m", suspend=True))

    assert not edited.lacks_edit_time
    assert edited.search_start == CREATED
