"""ArmClient reads one page of a list per call. The caller decides how many pages to read."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.arm.client import Page, PageLink
from backupjobwatch.domain.jobs.resource_ids import VaultId, VaultKind
from backupjobwatch.errors import Throttled, UnexpectedResponse
from demo.simulator import AzureSimulator, Bucket, Fault
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT, recording_server
from tests.support.builders import JOB_NAME, job_payload, running_payload

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job
    from demo.simulator import Vault
    from tests.functional.bound_client import BoundClient

VAULT_ID = VaultId(subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name=VAULT)
BACKUP_VAULT_ID = VaultId(
    subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name="bv-harbour", kind=VaultKind.BACKUP_VAULT
)
PAGES = 52


def name_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def add_jobs(vault: Vault, count: int) -> list[str]:
    """Add jobs in progress, and return their names in order."""
    names = [name_of(number) for number in range(count)]
    for name in names:
        vault.set_job(name, running_payload())
    return names


async def test_one_page(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """Each call makes one request. The first page has the filter, and the link leads to the next page."""
    names = add_jobs(vault, 5)
    sim.lists.page_size = 2
    sim.quotas.enable(reads=Bucket(40, 0.001))
    filter_ = "status eq 'InProgress'"
    jobs: list[Job] = []
    link: PageLink | None = None
    for number in range(3):
        reading = await client.list_page(VAULT_ID, filter_=filter_ if link is None else None, link=link)
        assert (reading.remaining, len(sim.requests)) == (39 - number, number + 1)
        jobs += reading.value.items
        link = reading.value.next
        assert (link is None) == (number == 2)
    assert sorted(job.name or "" for job in jobs) == names
    assert {request.query["$filter"] for request in sim.requests} == {filter_}
    assert len({request.query.get("$skiptoken") for request in sim.requests}) == 3


async def test_a_page_without_filter(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """Without a filter, the list includes jobs that have ended."""
    vault.set_job(JOB_NAME, job_payload())
    page_ = (await client.list_page(VAULT_ID)).value
    assert ([(job.name, job.ended) for job in page_.items], page_.next) == ([(JOB_NAME, True)], None)
    assert sim.requests[0].query == {"api-version": "2025-02-01"}


async def test_a_page_of_a_backup_vault(client: BoundClient, sim: AzureSimulator) -> None:
    """The client sends no filter for a page of a Backup vault."""
    bv = sim.add_backup_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, "bv-harbour")
    for number in range(2):
        bv.set_job(name_of(number), {"properties": {"status": "InProgress"}})
    sim.lists.page_size = 1
    first = (await client.list_page(BACKUP_VAULT_ID, filter_="status eq 'InProgress'")).value
    last = (await client.list_page(BACKUP_VAULT_ID, link=first.next)).value
    assert [job.name for job in (*first.items, *last.items)] == [name_of(0), name_of(1)]
    assert [sorted(request.query) for request in sim.requests] == [["api-version"], ["$skiptoken", "api-version"]]


async def test_a_page_may_follow_any_number_of_pages(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """The client follows any valid link. Callers limit the pages and detect cycles."""
    path = VAULT_ID.jobs_url_path
    sim.faults.add(Fault.endless_list(to=sim.url), times=PAGES)
    link = None
    for number in range(PAGES):
        page_ = (await client.list_page(VAULT_ID, link=link)).value
        assert page_ == Page((), PageLink(path, f"api-version=2025-02-01&$skipToken={number + 1}"))
        link = page_.next
    sim.faults.add(Fault.next_link(to=sim.url), times=2)
    circle = await client.list_page(VAULT_ID)
    assert (await client.list_page(VAULT_ID, link=circle.value.next)).value == circle.value


async def test_a_page_with_a_link_to_another_host(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """A page that links to another host fails, so that no caller can follow the link."""
    add_jobs(vault, 1)
    with recording_server() as elsewhere:
        sim.faults.add(Fault.next_link(to=elsewhere.url))
        with pytest.raises(UnexpectedResponse, match="is on another host"):
            await client.list_page(VAULT_ID)
        assert elsewhere.visits == ()


@pytest.mark.parametrize(("by_provider", "wide"), [(False, True), (True, False)])
async def test_a_page_that_is_refused(
    client: BoundClient, sim: AzureSimulator, vault: Vault, *, by_provider: bool, wide: bool
) -> None:
    """The error of a 429 has Retry-After and the scope. A retry of the same page succeeds later."""
    names = add_jobs(vault, 2)
    sim.lists.page_size = 1
    first = (await client.list_page(VAULT_ID)).value
    sim.faults.add(Fault.throttled(retry_after=9, by_provider=by_provider))
    with pytest.raises(Throttled) as caught:
        await client.list_page(VAULT_ID, link=first.next)
    error = caught.value
    assert (error.retry_after, error.is_subscription_wide) == (timedelta(seconds=9), wide)
    last = (await client.list_page(VAULT_ID, link=first.next)).value
    assert ([job.name for job in (*first.items, *last.items)], last.next) == (names, None)
