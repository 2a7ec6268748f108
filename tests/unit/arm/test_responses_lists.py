"""Responses about operations and lists: objects, pages, links and remaining counts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from backupjobwatch.arm.responses import (
    Response,
    next_path,
    read_item_list,
    read_job,
    read_job_list,
    read_object,
    remaining_requests,
)
from backupjobwatch.domain.jobs.resource_ids import JobId, VaultId, VaultKind
from backupjobwatch.errors import AuthorizationFailed, AzureError, JobNotFound, Throttled, UnexpectedResponse
from tests.support.azure import RESOURCE_GROUP as HARBOUR
from tests.support.azure import SUBSCRIPTION_ID, payload
from tests.support.azure import VAULT as HARBOUR_VAULT
from tests.support.builders import JOB_NAME, RESOURCE_GROUP, SUBSCRIPTION, VAULT, job_payload

NOW = datetime(2026, 3, 4, 1, 0, 0, tzinfo=UTC)
ENDPOINT = "https://management.azure.com"
RECOVERY_SERVICES, BACKUP_VAULT = (
    VaultId(subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP, name=VAULT, kind=kind) for kind in VaultKind
)


def answer(body: Any = None, status: int = 200) -> Response:
    return Response(
        status=status,
        headers={"x-ms-request-id": "r1"},
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
    )


def test_object() -> None:
    """A JSON object is returned unchanged."""
    assert read_object(answer(payload("opstatus-succeeded-job")), now=NOW) == payload("opstatus-succeeded-job")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'"text"', b"5", b"[" * 10**5, b"\xff"])
def test_no_object(body: bytes) -> None:
    """Any other body is unexpected and never ends a watch."""
    with pytest.raises(UnexpectedResponse, match="not a JSON object"):
        read_object(answer(body), now=NOW)


@pytest.mark.parametrize(("status", "kind"), [(403, AuthorizationFailed), (404, JobNotFound), (429, Throttled)])
def test_error_responses(status: int, kind: type[AzureError]) -> None:
    """A response without an object is the same error for operations and lists as for jobs."""
    error = {"error": {"code": "Code", "message": "Message"}}
    with pytest.raises(kind, match="Code: Message"):
        read_object(answer(error, status), now=NOW)
    with pytest.raises(kind, match="Code: Message"):
        read_job_list(answer(error, status), RECOVERY_SERVICES, now=NOW)


def test_accepted_is_no_answer() -> None:
    """202 and 204, which operation results return, contain nothing about a job."""
    for status in (202, 204):
        with pytest.raises(UnexpectedResponse):
            read_object(answer(b"", status), now=NOW)


def test_list() -> None:
    """A page has its jobs, and a link to the next page if there is one."""
    page = {"value": [job_payload(), job_payload(status="Failed")], "nextLink": f"{ENDPOINT}/next?$skipToken=2"}
    jobs, link = read_job_list(answer(page), RECOVERY_SERVICES, now=NOW)

    assert [(job.name, job.status) for job in jobs] == [(JOB_NAME, "Completed"), (JOB_NAME, "Failed")]
    assert link == f"{ENDPOINT}/next?$skipToken=2"


@pytest.mark.parametrize("last", [{}, {"nextLink": None}, {"nextLink": ""}])
def test_last_page(last: dict[str, Any]) -> None:
    """The last page has no link, or the link is null or empty. An empty list is valid."""
    assert read_job_list(answer({"value": [], **last}), RECOVERY_SERVICES, now=NOW) == ([], None)
    assert read_job_list(answer(payload("list-empty")), RECOVERY_SERVICES, now=NOW) == ([], None)


def test_list_of_a_backup_vault() -> None:
    """A list is parsed according to the kind of its vault."""
    given = payload("dp-list-page1-nextlink")
    jobs, link = read_job_list(answer(given), BACKUP_VAULT, now=NOW)

    assert [job.name for job in jobs] == [item["name"] for item in given["value"]]
    assert all(job.entity_friendly_name == "aks-harbour/daily" for job in jobs)
    assert link == given["nextLink"]


def test_protected_items() -> None:
    """A list of what a vault protects is parsed according to the kind of its vault, and its pages have links."""
    page = payload("items-all-workloads")
    vault = VaultId(subscription_id=SUBSCRIPTION_ID, resource_group=HARBOUR, name=HARBOUR_VAULT)
    items, link = read_item_list(answer({**page, "nextLink": f"{ENDPOINT}/next"}), vault, now=NOW)

    assert (len(items), link) == (len(page["value"]), f"{ENDPOINT}/next")
    instances = payload("dp-instances")
    vault = replace(vault, name="bv-harbour", kind=VaultKind.BACKUP_VAULT)
    assert len(read_item_list(answer(instances), vault, now=NOW)[0]) == len(instances["value"])
    assert read_item_list(answer({"value": [], "nextLink": ""}), vault, now=NOW) == ((), None)


@pytest.mark.parametrize("page", [{}, {"value": "x"}, {"value": [], "nextLink": 5}])
def test_no_list_of_protected_items(page: dict[str, Any]) -> None:
    """A body without a list of protected items is an error. It does not mean that the vault protects nothing."""
    with pytest.raises(UnexpectedResponse, match="an invalid list of protected items"):
        read_item_list(answer(page), RECOVERY_SERVICES, now=NOW)


def test_items_that_are_no_jobs() -> None:
    """Items that are not objects are skipped."""
    page: dict[str, Any] = {"value": [None, [], "text", 5, job_payload()]}

    assert len(read_job_list(answer(page), RECOVERY_SERVICES, now=NOW)[0]) == 1


@pytest.mark.parametrize(
    "page",
    [{}, {"value": None}, {"value": {}}, {"value": "x"}, {"value": [], "nextLink": 5}, {"value": [], "nextLink": []}],
)
def test_no_list(page: dict[str, Any]) -> None:
    """A body without a list is not treated as an empty list, because jobs would seem to have ended."""
    with pytest.raises(UnexpectedResponse, match="an invalid list of jobs"):
        read_job_list(answer(page), RECOVERY_SERVICES, now=NOW)


@pytest.mark.parametrize("name", ["dp-job-aks-failed", "dp-job-aks-inprogress", "dp-job-restore-completed-iso"])
def test_jobs_of_backup_vaults(name: str) -> None:
    """A Backup vault's job is parsed as such, and has the name of the requested job."""
    given = payload(name)
    job = read_job(answer(given), JobId(vault=BACKUP_VAULT, name=given["name"].upper()), now=NOW)

    assert (job.entity_friendly_name, job.status) == ("aks-harbour/daily", given["properties"]["status"])
    with pytest.raises(UnexpectedResponse, match="a response about"):
        read_job(answer(given), JobId(vault=BACKUP_VAULT, name=JOB_NAME), now=NOW)


@pytest.mark.parametrize(
    ("link", "path", "query"),
    [
        (f"{ENDPOINT}/a/b?api-version=1&$skipToken=x%2F", "/a/b", "api-version=1&$skipToken=x%2F"),
        ("HTTPS://Management.Azure.com/a", "/a", ""),
        (f"{ENDPOINT}/a%2Fb", "/a%2Fb", ""),
        (f"{ENDPOINT}:443/a?b=c", "/a", "b=c"),
    ],
)
def test_next_path(link: str, path: str, query: str) -> None:
    """A link on the endpoint's own host is followed unchanged."""
    assert next_path(link, ENDPOINT) == (path, query)
    assert next_path(link, ENDPOINT.upper()) == (path, query)


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/a",
        "http://management.azure.com/a",
        "https://management.azure.com:8443/a",
        "https://management.azure.com:80/a",
        "http://management.azure.com:443/a",
        "https://evil.example:443/a",
        "https://management.azure.com.evil.example/a",
        "https://management.azure.com@evil.example/a",
        "https://user@management.azure.com/a",
        "https://evil.example\\@management.azure.com/a",
        "//evil.example/a",
        "/a/b",
        "a/b",
        "",
        "https://management.azure.com",
        "javascript:alert(1)",
        "file:///etc/passwd",
    ],
)
def test_other_hosts(link: str) -> None:
    """A link to another host is not followed or quoted, so no token leaves and no signature gets into a status."""
    with pytest.raises(UnexpectedResponse, match="another host") as caught:
        next_path(link, ENDPOINT)
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize("link", ["https://[::1/a", "https://[evil/a?t=SECRET"])
def test_broken_links(link: str) -> None:
    """A link that is not a valid URL is an unexpected response, whatever the URL parser raises."""
    with pytest.raises(UnexpectedResponse):
        next_path(link, ENDPOINT)


@pytest.mark.parametrize(
    ("headers", "remaining"),
    [
        ({}, None),
        ({"resource_requests": "249"}, 249),
        ({"resource_entities_read": "70"}, 70),
        ({"reads": "0"}, 0),
        ({"reads": "11999", "resource_requests": "3"}, 3),
        ({"reads": "5", "resource_requests": "many"}, 5),
        ({"writes": "3"}, None),
        ({"global_reads": "3"}, None),
        ({"resource_requests": "-1"}, 0),
        ({"resource_entities_read": "-1"}, 0),
        ({"reads": "-1"}, 0),
        ({"reads": "-200"}, 0),
        ({"resource_requests": "1099", "reads": "-1"}, 0),
        ({"resource_requests": "1099", "resource_entities_read": "70", "reads": "5"}, 5),
        ({"reads": " 7 "}, 7),
        ({"reads": "--1"}, None),
        ({"reads": "-"}, None),
        ({"reads": "\u0661"}, None),
        ({"reads": "1.5"}, None),
        ({"reads": ""}, None),
        ({"reads": "9" * 5000}, None),
    ],
)
def test_remaining(headers: dict[str, str], remaining: int | None) -> None:
    """The smallest count that Azure reports is used, -1 means that nothing is left, and other strings are ignored."""
    prefix = "X-Ms-Ratelimit-Remaining-Subscription-"
    named = {prefix + name.replace("_", "-"): value for name, value in headers.items()}
    given = Response(status=200, headers=requests.structures.CaseInsensitiveDict(named), body=b"{}")

    assert remaining_requests(given) == remaining
