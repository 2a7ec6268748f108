"""The simulator keeps to what Azure sends, byte by byte where it matters, and breaks where it is told to."""

import asyncio
import hashlib
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from demo.simulator import (
    AzureSimulator,
    Fault,
    Job,
    ManualClock,
    SimulatedClock,
    State,
    Vault,
    formats,
    jobs,
    running_simulator,
)
from tests.support import azure

TOKEN: Final = {"Authorization": "Bearer demo-token"}
GUID: Final = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
JOB: Final = "b0b00001-5e1f-4000-8000-000000000003"
PAGE: Final = """{
  "id": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/Default-RecoveryServices-ResourceGroup-centralindia/providers/microsoft.recoveryservices/vaults/abdemovault/backupJobs/7ddead57-bcb9-4269-ac31-6a1b57588700",
  "name": "7ddead57-bcb9-4269-ac31-6a1b57588700",
  "type": "Microsoft.RecoveryServices/vaults/backupJobs",
  "properties": {
    "jobType": "AzureIaaSVMJob",
    "duration": "00:20:23.0896697",
    "actionsInfo": [
      1
    ],
    "virtualMachineVersion": "Compute",
    "extendedInfo": {
      "tasksList": [
        {
          "taskId": "Take Snapshot",
          "duration": "00:00:00",
          "status": "Completed"
        },
        {
          "taskId": "Transfer data to vault",
          "duration": "00:00:00",
          "status": "Completed"
        }
      ],
      "propertyBag": {
        "VM Name": "uttestvmub1",
        "Backup Size": "2332 MB"
      }
    },
    "entityFriendlyName": "uttestvmub1",
    "backupManagementType": "AzureIaasVM",
    "operation": "Backup",
    "status": "Completed",
    "startTime": "2018-05-21T08:35:40.9488967Z",
    "endTime": "2018-05-21T08:56:04.0385664Z",
    "activityId": "7df8e874-1d66-4f81-8e91-da2fe054811d"
  }
}"""
"""The example of Azure's documentation page."""


@pytest.fixture
def sim() -> Iterator[AzureSimulator]:
    with running_simulator(clock=ManualClock()) as simulator:
        yield simulator


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    vault = sim.add_vault(azure.SUBSCRIPTION_ID, azure.RESOURCE_GROUP, azure.VAULT)
    vault.set_job(JOB, azure.payload("job-iaasvm-completed"))
    return vault


@pytest.fixture
def get(sim: AzureSimulator, vault: Vault) -> Iterator[Callable[..., requests.Response]]:
    """Ask for a path, the job's by default, with everything in order unless told otherwise."""
    with requests.Session() as session:
        session.trust_env = False

        def ask(
            path: str = vault.job_id(JOB), *, version: str | None = "2025-02-01", **options: Any
        ) -> requests.Response:
            asked: dict[str, Any] = {
                "method": "GET",
                "headers": TOKEN,
                "timeout": 5.0,
                "allow_redirects": False,
            } | options
            return session.request(url=sim.url + path, params={"api-version": version} if version else None, **asked)

        yield ask


Get = Callable[..., requests.Response]


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_sends_azures_headers(get: Get) -> None:
    """A job comes with the headers of the documentation page, and with the quota's."""
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
    """A correlation ID of the caller's is kept, a client request ID is sent only where one came, the quota can be set."""
    sim.arm.remaining_requests = 3
    answer = get(headers={**TOKEN, "x-ms-correlation-request-id": "corr-1"})
    assert answer.headers["x-ms-correlation-request-id"] == "corr-1"
    assert "x-ms-client-request-id" not in answer.headers
    assert answer.headers["x-ms-ratelimit-remaining-subscription-resource-requests"] == "3"


@pytest.mark.parametrize("change", [str.lower, str.upper, str.swapcase])
def test_takes_paths_in_any_case(get: Get, vault: Vault, change: Callable[[str], str]) -> None:
    """A path is found in any letter case, and ``id`` echoes it as it was asked."""
    path = change(vault.job_id(JOB))
    resource = get(path).json()
    assert resource["id"] == path
    assert resource["name"] == JOB
    assert resource["properties"] == azure.payload("job-iaasvm-completed")["properties"]


def test_decodes_segments_once(sim: AzureSimulator, get: Get) -> None:
    """A segment is percent-decoded once, and an encoded slash does not split it."""
    vault = sim.add_vault(azure.SUBSCRIPTION_ID, "rg(übung)", "v")
    vault.set_job("a/b%2F", {"properties": {"jobType": "VaultJob"}})
    group = f"/subscriptions/{azure.SUBSCRIPTION_ID}/resourceGroups/rg%28%C3%BCbung%29"
    answer = get(f"{group}/providers/Microsoft.RecoveryServices/vaults/v/backupJobs/a%2Fb%252F")
    assert answer.json()["id"] == vault.job_id("a/b%2F")


@pytest.mark.parametrize("name", azure.payload_names("job-"))
def test_sends_payloads_unchanged(get: Get, vault: Vault, name: str) -> None:
    """A job that was set is sent as it is, nulls and oddities included."""
    payload = azure.payload(name)
    assert get(vault.set_job(payload["name"], payload)).json() == payload


def test_changes_payloads(get: Get, vault: Vault) -> None:
    """A job may be set again, and deleted; a payload without properties is refused."""
    vault.set_job(JOB, {"properties": {"status": "A"}})
    assert get().json()["properties"] == {"status": "A"}
    vault.set_job(JOB.upper(), {"properties": {"status": "B"}, "tags": {"t": 1}})
    assert get().json()["properties"] == {"status": "B"}
    assert get().json()["tags"] == {"t": 1}
    vault.delete_job(JOB)
    assert get().status_code == 404
    with pytest.raises(ValueError, match="properties"):
        vault.set_job(JOB, {"status": "B"})


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def refusal(answer: requests.Response) -> tuple[int, str, bool]:
    """Sum up a refusal: its status, its code, and whether the gateway says that it was the gateway."""
    error = answer.json()["error"]
    by_gateway = answer.headers.get("x-ms-failure-cause") == "gateway"
    assert {"code", "message"} <= set(error)
    assert by_gateway or {"target", "details", "innerError"} <= set(error) or error["code"].startswith("Missing")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert re.fullmatch(GUID, answer.headers["x-ms-request-id"])
    return answer.status_code, error["code"], by_gateway


def test_wants_an_api_version(get: Get) -> None:
    """A request without an api-version is refused even before its token is looked at, and so is an unknown version."""
    assert refusal(get(version=None, headers={})) == (400, "MissingApiVersionParameter", True)
    assert refusal(get(version="2010-01-01")) == (400, "InvalidApiVersionParameter", True)
    assert "2025-02-01" in get(version="2010-01-01").text
    assert get(version="2017-07-01").status_code == 200


def test_wants_a_token(sim: AzureSimulator, get: Get) -> None:
    """Each way in which a token will not do has its own 401."""
    assert refusal(get(headers={})) == (401, "AuthenticationFailed", True)
    assert refusal(get(headers={"Authorization": "Bearer other"})) == (401, "InvalidAuthenticationToken", True)
    assert refusal(get(headers={"Authorization": "Basic demo-token"})) == (401, "InvalidAuthenticationToken", True)
    sim.tokens.expire("demo-token")
    assert refusal(get()) == (401, "ExpiredAuthenticationToken", True)
    sim.tokens.revoke("demo-token", claims={"access_token": {}})
    assert 'error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOiB7fX0"' in get().headers["WWW-Authenticate"]
    sim.tokens.revoke("demo-token")
    assert refusal(get()) == (401, "InvalidAuthenticationToken", True)
    sim.tokens.add("demo-token", "demo-principal")
    assert get().status_code == 200
    sim.tokens.remove("demo-token")
    assert refusal(get()) == (401, "InvalidAuthenticationToken", True)


@pytest.mark.parametrize(
    ("name", "provoke"),
    [
        ("error-401-missing-header", lambda _sim, get: get(headers={})),
        ("error-401-expired-token", lambda sim, get: sim.tokens.expire("demo-token") or get()),
        ("error-403-authorizationfailed", lambda sim, get: sim.faults.add(Fault.forbidden()) and get()),
        ("error-404-item-service", lambda _sim, get: get(_path(job="none"))),
        ("error-404-vault-gateway", lambda _sim, get: get(_path(vault="rsv-none"))),
        ("error-404-resourcegroup-gateway", lambda _sim, get: get(_path(group="rg-none"))),
        ("error-409-not-registered", lambda sim, get: sim.faults.add(Fault.not_registered()) and get()),
        ("error-429-subscription-tokenbucket", lambda sim, get: sim.faults.add(Fault.throttled()) and get()),
        ("error-500-cloudinternal", lambda sim, get: sim.faults.add(Fault.server_error()) and get()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses_in_the_recorded_form(sim: AzureSimulator, get: Get, name: str, provoke: Callable[..., Any]) -> None:
    """A refusal has the status, the headers and the body of its payload, but for names and times."""
    expected, answer = azure.payload(name), provoke(sim, get)
    names = r"rg-\w+(-\w+)?|rsv-\w+|demo-principal|5e1f0000-c11e-[-0-9]+|7e4a0000-[-0-9a-f]+|b0b0[-0-9a-f]+|\d+/\d+/\d+ [\d:]+ .M"
    blurred = [re.sub(names, "X", json.dumps(body)) for body in (expected["body"], answer.json())]
    assert answer.status_code == expected["status"]
    assert blurred[0] == blurred[1]
    for header, value in expected["headers"].items():
        assert answer.headers[header] == value
    assert ("x-ms-failure-cause" in answer.headers) == ("x-ms-failure-cause" in expected["headers"])


def _path(*, group: str = azure.RESOURCE_GROUP, vault: str = azure.VAULT, job: str = JOB) -> str:
    return Vault(azure.SUBSCRIPTION_ID, group, vault, clock=ManualClock()).job_id(job)


def test_vaults_come_and_go(sim: AzureSimulator, get: Get, vault: Vault) -> None:
    """A vault that is deleted is the gateway's 404; one of the same name starts empty, and is made once."""
    sim.directory.delete_vault(vault.subscription_id, vault.resource_group.upper(), vault.name.upper())
    assert refusal(get()) == (404, "ResourceNotFound", True)
    again = sim.add_vault(vault.subscription_id, vault.resource_group, vault.name)
    assert again is sim.add_vault(vault.subscription_id.upper(), vault.resource_group.upper(), vault.name.upper())
    assert refusal(get()) == (404, "BMSUserErrorDataSourceObjectNotFound", False)
    sim.directory.add_resource_group("11111111-5e1f-4000-8000-000000000000", azure.RESOURCE_GROUP)
    elsewhere = _path().replace(azure.SUBSCRIPTION_ID, "11111111-5e1f-4000-8000-000000000000")
    assert refusal(get(elsewhere)) == (404, "ResourceNotFound", True)


def test_refuses_other_places_and_methods(get: Get) -> None:
    """Other subscriptions and paths are 404 of the gateway's, other methods 405."""
    other, malformed = "11111111-5e1f-4000-8000-000000000000", "no-guid"
    assert refusal(get(_path().replace(azure.SUBSCRIPTION_ID, other))) == (404, "SubscriptionNotFound", True)
    assert refusal(get(_path().replace(azure.SUBSCRIPTION_ID, malformed))) == (400, "InvalidSubscriptionId", True)
    for path in ("/", "/subscriptions", _path() + "/", _path() + "/cancel", _path(job="")):
        assert refusal(get(path)) == (404, "NotFound", True)
    for method in ("PUT", "POST", "PATCH", "DELETE"):
        answer = get(method=method)
        assert (*refusal(answer), answer.headers["Allow"]) == (405, "MethodNotAllowed", True, "GET")


# ── time lines ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_documented_job_ends_as_documented(sim: AzureSimulator, get: Get) -> None:
    """The documentation's job starts InProgress, grows, and ends with the page's bytes (but for white space)."""
    path = json.loads(PAGE)["id"]
    jobs.add_demo_jobs(sim)
    seen = []
    for seconds in (0, 100.5, 200, 922, 0.5896697, 1000):
        sim.clock.advance(seconds)
        job = get(path).json()["properties"]
        seen.append(
            (job["status"], job["duration"], "".join(task["status"][0] for task in _tasks(job)), "endTime" in job)
        )
    assert seen == [
        ("InProgress", "00:00:00", "IN", False),
        ("InProgress", "00:01:40.5000000", "IN", False),
        ("InProgress", "00:05:00.5000000", "CI", False),
        ("InProgress", "00:20:22.5000000", "CI", False),
        ("Completed", "00:20:23.0896697", "CC", True),
        ("Completed", "00:20:23.0896697", "CC", True),
    ]
    assert get(path).text == json.dumps(json.loads(PAGE), separators=(",", ":"))


def _tasks(job: dict[str, Any]) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = job["extendedInfo"]["tasksList"]
    return tasks


def test_restore_progresses(sim: AzureSimulator, get: Get) -> None:
    """A restore shows its progress while it runs, and ends without an estimate."""
    path = jobs.add_demo_jobs(sim).job_id(jobs.RESTORE.name)
    sim.clock.advance(390)
    job = get(path).json()["properties"]
    (task,) = _tasks(job)
    assert (job["status"], job["duration"], job["startTime"]) == ("InProgress", "PT6M30S", "2026-03-04T01:00:00Z")
    assert (job["extendedInfo"]["progressPercentage"], job["extendedInfo"]["estimatedRemainingDuration"]) == (
        25,
        "00:18:30",
    )
    assert (task["taskExecutionDetails"], task["endTime"]) == ("6.2 GB of 24.8 GB transferred", "0001-01-01T00:00:00")
    sim.clock.advance(2000)
    job = get(path).json()["properties"]
    (task,) = _tasks(job)
    assert (job["status"], job["duration"], job["endTime"]) == ("Completed", "PT25M10.5S", "2026-03-04T01:25:10.5Z")
    assert "estimatedRemainingDuration" not in job["extendedInfo"]
    assert (task["status"], task["progressPercentage"], task["endTime"]) == ("Completed", 100, "2026-03-04T01:25:00Z")


@pytest.mark.parametrize(
    ("job", "statuses"),
    [
        (jobs.FAILED, ["InProgress", "Failed"]),
        (jobs.COMPLETED_WITH_WARNINGS, ["InProgress", "CompletedWithWarnings"]),
        (jobs.SQL_FULL_BACKUP, ["InProgress", "Completed"]),
        (jobs.CANCELLED, ["InProgress", "Cancelling", "Cancelled"]),
        (jobs.LATE, [404, "InProgress", "Completed"]),
        (jobs.UNKNOWN, ["WaitingForTape", "Completed"]),
    ],
    ids=lambda value: value.properties["entityFriendlyName"] if isinstance(value, Job) else None,
)
def test_demo_jobs_live(sim: AzureSimulator, get: Get, job: Job, statuses: list[str | int]) -> None:
    """Each of the demo's jobs goes through its statuses and stays in the last."""
    path = jobs.add_demo_jobs(sim).job_id(job.name)
    seen: list[str | int] = []
    for _ in range(160):
        answer = get(path)
        status = answer.json()["properties"]["status"] if answer.status_code == 200 else answer.status_code
        seen += [status] if seen[-1:] != [status] else []
        sim.clock.advance(15)
    assert seen == statuses


def test_failed_job_says_why(sim: AzureSimulator, get: Get) -> None:
    """A failed job has the fields of a failed payload, of the same types."""
    path = jobs.add_demo_jobs(sim).job_id(jobs.FAILED.name)
    sim.clock.advance(1000)
    job, payload = get(path).json()["properties"], azure.payload("job-iaasvm-failed")["properties"]
    assert set(job) == set(payload)
    assert [[*map(type, error.values())] for error in job["errorDetails"]] == [
        [*map(type, error.values())] for error in payload["errorDetails"]
    ]
    assert job["duration"] == payload["duration"]


def test_jobs_may_wait_for_the_first_question(sim: AzureSimulator, get: Get, vault: Vault) -> None:
    """A job that starts when asked has not lived before, and a restarted one lives again."""
    job = Job(name="j", timeline=(State(status="InProgress"), State(status="Completed", after=60, ended=True)))
    path = vault.add_job(job, starts="when asked")
    sim.clock.advance(1000)
    assert get(path).json()["properties"]["status"] == "InProgress"
    sim.clock.advance(60)
    assert get(path).json()["properties"]["status"] == "Completed"
    vault.restart_job("j")
    assert get(path).json()["properties"]["status"] == "InProgress"


@pytest.mark.parametrize("moments", [(), (1.0,), (0.0, 2.0, 1.0)])
def test_time_lines_go_forward(moments: tuple[float, ...]) -> None:
    """A time line that has no beginning, or goes back, is refused."""
    with pytest.raises(ValueError, match="timeline of job j"):
        Job(name="j", timeline=tuple(State(status="InProgress", after=after) for after in moments))


def test_speeds_up() -> None:
    """A clock runs at its speed, which may change, and a job lives by it."""
    start = datetime(2026, 3, 4, tzinfo=UTC)
    clock = SimulatedClock(speed=1000, start=start)
    job = Job(name="j", timeline=(State(status="InProgress"), State(status="Completed", after=20)))
    vault = Vault(azure.SUBSCRIPTION_ID, "g", "v", clock=clock)
    vault.add_job(job)
    statuses: list[str] = []
    deadline = time.monotonic() + 5
    while statuses[-1:] != ["Completed"] and time.monotonic() < deadline:
        resource = vault.find_job("j")
        assert resource is not None
        statuses.append(resource["properties"]["status"])
    assert (statuses[0], statuses[-1]) == ("InProgress", "Completed")
    clock.speed = 0
    stopped = clock.now()
    assert stopped - start >= timedelta(seconds=20)
    assert clock.now() == stopped
    with pytest.raises(ValueError, match="one way"):
        clock.advance(-1)


@given(st.integers(min_value=0, max_value=10**14))
def test_formats_are_azures(ticks: int) -> None:
    """Times and durations keep every tick, trim zeros as Azure does, and never leave their form."""
    text = formats.timestamp(ticks)
    assert formats.parse_timestamp(text) == ticks
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,6}[1-9])?Z", text)
    assert re.fullmatch(
        r"P(?=.)(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d{0,6}[1-9])?S)?)?", formats.iso8601_duration(ticks)
    )
    assert re.fullmatch(r"(\d+\.)?\d\d:\d\d:\d\d(\.\d{7})?", formats.timespan(ticks))


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fault", "status", "headers", "body"),
    [
        (Fault.throttled(retry_after=7), 429, {"Retry-After": "7"}, "SubscriptionRequestsThrottled"),
        (
            Fault.throttled(retry_after=7, by_provider=True),
            429,
            {},
            "action 'Microsoft.RecoveryServices/vaults/backupJobs/read'",
        ),
        (
            Fault.throttled(retry_after=datetime(2026, 3, 4, 1, 2, 3, tzinfo=UTC)),
            429,
            {"Retry-After": "Wed, 04 Mar 2026 01:02:03 GMT"},
            "Throttled",
        ),
        (Fault.throttled(retry_after="soon"), 429, {"Retry-After": "soon"}, "Throttled"),
        (Fault.server_error(status=502), 502, {"x-ms-failure-cause": "gateway"}, "BadGateway"),
        (Fault.server_error(status=503, retry_after=9), 503, {"Retry-After": "9"}, "ServerUnavailable"),
        (Fault.server_error(status=504), 504, {}, "GatewayTimeout"),
        (Fault.html(), 502, {"Content-Type": "text/html"}, "<h1>Bad gateway</h1>"),
        (Fault.html(status=200, title="Sign in"), 200, {"Content-Type": "text/html"}, "<h1>Sign in</h1>"),
        (Fault.empty(), 200, {"Content-Length": "0"}, "^$"),
        (Fault.truncated(), 200, {"Content-Type": "application/json"}, '^{"id":"/subscriptions/[^}]*$'),
        (Fault.not_an_object(), 200, {}, r"^\[\]$"),
        (Fault.not_an_object(value=7), 200, {}, "^7$"),
        (Fault.not_a_number(), 200, {}, '"progressPercentage":NaN'),
        (Fault.infinite(), 200, {}, '"progressPercentage":Infinity'),
        (Fault.lone_surrogate(), 200, {}, r'"vm-\\ud800"'),
        (Fault.unauthorized(), 401, {"x-ms-failure-cause": "gateway"}, "InvalidAuthenticationToken"),
        (Fault.expired_token(), 401, {}, r"time '\d+/\d+/\d{4} \d+:\d\d:\d\d [AP]M' is earlier than"),
        (
            Fault.forbidden(),
            403,
            {},
            "perform action 'Microsoft.RecoveryServices/vaults/backupJobs/read' over scope '/sub",
        ),
        (Fault.job_not_found(), 404, {}, '"innerError":null'),
        (
            Fault.vault_not_found(),
            404,
            {"x-ms-failure-cause": "gateway"},
            "'Microsoft.RecoveryServices/vaults/rsv-harbour'",
        ),
        (Fault.not_registered(), 409, {}, "namespace 'Microsoft.RecoveryServices'"),
        (Fault.answer(status=418, body="tea", headers={"X-Pot": "1"}), 418, {"X-Pot": "1"}, "^tea$"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_faults_answer(
    sim: AzureSimulator, get: Get, *, fault: Fault, status: int, headers: dict[str, str], body: str
) -> None:
    """Each fault that is an answer is that answer, once; then all is well again."""
    sim.faults.add(fault)
    answer = get()
    assert answer.status_code == status
    assert headers.items() <= answer.headers.items()
    assert re.search(body, answer.text)
    assert get().status_code == 200


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.reset(), "ConnectionResetError"),
        (Fault.hang_up(), "RemoteDisconnected"),
        (Fault.cut(), "IncompleteRead"),
        (Fault.cut(after=0), r"IncompleteRead\(0 bytes"),
        (Fault.wrong_length(difference=3), "3 more expected"),
        (Fault.drip_headers(interval=0.5), "Read timed out"),
        (Fault.delayed(seconds=30), "Read timed out"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_faults_break_the_connection(sim: AzureSimulator, get: Get, fault: Fault, error: str) -> None:
    """Each fault of the connection breaks it in its own way, once; then all is well again."""
    sim.faults.add(fault)
    with pytest.raises(requests.RequestException, match=error):
        get(timeout=(5.0, 0.05 if "timed out" in error else 5.0))
    assert get().status_code == 200


def test_faults_take_their_time(sim: AzureSimulator, get: Get, vault: Vault) -> None:
    """A slow answer is late, or comes byte by byte, but is the true one."""
    vault.set_job(JOB, {"properties": {}})
    truth = get()
    for fault, at_least in (
        (Fault.delayed(seconds=0.05), 0.05),
        (Fault.drip_body(interval=0.0005), 0.0005 * len(truth.content)),
        (Fault.drip_headers(interval=0), 0),
    ):
        sim.faults.add(fault)
        began = time.monotonic()
        assert get().json() == truth.json()
        assert time.monotonic() - began >= at_least


def test_faults_flood(sim: AzureSimulator, get: Get) -> None:
    """A huge body has its size, declared or not, packed or not, and is valid JSON."""
    for fault, header, value in (
        (Fault.huge(size=3_000_000), "Content-Length", "3000000"),
        (Fault.huge(size=3_000_000, declared=False), "Content-Length", None),
        (Fault.gzip_bomb(size=3_000_000), "Content-Encoding", "gzip"),
    ):
        sim.faults.add(fault)
        answer = get()
        assert len(answer.content) == 3_000_000
        assert answer.headers.get(header) == value
        assert answer.json()["properties"]["status"] == "InProgress"


def test_a_flood_ends_with_its_reader(sim: AzureSimulator, get: Get) -> None:
    """Who hangs up on 50 MiB is not sent them, and the simulator goes on."""
    sim.faults.add(Fault.huge())
    with get(stream=True) as answer:
        assert answer.headers["Content-Length"] == str(50 * 1024 * 1024)
        assert answer.raw.read(10)
    assert get().status_code == 200


def test_redirects_lead_away(sim: AzureSimulator, get: Get) -> None:
    """A redirect names the same path and query at another host, and requests' own rules keep the token from it."""
    with azure.recording_server() as other:
        for status in (302, 307):
            sim.faults.add(Fault.redirect(to=other.url, status=status))
            answer = get()
            assert (answer.status_code, answer.headers["Location"]) == (
                status,
                f"{other.url}{_path()}?api-version=2025-02-01",
            )
        assert not other.visits
        sim.faults.add(Fault.redirect(to=other.url))
        assert get(allow_redirects=True).json() == {}
        (visit,) = other.visits
    assert (visit.method, visit.target) == ("GET", f"{_path()}?api-version=2025-02-01")
    assert visit.headers["host"] == other.url.removeprefix("http://")


def test_faults_choose_their_requests(sim: AzureSimulator, get: Get, vault: Vault) -> None:
    """A fault meets as many requests as it was told, of one path, of one principal, until it is cleared."""
    sim.tokens.add("b-token", "b")
    vault.set_job("other", {"properties": {}})

    def statuses(*answers: requests.Response) -> list[int]:
        return [answer.status_code for answer in answers]

    rule = sim.faults.add(Fault.throttled(), path="BACKUPJOBS/other", times=2)
    assert statuses(get(), *(get(_path(job="other")) for _ in range(3))) == [200, 429, 429, 200]
    assert rule.used == 2
    sim.faults.add(Fault.forbidden(), principal="b", times=None)
    assert statuses(get(), *(get(headers={"Authorization": "Bearer b-token"}) for _ in range(3))) == [
        200,
        403,
        403,
        403,
    ]
    assert get(headers={"Authorization": "Bearer b-token"}).text.count("'b'") == 2
    removed = sim.faults.add(Fault.throttled(), times=None)
    sim.faults.add(Fault.server_error(), times=None)
    assert get().status_code == 429
    sim.faults.remove(removed)
    assert get().status_code == 500
    sim.faults.clear()
    assert get(headers={"Authorization": "Bearer b-token"}).status_code == 200


# ── holds, records, life ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("state_as_of", "status"), [("release", "after"), ("arrival", "before")])
def test_holds(sim: AzureSimulator, get: Get, vault: Vault, state_as_of: Any, status: str) -> None:
    """A held request waits, and is then answered with the state as of its release, or of its arrival."""
    vault.set_job("j", {"properties": {"status": "before"}})
    with ThreadPoolExecutor(2) as pool, sim.hold("/BACKUPJOBS/j$", state_as_of=state_as_of) as hold:
        with pytest.raises(TimeoutError):
            hold.wait_arrived(timeout=0.01)
        held = pool.submit(get, _path(job="j"))
        hold.wait_arrived()
        assert get().status_code == 200
        vault.set_job("j", {"properties": {"status": "after"}})
        assert not held.done()
        assert hold.arrivals == 1
        hold.release()
        assert held.result(timeout=5).json()["properties"] == {"status": status}
        assert get(_path(job="j")).json()["properties"] == {"status": "after"}


def test_faults_meet_held_requests(sim: AzureSimulator, get: Get) -> None:
    """A fault that is added during a hold meets the held request."""
    with ThreadPoolExecutor(1) as pool, sim.hold() as hold:
        held = pool.submit(get)
        hold.wait_arrived()
        sim.faults.add(Fault.throttled())
        hold.release()
        assert held.result(timeout=5).status_code == 429


def test_records_requests(sim: AzureSimulator, get: Get) -> None:
    """A request is recorded with all that matters of it, and of its token only a hash."""
    before = datetime.now(UTC)
    get(headers={**TOKEN, "X-Ms-Client-Request-Id": "ask-1", "User-Agent": "me/1"})
    get(_path(job="none"), headers={})
    first, second = sim.requests
    assert (first.method, first.path, first.query) == ("GET", _path(), {"api-version": "2025-02-01"})
    assert (first.principal, first.client_request_id, first.user_agent) == ("demo-principal", "ask-1", "me/1")
    assert before <= first.time <= second.time
    assert {"authorization", "x-ms-client-request-id", "user-agent", "host"} <= set(first.header_names)
    assert first.authorization_sha256 == hashlib.sha256(b"Bearer demo-token").hexdigest()
    assert "demo-token" not in repr(sim.requests)
    assert (second.principal, second.authorization_sha256) == (None, None)
    assert sim.requests_to("/none$") == (second,)
    sim.clear_requests()
    assert sim.requests == ()


def test_waits_for_requests(sim: AzureSimulator, get: Get) -> None:
    """One may wait for requests that were made, that will be made, or in vain."""
    get()
    assert len(sim.wait_requests(1)) == 1
    timer = threading.Timer(0.02, get)
    timer.start()
    assert len(sim.wait_requests(2, path="/backupjobs/")) == 2
    with pytest.raises(TimeoutError, match="2 of 3"):
        sim.wait_requests(3, timeout=0.01)
    timer.join()


async def test_lives_in_an_event_loop() -> None:
    """In one event loop with its client, it holds, records and answers without blocking."""
    async with AzureSimulator(clock=ManualClock()) as sim, aiohttp.ClientSession(sim.url, headers=TOKEN) as client:
        path = sim.add_vault(azure.SUBSCRIPTION_ID, "g", "v").set_job("j", {"properties": {"status": "S"}})
        hold = sim.hold()

        async def ask() -> Any:
            async with client.get(path, params={"api-version": "2025-02-01"}) as answer:
                return await answer.json()

        asked = asyncio.create_task(ask())
        await hold.arrived()
        with pytest.raises(TimeoutError):
            await sim.requests_arrived(2, timeout=0.01)
        hold.release()
        assert (await asked)["properties"] == {"status": "S"}
        assert len(await sim.requests_arrived(1)) == 1

        url = sim.url
        await sim.stop()
        with pytest.raises(aiohttp.ClientConnectionError):
            await ask()
        await sim.start()
        assert sim.url == url
        assert (await ask())["properties"] == {"status": "S"}


def test_stops_cleanly() -> None:
    """A stop leaves no thread, answers what is held, and does not wait for what is slow."""
    threads, began = threading.active_count(), time.monotonic()
    with ThreadPoolExecutor(3) as pool:
        with running_simulator() as sim:
            url = f"{sim.url}{_path()}?api-version=2025-02-01"
            sim.faults.add(Fault.delayed(seconds=60), path="delayed")
            sim.faults.add(Fault.drip_headers(interval=60), path="dripped")
            hold = sim.hold("held")
            asked = {
                what: pool.submit(requests.get, url.replace("/vaults/", f"/vaults/{what}-"), headers=TOKEN, timeout=30)
                for what in ("delayed", "dripped", "held")
            }
            hold.wait_arrived()
            sim.wait_requests(3)
        assert asked["held"].result(timeout=5).status_code == 404
        for what in ("delayed", "dripped"):
            assert isinstance(asked[what].exception(timeout=5), requests.ConnectionError)
    assert time.monotonic() - began < 20
    assert threading.active_count() == threads


def test_says_what_hinders_it() -> None:
    """A port that is taken is told to the caller, and leaves nothing behind."""
    threads = threading.active_count()
    with running_simulator() as sim:
        taken = running_simulator(port=int(sim.url.rpartition(":")[2]))
        with pytest.raises(OSError, match="address already in use"):
            taken.__enter__()
    assert threading.active_count() == threads
    with pytest.raises(RuntimeError, match="not started"):
        AzureSimulator().url  # noqa: B018 - it raises


def test_serves_tls(tmp_path: Path) -> None:
    """With TLS on, it is trusted by its own CA's certificate only."""
    (tmp_path / "ca.pem").write_text("")
    with running_simulator(tls=True) as sim:
        (tmp_path / "ca.pem").write_text(sim.ca_pem)
        assert sim.url.startswith("https://")
        assert requests.get(sim.url, verify=str(tmp_path / "ca.pem"), timeout=5).status_code == 400
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(sim.url, timeout=5)


# ── as a process ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_control_api(sim: AzureSimulator, get: Get) -> None:
    """What the Python API does, the control API does too; it is not recorded, and tells what is wrong with a request."""

    def control(method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(method, f"{sim.url}/_simulator/{path}", json=body, timeout=5)

    assert control("PUT", _path(job="j"), {"properties": {"status": "S"}}).json() == {"id": _path(job="j")}
    assert get(_path(job="j")).json()["properties"] == {"status": "S"}
    assert control("DELETE", _path(job="j")).status_code == 204
    assert get(_path(job="j")).status_code == 404
    fault = {"kind": "throttled", "retry_after": 7, "path": "/backupJobs/", "times": 2}
    assert control("POST", "faults", fault).status_code == 204
    assert get().headers["Retry-After"] == "7"
    summary = control("GET", "").json()
    assert summary["faults"] == [{"kind": "throttled", "remaining": 1, "used": 1}]
    assert JOB in summary["vaults"][_path().partition("/backupJobs")[0]]
    assert control("DELETE", "faults").status_code == 204
    assert control("POST", "clock", {"advance": 90, "speed": 0}).json()["now"].startswith("2026-03-04 01:01:30")
    assert control("POST", "tokens", {"expire": "demo-token"}).status_code == 204
    assert get().status_code == 401
    assert control("POST", "tokens", {"token": "demo-token", "principal": "p"}).status_code == 204
    assert control("POST", "holds", {"path": "held"}).status_code == 204
    assert control("DELETE", "holds").status_code == 204
    assert [record["principal"] for record in control("GET", "requests").json()][-1] == "demo-principal"
    assert control("DELETE", "requests").status_code == 204
    assert sim.requests == ()
    wrongs: tuple[Any, ...] = (
        {"kind": "throttled", "after": 7},
        {"kind": "html", "path": "("},
        [],
    )
    for wrong in wrongs:
        assert control("POST", "faults", wrong).status_code == 400
    for method, path, body in (
        ("POST", "faults", {"kind": "earthquake"}),
        ("GET", "nothing", None),
        ("DELETE", _path(job="none"), None),
        ("PUT", _path(vault="none"), {"properties": {}}),
        ("GET", _path(), None),
    ):
        assert control(method, path, body).status_code == 404


def test_runs_as_a_program() -> None:
    """As a program it prints its URL, serves the demo's jobs to its token, and stops quietly."""
    command = [sys.executable, "-m", "demo.simulator", "--port", "0", "--speed", "60", "--token", "t-1"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        match = re.match(r"Azure simulator at (http://127\.0\.0\.1:\d+), 60 times", program.stdout.readline())
        assert match is not None
        url = match[1] + program.stdout.readline().strip()
        answer = requests.get(url, {"api-version": "2017-07-01"}, headers={"Authorization": "Bearer t-1"}, timeout=5)
        program.send_signal(signal.SIGINT)
        _, complaints = program.communicate(timeout=10)
    assert (answer.json()["name"], answer.json()["properties"]["status"]) == (jobs.DOCUMENTED.name, "InProgress")
    assert (program.returncode, complaints) == (0, "")
