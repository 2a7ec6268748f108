"""The operator that creates the Event of an end counts the outcome, so no outcome counts twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.builders import CANCELLED_AFTER_SNAPSHOT, JOB_NAME, job_payload
from tests.support.kubernetes import EVENT_POSTS, STATUS_WRITES
from tests.support.scrape import Scrape

if TYPE_CHECKING:
    from demo.simulator import Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi

WATCHES, INFO = "backupjobwatch_watches", "backupjobwatch_watch_info"
OUTCOMES, REQUESTS = "backupjobwatch_outcomes_total", "backupjobwatch_azure_requests_total"


async def test_a_restart_counts_nothing_twice(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """A new process does not count the finished watches that it finds as its own outcomes."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
    async with start() as operator:
        before = await Scrape.until(operator, lambda each: each.value(OUTCOMES))
    for forgotten in (False, True):
        if forgotten:
            api.objects.events.clear()  # the Event has expired in the API server, so the operator emits it again
        posts = len(api.traffic.matching(EVENT_POSTS))
        async with start() as operator:
            await api.until(lambda posts=posts: len(api.traffic.matching(EVENT_POSTS)) > posts)  # type: ignore[misc]
            after = await Scrape.until(operator, lambda each: each.value(WATCHES))
        assert after.series(INFO) == before.series(INFO)
        assert after.value(OUTCOMES) == 0
        assert after.value(REQUESTS) == 0


async def test_an_end_whose_event_was_late_is_not_counted(
    api: KubernetesApi, vault: Vault, start: StartOperator
) -> None:
    """An Event whose response was lost already exists on the retry. It is not counted, as its author is unknown."""
    api.traffic.fail(EVENT_POSTS, status=503, late=True)
    async with start(resync_interval="1s") as operator:
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
        await operator.advance_until(lambda: len(api.traffic.matching(EVENT_POSTS)) >= 2)
        scrape = await Scrape.of(operator)
    assert len(api.events()) == 1
    assert scrape.value(OUTCOMES) == 0


async def test_two_operators_count_an_outcome_once(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """If two operators follow one watch, one of them counts its end."""
    async with start() as one, start() as other:
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
        await api.events_emitted(1)
        await one.idle()
        await other.idle()
        scrapes = [await Scrape.of(each) for each in (one, other)]
    assert sum(scrape.value(OUTCOMES) for scrape in scrapes) == 1


@pytest.mark.parametrize("late", [False, True])
async def test_a_failed_write_after_the_end_is_not_counted_twice(
    api: KubernetesApi, vault: Vault, start: StartOperator, *, late: bool
) -> None:
    """A failed status write after the end does not count the outcome again, even if the Event has expired."""
    async with start(resync_interval="1s") as operator:
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
        await Scrape.until(operator, lambda each: each.value(OUTCOMES))
        api.objects.events.clear()
        api.traffic.fail(STATUS_WRITES, status=503, late=late)
        api.edit(pollInterval="5m")
        await operator.advance_until(lambda: api.get()["status"]["observedGeneration"] == 2)
        await operator.pass_time(2, 5)
        scrape = await Scrape.of(operator)
    assert scrape.value(OUTCOMES) == 1
    assert api.events() == []


@pytest.mark.parametrize("accepted", ["Succeeded", "Failed"])
@pytest.mark.parametrize("evidence", ["errorDetails", "extendedInfo"])
async def test_cancelled_after_its_snapshot(
    *, api: KubernetesApi, vault: Vault, start: StartOperator, accepted: str, evidence: str
) -> None:
    """A cancelled job that Azure ends as CompletedWithWarnings fails the watch. Status, Event and metric agree."""
    fields = {"status": "CompletedWithWarnings", evidence: CANCELLED_AFTER_SNAPSHOT[evidence]}
    async with start() as operator:
        job_id = vault.set_job(JOB_NAME, job_payload(**fields))
        api.create({"jobResourceId": job_id, "completedWithWarnings": accepted})
        status = await api.status(phase="Failed")
        scrape = await Scrape.until(operator, lambda each: each.value(OUTCOMES))
    assert (status["reason"], status["job"]["status"]) == ("JobCancelled", "CompletedWithWarnings")
    assert scrape.value(OUTCOMES, phase="Failed", reason="JobCancelled") == 1
    assert [(event["type"], event["reason"]) for event in await api.events_emitted(1)] == [("Warning", "JobCancelled")]
