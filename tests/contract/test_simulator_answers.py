"""The simulator responds like Azure: headers, letter case, encodings and recorded payloads."""

import re
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

import pytest

from demo.simulator import AzureSimulator, Vault
from tests.contract.simulator_client import GUID, JOB, TOKEN, Get
from tests.support import azure


def test_sends_azures_headers(get: Get) -> None:
    """A job response has the documented headers and those of the quota."""
    answer = get(headers={**TOKEN, "x-ms-client-request-id": "ask-1"})
    headers = answer.headers
    request_id = headers["x-ms-request-id"]
    assert (answer.status_code, answer.reason) == (200, "OK")
    assert re.fullmatch(GUID, request_id)
    assert headers["x-ms-correlation-request-id"] == request_id
    assert re.fullmatch(rf"[A-Z]+:\d{{8}}T\d{{6}}Z:{request_id}", headers["x-ms-routing-request-id"])
    assert headers["x-ms-client-request-id"] == "ask-1"
    assert headers["x-ms-ratelimit-remaining-subscription-resource-requests"] == "249"
    assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
    assert (headers["Cache-Control"], headers["Pragma"]) == ("no-cache", "no-cache")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Type"] == "application/json"
    assert parsedate_to_datetime(headers["Date"]).tzinfo == UTC
    assert "x-ms-failure-cause" not in headers


def test_echoes_the_callers_ids(sim: AzureSimulator, get: Get) -> None:
    """The simulator keeps a correlation ID, returns a client request ID only if sent, and lets tests set the quota."""
    sim.arm.remaining_requests = 3
    answer = get(headers={**TOKEN, "x-ms-correlation-request-id": "corr-1"})
    assert answer.headers["x-ms-correlation-request-id"] == "corr-1"
    assert "x-ms-client-request-id" not in answer.headers
    assert answer.headers["x-ms-ratelimit-remaining-subscription-resource-requests"] == "3"


def test_without_a_rate_limit_header(sim: AzureSimulator, get: Get) -> None:
    """The simulator can omit the rate limit header."""
    sim.arm.remaining_requests = None
    assert not [name for name in get().headers if name.lower().startswith("x-ms-ratelimit-")]


@pytest.mark.parametrize("change", [str.lower, str.upper, str.swapcase])
def test_takes_paths_in_any_case(get: Get, vault: Vault, change: Callable[[str], str]) -> None:
    """Paths match in any letter case, and ``id`` repeats the requested spelling."""
    path = change(vault.job_id(JOB))
    resource = get(path).json()
    assert resource["id"] == path
    assert resource["name"] == JOB
    assert resource["properties"] == azure.payload("job-iaasvm-completed")["properties"]


def test_decodes_segments_once(sim: AzureSimulator, get: Get) -> None:
    """The simulator decodes each segment once, and an encoded slash does not split it."""
    vault = sim.add_vault(azure.SUBSCRIPTION_ID, "rg(übung)", "v")
    vault.set_job("a/b%2F", {"properties": {"jobType": "VaultJob"}})
    group = f"/subscriptions/{azure.SUBSCRIPTION_ID}/resourceGroups/rg%28%C3%BCbung%29"
    answer = get(f"{group}/providers/Microsoft.RecoveryServices/vaults/v/backupJobs/a%2Fb%252F")
    assert answer.json()["id"] == vault.job_id("a/b%2F")


@pytest.mark.parametrize("name", azure.payload_names("job-"))
def test_sends_payloads_unchanged(get: Get, vault: Vault, name: str) -> None:
    """The simulator returns a custom job unchanged, including nulls and unusual values."""
    payload = azure.payload(name)
    assert get(vault.set_job(payload["name"], payload)).json() == payload


def test_changes_payloads(get: Get, vault: Vault) -> None:
    """A job can be replaced and deleted. The simulator refuses a payload without properties."""
    vault.set_job(JOB, {"properties": {"status": "A"}})
    assert get().json()["properties"] == {"status": "A"}
    vault.set_job(JOB.upper(), {"properties": {"status": "B"}, "tags": {"t": 1}})
    assert get().json()["properties"] == {"status": "B"}
    assert get().json()["tags"] == {"t": 1}
    vault.delete_job(JOB)
    assert get().status_code == 404
    with pytest.raises(ValueError, match="properties"):
        vault.set_job(JOB, {"status": "B"})
