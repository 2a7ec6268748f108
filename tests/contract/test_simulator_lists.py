"""The simulator lists a Recovery Services vault's jobs like Azure: pages, order and unusual filters."""

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from demo.simulator import AzureSimulator, Fault, ManualClock, Vault, running_simulator
from tests.contract.vault_client import TOKEN, VAULT, follow, send, vm_job
from tests.support import azure

DAY: Final = "2026-03-04"


@pytest.fixture
def sim() -> Iterator[AzureSimulator]:
    with running_simulator(clock=ManualClock()) as simulator:
        yield simulator


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    """Five jobs that start an hour apart from noon, added in a different order."""
    vault = sim.add_vault(*VAULT)
    for hour in (14, 12, 16, 13, 15):
        vault.add_job(vm_job(f"job-{hour}", start_time=f"{DAY}T{hour}:30:00.5Z"))
    return vault


def listed(sim: AzureSimulator, vault: Vault, filter_: str) -> list[str]:
    answer = send(sim, f"{vault.id}/backupJobs", filter=filter_)
    assert answer.status_code == 200, answer.text
    return [job["name"] for job in answer.json()["value"]]


def test_lists_newest_first(sim: AzureSimulator, vault: Vault) -> None:
    """A list has the newest job first, regardless of the order in which tests added the jobs."""
    answer = send(sim, f"{vault.id}/backupJobs").json()
    assert [job["name"] for job in answer["value"]] == ["job-16", "job-15", "job-14", "job-13", "job-12"]
    assert "nextLink" not in answer


def test_orders_by_time_not_by_text(sim: AzureSimulator, vault: Vault) -> None:
    """A start time without a fraction sorts before one with a fraction, although "Z" sorts after "."."""
    vault.add_job(vm_job("trimmed", start_time=f"{DAY}T20:00:00Z"))
    vault.add_job(vm_job("fraction", start_time=f"{DAY}T20:00:00.1Z"))
    assert [job["name"] for job in send(sim, f"{vault.id}/backupJobs").json()["value"]][:2] == ["fraction", "trimmed"]


@pytest.mark.parametrize("name", azure.payload_names("job-"))
def test_entries_omit_details(sim: AzureSimulator, name: str) -> None:
    """An entry is the job without extendedInfo, with its ID in the request's letter case, as in recorded lists."""
    vault, payload = sim.add_vault(*VAULT), azure.payload(name)
    vault.set_job(payload["name"], payload)
    path = f"{vault.id}/backupJobs".replace("resourceGroups", "RESOURCEgroups")

    (item,) = send(sim, path).json()["value"]

    kept = {key: value for key, value in payload["properties"].items() if key != "extendedInfo"}
    assert item == payload | {"properties": kept, "id": f"{path}/{payload['name']}"}


def test_an_empty_vault(sim: AzureSimulator) -> None:
    """A vault without jobs returns the recorded empty list."""
    assert send(sim, f"{sim.add_vault(*VAULT).id}/backupJobs").json() == azure.payload("list-empty")


def test_pages(sim: AzureSimulator, vault: Vault) -> None:
    """Links lead through all pages with each job once, and the last page has no link."""
    sim.lists.page_size = 2
    pages = follow(sim, f"{vault.id}/backupJobs")
    assert [[job["name"] for job in page] for page in pages] == [["job-16", "job-15"], ["job-14", "job-13"], ["job-12"]]


def test_links_are_absolute_and_opaque(sim: AzureSimulator, vault: Vault) -> None:
    """A link is absolute on the same host, repeats api-version and filter, and percent-encodes its token."""
    sim.lists.page_size = 2
    link = send(sim, f"{vault.id}/backupJobs", filter="status eq 'InProgress'").json()["nextLink"]
    parts = urlsplit(link)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{sim.url}{vault.id}/backupJobs"
    assert parse_qs(parts.query).keys() == {"api-version", "$filter", "$skipToken"}
    assert re.fullmatch(r"[A-Za-z0-9%]+", link.partition("$skipToken=")[2])


def test_new_jobs_do_not_shift_pages(sim: AzureSimulator, vault: Vault) -> None:
    """A job that starts between two pages neither repeats nor hides another job."""
    sim.lists.page_size = 3
    first = send(sim, f"{vault.id}/backupJobs").json()
    vault.add_job(vm_job("job-17", start_time=f"{DAY}T17:30:00Z"))
    second = requests.get(first["nextLink"], headers=TOKEN, timeout=60).json()
    assert [job["name"] for job in second["value"]] == ["job-13", "job-12"]


@pytest.mark.parametrize(
    ("filter_", "hours"),
    [
        ("startTime eq '2026-03-04 02:30:00 PM'", [16, 15, 14]),
        ("endTime eq '2026-03-04 02:30:00 PM'", [14, 13, 12]),
        ("startTime eq '2026-03-04 12:31:00 PM' and endTime eq '2026-03-04 03:00:00 PM'", [14, 13]),
        ("startTime eq '2026-03-04 12:30:00 AM' and endTime eq '2026-03-04 12:30:00 PM'", [12]),
        ("startTime eq '2026-03-04 02:30:01 PM' and status eq 'InProgress'", [16, 15]),
        ("jobId eq 'JOB-13'", [13]),
        ("operation eq 'Backup' and backupManagementType eq 'AzureIaasVM'", [16, 15, 14, 13, 12]),
        ("status eq 'Completed'", []),
    ],
)
def test_filters(sim: AzureSimulator, vault: Vault, filter_: str, hours: list[int]) -> None:
    """Times are inclusive bounds in 12-hour format, despite the ``eq`` operator. Other values must be equal."""
    assert listed(sim, vault, filter_) == [f"job-{hour}" for hour in hours]


def test_filters_by_each_name(sim: AzureSimulator, vault: Vault) -> None:
    """A filter matches the whole operation: "Backup" does not match "Backup (Full)"."""
    vault.add_job(vm_job("sql", start_time=f"{DAY}T18:00:00Z", operation="Backup (Full)", status="Cancelling"))
    assert "sql" not in listed(sim, vault, "operation eq 'Backup'")
    assert listed(sim, vault, "status eq 'Cancelling'") == ["sql"]


@pytest.mark.parametrize(
    "filter_",
    [
        "startTime eq '2026-03-04T14:30:00Z'",
        "startTime eq '2026-03-04 14:30:00'",
        "startTime eq '2026-03-04 14:30:00 PM'",
        "startTime eq '2026-03-04 2:30:00 PM'",
        "startTime eq '2026-03-04 00:30:00 AM'",
        "startTime eq '2026-03-0414:30:00'",
        "startTime eq '2026-02-30 02:30:00 PM'",
        "startTime eq '2026-03-04 02:30:00 nachm.'",
        "startTime ge '2026-03-04 02:30:00 PM'",
        "startTime eq 2026-03-04",
        "startTime eq '2026-03-04 03:30:00 PM' and endTime eq '2026-03-04 02:30:00 PM'",
        "status eq 'Canceled'",
        "status eq 'InProgress' or status eq 'Cancelling'",
        "status eq 'InProgress' and status eq 'Cancelling'",
        "status eq 'InProgress'  and jobId eq 'x'",
        "backupManagementType eq 'AzureVM'",
        "operation eq 'Backup (Full)'",
        "entityFriendlyName eq 'vm-harbour-01'",
        "status eq InProgress",
        "nonsense",
    ],
)
def test_refuses_other_filters(sim: AzureSimulator, vault: Vault, filter_: str) -> None:
    """The simulator returns Azure's 400 for an unknown filter instead of ignoring it."""
    answer, recorded = (
        send(sim, f"{vault.id}/backupJobs", filter=filter_),
        azure.payload("error-400-invalid-filter-service"),
    )
    assert (answer.status_code, answer.json()) == (recorded["status"], recorded["body"])
    assert "x-ms-failure-cause" not in answer.headers


def test_can_ignore_filters(sim: AzureSimulator, vault: Vault) -> None:
    """The simulator can ignore filters, even invalid ones, as observed at Azure."""
    sim.lists.ignores_filter = True
    assert len(listed(sim, vault, "status eq 'Completed'")) == 5
    assert len(listed(sim, vault, "startTime ge 'yesterday'")) == 5


def test_refuses_made_up_tokens(sim: AzureSimulator, vault: Vault) -> None:
    """The simulator refuses a page token that it did not issue."""
    for token in ("x", "eyJhZnRlciI6ICJqb2ItOTkifQ==", "MQ=="):
        assert send(sim, f"{vault.id}/backupJobs", skip_token=token).status_code == 400


def test_lists_only_what_can_be_seen(sim: AzureSimulator) -> None:
    """A list has no invisible job, and does not start a job that waits for its first GET."""
    vault = sim.add_vault(*VAULT)
    job = vm_job("late", start_time=f"{DAY}T01:00:00Z")
    vault.add_job(job, starts="when asked")
    assert send(sim, f"{vault.id}/backupJobs").json() == {"value": []}
    assert send(sim, vault.job_id("late")).status_code == 200
    assert listed(sim, vault, "jobId eq 'late'") == ["late"]


def test_faulty_links(sim: AzureSimulator, vault: Vault) -> None:
    """A fault points nextLink to another host, or to the same page forever."""
    sim.faults.add(Fault.next_link(to="https://elsewhere.example"))
    sim.faults.add(Fault.next_link(to=sim.url))
    path = f"{vault.id}/backupJobs?api-version=2025-02-01"
    assert send(sim, f"{vault.id}/backupJobs").json()["nextLink"] == f"https://elsewhere.example{path}"
    assert send(sim, f"{vault.id}/backupJobs").json()["nextLink"] == f"{sim.url}{path}"


def test_entries_of_failed_jobs_have_errors(sim: AzureSimulator) -> None:
    """A failed entry has the errorDetails of its GET, as in recorded lists, unless the simulator omits them."""
    vault, payload = sim.add_vault(*VAULT), azure.payload("job-iaasvm-failed")
    vault.set_job(payload["name"], payload)

    def properties() -> dict[str, Any]:
        (entry,) = send(sim, f"{vault.id}/backupJobs").json()["value"]
        return dict(entry["properties"])

    assert properties()["errorDetails"] == payload["properties"]["errorDetails"]
    sim.lists.omits_errors = True
    assert not properties().keys() & {"errorDetails", "extendedInfo"}
    assert "errorDetails" in send(sim, vault.job_id(payload["name"])).json()["properties"]


def test_one_page_fails(sim: AzureSimulator, vault: Vault) -> None:
    """A fault can skip the first pages. It refuses the next page once, and the page's link still works later."""
    sim.lists.page_size = 2
    sim.faults.add(Fault.throttled(retry_after=3), path="/backupJobs$", skip=1)
    first = send(sim, f"{vault.id}/backupJobs").json()
    refused = requests.get(first["nextLink"], headers=TOKEN, timeout=60)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "3")
    second = requests.get(first["nextLink"], headers=TOKEN, timeout=60).json()
    assert [job["name"] for job in second["value"]] == ["job-14", "job-13"]


def test_only_one_kind_of_request_is_refused(sim: AzureSimulator, vault: Vault) -> None:
    """GETs of single jobs can fail at the provider while lists succeed."""
    sim.faults.add(Fault.throttled(retry_after=300, by_provider=True), path="/backupJobs/[^/]+$", times=None)
    for _ in range(2):
        refused = send(sim, vault.job_id("job-12"))
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "300")
        assert refused.json()["error"]["code"] == "ResourceRequestsThrottled"
        assert send(sim, f"{vault.id}/backupJobs").status_code == 200


def test_lists_without_end(sim: AzureSimulator, vault: Vault) -> None:
    """A fault gives each page a link to a new page."""
    sim.faults.add(Fault.endless_list(to=sim.url), times=3)
    path, links = f"{vault.id}/backupJobs", []
    for number in range(3):
        page = send(sim, path, skip_token=str(number) if number else "").json()
        assert page["value"] == []
        links.append(page["nextLink"])
    assert links == [f"{sim.url}{path}?api-version=2025-02-01&$skipToken={number}" for number in (1, 2, 3)]
