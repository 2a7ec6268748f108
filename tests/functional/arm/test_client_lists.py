"""ArmClient reads lists to their end, from Azure's own host and no other."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from backupjobwatch.arm.client import MAX_PAGES, JobPage, PageLink
from backupjobwatch.domain.jobs.latest_window import list_filter
from backupjobwatch.domain.jobs.resource_ids import JobId, VaultId, VaultKind
from backupjobwatch.errors import AuthorizationFailed, JobListTooLong, Throttled, UnexpectedResponse
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


def name_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def add_jobs(vault: Vault, count: int) -> list[str]:
    """Have so many jobs in progress."""
    names = [name_of(number) for number in range(count)]
    for name in names:
        vault.set_job(name, running_payload())
    return names


def page(link: Any, *jobs: Any) -> Fault:
    """One page that goes on at *link*."""
    return Fault.answer(body=json.dumps({"value": list(jobs), "nextLink": link}), official=True)


async def test_all_pages_are_read(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """A list is followed to its end, each page asked for once, with the filter, the version and the token."""
    names = add_jobs(vault, 7)
    sim.lists.page_size = 3
    reading = await client.list_jobs(VAULT_ID)
    assert sorted(job.name or "" for job in reading.value) == names
    assert (reading.pages, len(sim.requests)) == (3, 3)
    assert {request.query["$filter"] for request in sim.requests} == {"status eq 'InProgress'"}
    assert {request.query["api-version"] for request in sim.requests} == {"2025-02-01"}
    assert len({request.query.get("$skiptoken") for request in sim.requests}) == 3
    assert len({request.authorization_sha256 for request in sim.requests}) == 1


async def test_an_empty_list(client: BoundClient, vault: Vault) -> None:
    """A vault without jobs has a list, of one page."""
    reading = await client.list_jobs(VAULT_ID)
    assert (reading.value, reading.pages) == ((), 1)


async def test_the_window_is_written_as_azure_wants_it(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """Times are on a 12-hour clock, in UTC; the simulator, which refuses anything else, finds the job by them."""
    vault.set_job(JOB_NAME, running_payload(startTime="2026-03-04T00:00:00.5Z"))
    start = datetime(2026, 3, 4, tzinfo=UTC)
    found = await client.list_jobs(VAULT_ID, filter_=list_filter(start, start + timedelta(hours=13)))
    assert [job.name for job in found.value] == [JOB_NAME]
    expected = "startTime eq '2026-03-04 12:00:00 AM' and endTime eq '2026-03-04 01:00:00 PM'"
    assert sim.requests[0].query["$filter"] == expected
    later = await client.list_jobs(VAULT_ID, filter_=list_filter(start + timedelta(seconds=1), start + timedelta(1)))
    assert later.value == ()


async def test_a_link_in_capitals_or_with_escapes_is_followed_as_it_is(
    client: BoundClient, sim: AzureSimulator, vault: Vault
) -> None:
    """The host's letter case does not matter; path and query go back to Azure to the letter."""
    target = "/Subscriptions/x%2Fy/backupJobs?api-version=2025-02-01&%24skipToken=a%2Bb%3D%3D"
    sim.faults.add(page(sim.url.upper() + target))
    sim.faults.add(page(None))
    assert (await client.list_jobs(VAULT_ID)).pages == 2
    assert sim.requests[1].path == "/Subscriptions/x/y/backupJobs"
    assert sim.requests[1].query["$skiptoken"] == "a+b=="


# ── where a list must not lead ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_link_to_another_host_is_not_followed(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """A nextLink elsewhere ends the list; the other host gets no request, and so no token."""
    add_jobs(vault, 3)
    with recording_server() as elsewhere:
        sim.faults.add(Fault.next_link(to=elsewhere.url))
        with pytest.raises(UnexpectedResponse, match="goes on at another host"):
            await client.list_jobs(VAULT_ID)
        assert elsewhere.visits == ()
    assert len(sim.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_on_the_way_is_not_followed(
    client: BoundClient, sim: AzureSimulator, vault: Vault, status: int
) -> None:
    """A redirect of a later page is no page."""
    add_jobs(vault, 3)
    sim.lists.page_size = 2
    with recording_server() as elsewhere:
        sim.faults.add(page(f"{sim.url}{VAULT_ID.jobs_url_path}?api-version=2025-02-01&$skipToken=x"))
        sim.faults.add(Fault.redirect(to=elsewhere.url, status=status))
        with pytest.raises(UnexpectedResponse, match=f"The answer {status} .* is not from Azure"):
            await client.list_jobs(VAULT_ID)
        assert elsewhere.visits == ()


LINKS = {
    "relative": "/subscriptions/x?$skipToken=1",
    "without a scheme": "//{host}/subscriptions/x",
    "another scheme": "https://{host}/subscriptions/x",
    "no web address": "ftp://{host}/subscriptions/x",
    "another port": "http://{name}:1/subscriptions/x",
    "no port": "http://{name}/subscriptions/x",
    "somebody's name before the host": "http://{host}@evil.example/subscriptions/x",
    "a name and a password": "http://me:secret@{host}/subscriptions/x",
    "a longer host": "http://{host}.evil.example/subscriptions/x",
    "a backslash": "http://{host}\\@evil.example/subscriptions/x",
    "no path": "http://{host}?$skipToken=1",
    "no address at all": "soon",
    "a bracket": "http://[{name}/subscriptions/x",
    "a host that is none": "http://\u2100.example/subscriptions/x",
}


@pytest.mark.parametrize("name", LINKS)
async def test_odd_links_are_refused(client: BoundClient, sim: AzureSimulator, vault: Vault, name: str) -> None:
    """What is not an address at the endpoint's own scheme, host and port is not asked for."""
    host = urlsplit(sim.url).netloc
    sim.faults.add(page(LINKS[name].format(host=host, name=host.partition(":")[0])))
    with pytest.raises(UnexpectedResponse) as caught:
        await client.list_jobs(VAULT_ID)
    assert len(sim.requests) == 1
    assert "secret" not in str(caught.value)


async def test_a_circle_is_noticed(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """A list whose link leads back is given up when the first page comes round again."""
    add_jobs(vault, 3)
    sim.faults.add(Fault.next_link(to=sim.url), times=None)
    with pytest.raises(UnexpectedResponse, match="goes round in a circle"):
        await client.list_jobs(VAULT_ID)
    assert len(sim.requests) <= 2


async def test_a_list_without_end_is_given_up(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """So many pages are read, and not one more: neither are what was read taken for the whole."""
    names = add_jobs(vault, MAX_PAGES)
    sim.lists.page_size = 1
    assert len((await client.list_jobs(VAULT_ID)).value) == MAX_PAGES
    sim.clear_requests()
    vault.set_job(name_of(len(names)), running_payload())
    with pytest.raises(JobListTooLong, match=f"more than {MAX_PAGES} pages") as caught:
        await client.list_jobs(VAULT_ID)
    assert len(sim.requests) == MAX_PAGES
    assert caught.value.pages == MAX_PAGES - 1


@pytest.mark.parametrize(
    "body", [{}, {"value": None}, {"value": {}}, {"value": [], "nextLink": 7}, {"value": [], "nextLink": {}}], ids=str
)
async def test_what_is_no_list(client: BoundClient, sim: AzureSimulator, vault: Vault, body: Any) -> None:
    """An answer that is not a list must not pass for an empty one: all jobs would seem to have ended."""
    sim.faults.add(Fault.answer(body=json.dumps(body), official=True))
    with pytest.raises(UnexpectedResponse, match="a list of jobs that is none"):
        await client.list_jobs(VAULT_ID)


async def test_entries_that_are_none_are_left_out(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """One odd entry does not cost the others; an empty link is none."""
    sim.faults.add(page("", None, 7, "x", running_payload()))
    reading = await client.list_jobs(VAULT_ID)
    assert [job.name for job in reading.value] == [JOB_NAME]


@pytest.mark.parametrize(
    ("fault", "kind"), [(Fault.throttled(retry_after=9), Throttled), (Fault.forbidden(), AuthorizationFailed)]
)
async def test_trouble_on_a_later_page_is_trouble_with_the_list(
    client: BoundClient, sim: AzureSimulator, vault: Vault, fault: Fault, kind: type[Exception]
) -> None:
    """Half a list is none."""
    add_jobs(vault, 4)
    sim.lists.page_size = 2
    sim.faults.add(Fault.delayed(seconds=0))
    sim.faults.add(fault)
    with pytest.raises(kind):
        await client.list_jobs(VAULT_ID)
    assert len(sim.requests) == 2


# ── single pages ─────────────────────────────────────────────────────────────────────────────────────────────────────


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
        assert (reading.pages, reading.remaining, len(sim.requests)) == (1, 39 - number, number + 1)
        jobs += reading.value.jobs
        link = reading.value.next
        assert (link is None) == (number == 2)
    assert sorted(job.name or "" for job in jobs) == names
    assert {request.query["$filter"] for request in sim.requests} == {filter_}
    assert len({request.query.get("$skiptoken") for request in sim.requests}) == 3


async def test_a_page_without_filter(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """Without a filter, the list has the ended jobs too."""
    vault.set_job(JOB_NAME, job_payload())
    page_ = (await client.list_page(VAULT_ID)).value
    assert ([(job.name, job.ended) for job in page_.jobs], page_.next) == ([(JOB_NAME, True)], None)
    assert sim.requests[0].query == {"api-version": "2025-02-01"}


async def test_a_page_of_a_backup_vault(client: BoundClient, sim: AzureSimulator) -> None:
    """A Backup vault gets no filter, on no page."""
    bv = sim.add_backup_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, "bv-harbour")
    for number in range(2):
        bv.set_job(name_of(number), {"properties": {"status": "InProgress"}})
    sim.lists.page_size = 1
    first = (await client.list_page(BACKUP_VAULT_ID, filter_="status eq 'InProgress'")).value
    last = (await client.list_page(BACKUP_VAULT_ID, link=first.next)).value
    assert [job.name for job in (*first.jobs, *last.jobs)] == [name_of(0), name_of(1)]
    assert [sorted(request.query) for request in sim.requests] == [["api-version"], ["$skiptoken", "api-version"]]


async def test_a_page_may_follow_any_number_of_pages(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """The limit of pages and the detection of circles are the caller's: no link is refused for what was read before."""
    path = VAULT_ID.jobs_url_path
    sim.faults.add(Fault.endless_list(to=sim.url), times=MAX_PAGES + 2)
    link = None
    for number in range(MAX_PAGES + 2):
        page_ = (await client.list_page(VAULT_ID, link=link)).value
        assert page_ == JobPage((), PageLink(path, f"api-version=2025-02-01&$skipToken={number + 1}"))
        link = page_.next
    sim.faults.add(Fault.next_link(to=sim.url), times=2)
    circle = await client.list_page(VAULT_ID)
    assert (await client.list_page(VAULT_ID, link=circle.value.next)).value == circle.value


async def test_a_page_that_leads_to_another_host(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """A page whose link leads elsewhere fails, so that no caller can follow the link."""
    add_jobs(vault, 1)
    with recording_server() as elsewhere:
        sim.faults.add(Fault.next_link(to=elsewhere.url))
        with pytest.raises(UnexpectedResponse, match="goes on at another host"):
            await client.list_page(VAULT_ID)
        assert elsewhere.visits == ()


@pytest.mark.parametrize(("by_provider", "wide"), [(False, True), (True, False)])
async def test_a_page_that_is_refused(
    client: BoundClient, sim: AzureSimulator, vault: Vault, *, by_provider: bool, wide: bool
) -> None:
    """A 429 says how long to wait, and whether it is for the whole subscription. The next page can be read later."""
    names = add_jobs(vault, 2)
    sim.lists.page_size = 1
    first = (await client.list_page(VAULT_ID)).value
    sim.faults.add(Fault.throttled(retry_after=9, by_provider=by_provider))
    with pytest.raises(Throttled) as caught:
        await client.list_page(VAULT_ID, link=first.next)
    error = caught.value
    assert (error.retry_after, error.is_subscription_wide, error.pages) == (timedelta(seconds=9), wide, 0)
    last = (await client.list_page(VAULT_ID, link=first.next)).value
    assert ([job.name for job in (*first.jobs, *last.jobs)], last.next) == (names, None)


# ── Backup vaults, and what remains ──────────────────────────────────────────────────────────────────────────────────


async def test_a_backup_vaults_list(client: BoundClient, sim: AzureSimulator) -> None:
    """It is asked for in the words of its own API: its version, and no filter, of which it knows none."""
    bv = sim.add_backup_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, "bv-harbour")
    for number in range(3):
        bv.set_job(name_of(number), {"properties": {"status": "InProgress", "dataSourceName": "aks"}})
    sim.lists.page_size = 2
    reading = await client.list_jobs(BACKUP_VAULT_ID)
    assert ([job.status for job in reading.value], reading.pages) == (["InProgress"] * 3, 2)
    first, second = sim.requests
    assert first.query == {"api-version": "2025-07-01"}
    assert set(second.query) == {"api-version", "$skiptoken"}
    assert "/providers/Microsoft.DataProtection/backupVaults/bv-harbour/backupJobs" in first.path


async def test_a_backup_vaults_job(open_client: Any, sim: AzureSimulator) -> None:
    """Each kind of vault has the version that was set for it."""
    bv = sim.add_backup_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, "bv-harbour")
    job_id = JobId.parse(bv.set_job(JOB_NAME, {"properties": {"status": "Completed", "dataSourceName": "aks"}}))
    client = open_client(azure_data_protection_api_version="2024-04-01", azure_api_version="2025-02-01")
    job = await client.get_job(job_id)
    assert (job.status, job.entity_friendly_name) == ("Completed", "aks")
    assert sim.requests[0].query == {"api-version": "2024-04-01"}


async def test_what_remains_is_read(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """Azure's own counts: of job GETs the provider's bucket, of lists the subscription's, as of the last page."""
    job_id = JobId.parse(vault.set_job(JOB_NAME, job_payload()))
    add_jobs(vault, 4)
    sim.quotas.enable(jobs=Bucket(60, 0.001), reads=Bucket(40, 0.001))
    assert [(await client.read_job(job_id)).remaining for _ in range(2)] == [59, 58]
    sim.lists.page_size = 2
    reading = await client.list_jobs(VAULT_ID)
    assert (reading.remaining, reading.pages) == (40 - reading.pages, 2)


async def test_nothing_is_said_of_what_remains(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """Without a count, or with one that is none, nothing is known."""
    body = json.dumps(job_payload())
    job_id = JobId.parse(vault.set_job(JOB_NAME, job_payload()))
    for value in ({}, {"x-ms-ratelimit-remaining-subscription-reads": "many"}):
        sim.faults.add(Fault.answer(body=body, headers={"x-ms-request-id": "r1", **value}))
        assert (await client.read_job(job_id)).remaining is None
