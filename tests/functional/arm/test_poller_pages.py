"""The poller reads long lists page by page, within the budget."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.arm import reader
from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.domain.polling.observations import JobList
from backupjobwatch.domain.polling.queries import JobWindow
from backupjobwatch.errors import AzureUnavailable, JobListTooLong, UnexpectedResponse
from demo.simulator import AzureSimulator, Bucket, Fault
from tests.functional.polling import (
    LIST,
    VAULT_ID,
    WINDOW,
    clock,
    job_ids,
)
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT
from tests.support.builders import dp_job_payload

if TYPE_CHECKING:
    from demo.simulator import Vault
    from tests.functional.conftest import OpenPoller
OTHER_VAULT = "rsv-quay"


async def test_a_long_list_is_read_within_the_budget(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """The poller reads a list of 51 pages once and completely, with one token per page."""
    polling = open_poller(azure_reads_per_second=2, azure_read_burst=10)
    sim.arm.remaining_requests = None
    job_ids(vault, 1011)
    sim.lists.page_size = 20
    polling.require("watch", WINDOW, interval=30)
    await polling.pass_seconds(19)
    assert polling.observation(WINDOW) is None
    assert 10 + 2 * 18 <= len(sim.requests) <= 10 + 2 * 19
    await polling.pass_seconds(4)
    found = polling.observation(WINDOW)
    assert found is not None
    assert isinstance(found.answer, JobList)
    assert len(found.answer.jobs) == 1011
    assert len(sim.requests) == 51
    assert clock() - found.sent == pytest.approx(22.5, abs=0.6)  # the request for the first page counts


async def test_a_backup_vaults_long_list(open_poller: OpenPoller, sim: AzureSimulator) -> None:
    """The poller also reads a long list of a Backup vault, which supports no filter, to its end."""
    polling = open_poller()
    vault = sim.add_backup_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, "bv-harbour")
    for number in range(101):
        name = f"00000000-0000-4000-8000-{number:012}"
        vault.set_job(name, dp_job_payload())
    sim.lists.page_size = 20
    window = JobWindow(JobId.parse(vault.job_id("00000000-0000-4000-8000-000000000000")).vault, None)
    polling.require("watch", window)
    await polling.pass_seconds(3)
    found = polling.observation(window)
    assert found is not None
    assert isinstance(found.answer, JobList)
    assert len(found.answer.jobs) == 101
    assert len(sim.requests) == 6


@pytest.mark.parametrize("status", [429, 503])
async def test_a_list_continues_where_it_stopped(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault, status: int
) -> None:
    """After a 429 or 503 for a page, the poller continues with that page and repeats no earlier one."""
    polling = open_poller(azure_reads_per_second=0.5, azure_read_burst=5)
    job_ids(vault, 20)
    sim.lists.page_size = 2
    polling.require("watch", WINDOW, interval=300)
    await polling.settle()
    assert len(sim.requests) == 5
    fault = Fault.throttled(retry_after=60, by_provider=True) if status == 429 else Fault.server_error(status=503)
    rule = sim.faults.add(fault, path=LIST, times=1)
    await polling.pass_seconds(100)
    found = polling.observation(WINDOW)
    assert found is not None
    assert isinstance(found.answer, JobList)
    assert len({job.name for job in found.answer.jobs}) == len(found.answer.jobs) == 20
    assert (rule.used, len(sim.requests)) == (1, 11)


async def test_pages_under_a_quota(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """The poller reads a list to its end even if it needs more requests than Azure allows at once."""
    polling = open_poller()
    job_ids(vault, 60)
    sim.lists.page_size = 2
    sim.quotas.enable(reads=Bucket(10, 0.5), now=clock)
    polling.require("watch", WINDOW, interval=300)
    await polling.pass_seconds(240)
    found = polling.observation(WINDOW)
    assert found is not None
    assert isinstance(found.answer, JobList)
    assert len(found.answer.jobs) == 60


async def test_a_list_that_fails_again_and_again(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """A page that fails three times fails the list. The next interval starts over."""
    polling = open_poller()
    job_ids(vault, 20)
    sim.lists.page_size = 2
    sim.faults.add(Fault.server_error(), path=LIST, times=3, skip=1)
    polling.require("watch", WINDOW, interval=30)
    await polling.pass_seconds(10)
    assert isinstance(polling.error(WINDOW), AzureUnavailable)
    assert len(sim.requests) == 4
    await polling.tick(20)
    await polling.pass_seconds(3)
    assert polling.error(WINDOW) is None
    assert len(sim.requests) == 14


async def test_a_list_without_an_end(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The poller stops at the page limit. The error names the field that makes the list shorter."""
    monkeypatch.setattr(reader, "MAX_PAGES", 5)
    polling = open_poller()
    job_ids(vault, 10)
    sim.lists.page_size = 2
    polling.require("watch", WINDOW)
    await polling.pass_seconds(3)
    found = polling.observation(WINDOW)
    assert found is not None
    assert isinstance(found.answer, JobList)
    assert len(found.answer.jobs) == 10
    sim.clear_requests()
    job_ids(vault, 11)
    await polling.tick()
    await polling.pass_seconds(3)
    error = polling.error(WINDOW)
    assert isinstance(error, JobListTooLong)
    assert "more than 5 pages" in str(error)
    assert "spec.jobName" in str(error)
    assert len(sim.requests) == 5


async def test_a_page_that_links_to_itself(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """A page that links to itself fails the list."""
    polling = open_poller()
    job_ids(vault, 2)
    link = f"{sim.url}{VAULT_ID.jobs_url_path}?api-version=2023-04-01&%24skipToken=circle"
    body = {"value": [], "nextLink": link}
    sim.faults.add(Fault.not_an_object(value=body), path=LIST, times=None)
    polling.require("watch", WINDOW)
    await polling.pass_seconds(3)
    error = polling.error(WINDOW)
    assert isinstance(error, UnexpectedResponse)
    assert "repeats a page" in str(error)
    assert len(sim.requests) == 2


async def test_a_page_that_links_to_the_first_page(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """A list that links to its first page fails when that page repeats."""
    polling = open_poller()
    job_ids(vault, 3)
    sim.faults.add(Fault.next_link(to=sim.url), times=None)
    polling.require("watch", WINDOW)
    await polling.pass_seconds(3)
    assert "repeats a page" in str(polling.error(WINDOW))
    assert len(sim.requests) <= 2


OWN_KIND = Fault.throttled(retry_after=60, by_provider=True)
EVERYTHING = Fault.throttled(retry_after=60)
UNAVAILABLE = Fault.server_error(status=503, retry_after=60)


@pytest.mark.parametrize(
    ("kind", "fault", "goes_on"),
    [
        ("list", OWN_KIND, False),
        ("list", UNAVAILABLE, False),
        ("job", EVERYTHING, False),
        ("job", OWN_KIND, True),
        ("job", UNAVAILABLE, True),
    ],
)
async def test_a_further_page_respects_the_pause_of_lists(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault, kind: str, fault: Fault, *, goes_on: bool
) -> None:
    """A Retry-After that arrives during the first page delays the second one if it applies to lists."""
    polling = open_poller()
    other = job_ids(sim.add_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, OTHER_VAULT), 1)[0]
    query = replace(WINDOW, vault=other.vault) if kind == "list" else other
    job_ids(vault, 2)
    sim.lists.page_size = 1
    with sim.hold(f"/{VAULT}/backupJobs$") as hold:
        polling.require("watch", WINDOW, interval=300)
        await hold.arrived()
        sim.faults.add(fault, path=OTHER_VAULT, times=1)
        polling.require("other", query, interval=300)
        async with asyncio.timeout(30):
            while polling.error(query, "other") is None:  # noqa: ASYNC110 -- nothing signals it
                await asyncio.sleep(0)
    await polling.pass_seconds(50)
    first, *others = sim.requests_to(f"/{VAULT}/backupJobs$")
    assert "$skiptoken" not in first.query
    assert len(others) == (1 if goes_on else 0)
    assert (polling.observation(WINDOW) is not None) == goes_on
    await polling.pass_seconds(15)
    assert len(sim.requests_to(f"/{VAULT}/backupJobs$")) == 2
    found = polling.observation(WINDOW)
    assert found is not None
    assert isinstance(found.answer, JobList)
    assert len(found.answer.jobs) == 2
