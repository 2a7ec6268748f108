"""ArmClient reads all pages of a list, and only from Azure's own host."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from backupjobwatch.domain.jobs.latest_window import list_filter
from backupjobwatch.domain.jobs.resource_ids import JobId, VaultId, VaultKind
from backupjobwatch.errors import AuthorizationFailed, Throttled, UnexpectedResponse
from demo.simulator import AzureSimulator, Bucket, Fault
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT, recording_server
from tests.support.builders import JOB_NAME, job_payload, running_payload

if TYPE_CHECKING:
    from demo.simulator import Vault
    from tests.functional.bound_client import BoundClient

VAULT_ID = VaultId(subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name=VAULT)
BACKUP_VAULT_ID = VaultId(
    subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name="bv-harbour", kind=VaultKind.BACKUP_VAULT
)


def name_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def add_jobs(vault: Vault, count: int) -> list[str]:
    """Add *count* jobs in progress and return their names in order."""
    names = [name_of(number) for number in range(count)]
    for name in names:
        vault.set_job(name, running_payload())
    return names


def page(link: Any, *jobs: Any) -> Fault:
    """Return a page whose nextLink is *link*."""
    return Fault.answer(body=json.dumps({"value": list(jobs), "nextLink": link}), official=True)


async def test_all_pages_are_read(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """The client requests each page once, with the filter, the API version and the token."""
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
    """The list of a vault without jobs has one empty page."""
    reading = await client.list_jobs(VAULT_ID)
    assert (reading.value, reading.pages) == ((), 1)


async def test_the_filter_has_times_in_azures_format(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """The filter has times in UTC on a 12-hour clock, the only format that the simulator accepts."""
    vault.set_job(JOB_NAME, running_payload(startTime="2026-03-04T00:00:00.5Z"))
    start = datetime(2026, 3, 4, tzinfo=UTC)
    found = await client.list_jobs(VAULT_ID, filter_=list_filter(start, start + timedelta(hours=13)))
    assert [job.name for job in found.value] == [JOB_NAME]
    expected = "startTime eq '2026-03-04 12:00:00 AM' and endTime eq '2026-03-04 01:00:00 PM'"
    assert sim.requests[0].query["$filter"] == expected
    later = await client.list_jobs(VAULT_ID, filter_=list_filter(start + timedelta(seconds=1), start + timedelta(1)))
    assert later.value == ()


async def test_links_are_followed_unchanged(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """The client ignores the letter case of the link's host and sends path and query back unchanged."""
    path = VAULT_ID.jobs_url_path.replace("/subscriptions/", "/Subscriptions/x%2F")
    target = f"{path}?api-version=2025-02-01&%24skipToken=a%2Bb%3D%3D"
    sim.faults.add(page(sim.url.upper() + target))
    sim.faults.add(page(None))
    assert (await client.list_jobs(VAULT_ID)).pages == 2
    assert sim.requests[1].path == path.replace("%2F", "/")
    assert sim.requests[1].query["$skiptoken"] == "a+b=="


async def test_a_link_to_another_path_is_not_followed(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """A nextLink to anything but a list fails, and sends nothing."""
    sim.faults.add(page(f"{sim.url}{VAULT_ID.url_path}/backupJobs/x/cancel?api-version=2025-02-01"))
    with pytest.raises(UnexpectedResponse, match="does not send this request"):
        await client.list_jobs(VAULT_ID)
    assert len(sim.requests) == 1


# ── invalid links and responses ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_link_to_another_host_is_not_followed(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """A nextLink to another host fails the list. The other host gets no request and no token."""
    add_jobs(vault, 3)
    with recording_server() as elsewhere:
        sim.faults.add(Fault.next_link(to=elsewhere.url))
        with pytest.raises(UnexpectedResponse, match="is on another host"):
            await client.list_jobs(VAULT_ID)
        assert elsewhere.visits == ()
    assert len(sim.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_on_the_way_is_not_followed(
    client: BoundClient, sim: AzureSimulator, vault: Vault, status: int
) -> None:
    """A redirect instead of a later page fails the list."""
    add_jobs(vault, 3)
    sim.lists.page_size = 2
    with recording_server() as elsewhere:
        sim.faults.add(page(f"{sim.url}{VAULT_ID.jobs_url_path}?api-version=2025-02-01&$skipToken=x"))
        sim.faults.add(Fault.redirect(to=elsewhere.url, status=status))
        with pytest.raises(UnexpectedResponse, match=f"The response {status} .* is not from Azure"):
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
    """The client rejects a link unless its scheme, host and port are those of the endpoint."""
    host = urlsplit(sim.url).netloc
    sim.faults.add(page(LINKS[name].format(host=host, name=host.partition(":")[0])))
    with pytest.raises(UnexpectedResponse) as caught:
        await client.list_jobs(VAULT_ID)
    assert len(sim.requests) == 1
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "body", [{}, {"value": None}, {"value": {}}, {"value": [], "nextLink": 7}, {"value": [], "nextLink": {}}], ids=str
)
async def test_a_malformed_list(client: BoundClient, sim: AzureSimulator, vault: Vault, body: Any) -> None:
    """A malformed list is an error. If it counted as empty, all jobs would seem to have ended."""
    sim.faults.add(Fault.answer(body=json.dumps(body), official=True))
    with pytest.raises(UnexpectedResponse, match="an invalid list of jobs"):
        await client.list_jobs(VAULT_ID)


async def test_entries_that_are_not_jobs_are_skipped(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """The client skips entries that are not jobs, and an empty link ends the list."""
    sim.faults.add(page("", None, 7, "x", running_payload()))
    reading = await client.list_jobs(VAULT_ID)
    assert [job.name for job in reading.value] == [JOB_NAME]


@pytest.mark.parametrize(
    ("fault", "kind"), [(Fault.throttled(retry_after=9), Throttled), (Fault.forbidden(), AuthorizationFailed)]
)
async def test_an_error_on_a_later_page_fails_the_list(
    client: BoundClient, sim: AzureSimulator, vault: Vault, fault: Fault, kind: type[Exception]
) -> None:
    """An error on a later page fails the whole list."""
    add_jobs(vault, 4)
    sim.lists.page_size = 2
    sim.faults.add(Fault.delayed(seconds=0))
    sim.faults.add(fault)
    with pytest.raises(kind):
        await client.list_jobs(VAULT_ID)
    assert len(sim.requests) == 2


# ── Backup vaults and remaining requests ─────────────────────────────────────────────────────────────────────────────


async def test_a_backup_vaults_list(client: BoundClient, sim: AzureSimulator) -> None:
    """A list of a Backup vault has that provider's API version and no filter."""
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
    """Each kind of vault has its own configurable API version."""
    bv = sim.add_backup_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, "bv-harbour")
    job_id = JobId.parse(bv.set_job(JOB_NAME, {"properties": {"status": "Completed", "dataSourceName": "aks"}}))
    client = open_client(azure_data_protection_api_version="2024-04-01", azure_api_version="2025-02-01")
    job = await client.get_job(job_id)
    assert (job.status, job.entity_friendly_name) == ("Completed", "aks")
    assert sim.requests[0].query == {"api-version": "2024-04-01"}


async def test_remaining_requests_are_read(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """A reading has the remaining requests that Azure reported last for its kind of request."""
    job_id = JobId.parse(vault.set_job(JOB_NAME, job_payload()))
    add_jobs(vault, 4)
    sim.quotas.enable(jobs=Bucket(60, 0.001), reads=Bucket(40, 0.001))
    assert [(await client.read_job(job_id)).remaining for _ in range(2)] == [59, 58]
    sim.lists.page_size = 2
    reading = await client.list_jobs(VAULT_ID)
    assert (reading.remaining, reading.pages) == (40 - reading.pages, 2)


async def test_remaining_requests_are_unknown(client: BoundClient, sim: AzureSimulator, vault: Vault) -> None:
    """If Azure's count is missing or unusable, the remaining requests are unknown."""
    body = json.dumps(job_payload())
    job_id = JobId.parse(vault.set_job(JOB_NAME, job_payload()))
    for value in ({}, {"x-ms-ratelimit-remaining-subscription-reads": "many"}):
        sim.faults.add(Fault.answer(body=body, headers={"x-ms-request-id": "r1", **value}))
        assert (await client.read_job(job_id)).remaining is None
