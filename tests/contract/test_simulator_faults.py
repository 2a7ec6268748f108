"""The simulator injects each kind of network and service fault on request, and then recovers."""

import re
import time
from datetime import UTC, datetime

import pytest
import requests

from demo.simulator import AzureSimulator, Fault, Vault
from tests.contract.simulator_client import JOB, Get, job_path
from tests.support import azure


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
        (
            Fault.html(status=407),
            407,
            {"Proxy-Authenticate": 'Basic realm="proxy"'},
            "<h1>Proxy authentication required</h1>",
        ),
        (Fault.answer(status=404, body="{}", official=True), 404, {"X-Powered-By": "ASP.NET"}, "^{}$"),
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
    """Each response fault replaces one response, and the next request succeeds."""
    sim.faults.add(fault)
    answer = get()
    assert answer.status_code == status
    assert headers.items() <= answer.headers.items()
    assert re.search(body, answer.text)
    assert get().status_code == 200


@pytest.mark.parametrize(
    "fault",
    [
        *(Fault.html(status=status) for status in (200, 401, 403, 404, 407, 429, 502)),
        *(Fault.redirect(to="https://login.example"), Fault.empty(), Fault.without_request_id()),
    ],
    ids=lambda fault: fault.kind,
)
def test_faults_of_proxies(sim: AzureSimulator, get: Get, fault: Fault) -> None:
    """A proxy response has none of the headers of Azure Resource Manager."""
    sim.faults.add(fault)
    assert not [name for name in get(allow_redirects=False).headers if name.lower().startswith("x-ms-")]
    for official in (Fault.forbidden(), Fault.server_error(), Fault.job_not_found(), Fault.throttled()):
        sim.faults.add(official)
        assert {"x-ms-request-id", "x-ms-correlation-request-id"} <= {name.lower() for name in get().headers}


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
    """Each connection fault breaks one connection in its own way, and the next request succeeds."""
    sim.faults.add(fault)
    with pytest.raises(requests.RequestException, match=error):
        get(timeout=(60.0, 0.05 if "timed out" in error else 60.0))
    assert get().status_code == 200


def test_faults_take_their_time(sim: AzureSimulator, get: Get, vault: Vault) -> None:
    """A slow response arrives late or byte by byte, but is correct."""
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
    """A huge body has the requested size, declared or not, compressed or not, and is valid JSON."""
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


def test_a_flood_ends_when_the_client_closes(sim: AzureSimulator, get: Get) -> None:
    """If the client closes a 50 MiB response early, the simulator stops sending it and keeps running."""
    sim.faults.add(Fault.huge())
    with get(stream=True) as answer:
        assert answer.headers["Content-Length"] == str(50 * 1024 * 1024)
        assert answer.raw.read(10)
    assert get().status_code == 200


def test_redirects_lead_away(sim: AzureSimulator, get: Get) -> None:
    """A redirect keeps the path and query but changes the host, so requests does not forward the token."""
    with azure.recording_server() as other:
        for status in (302, 307):
            sim.faults.add(Fault.redirect(to=other.url, status=status))
            answer = get()
            assert (answer.status_code, answer.headers["Location"]) == (
                status,
                f"{other.url}{job_path()}?api-version=2025-02-01",
            )
        assert not other.visits
        sim.faults.add(Fault.redirect(to=other.url))
        assert get(allow_redirects=True).json() == {}
        (visit,) = other.visits
    assert (visit.method, visit.target) == ("GET", f"{job_path()}?api-version=2025-02-01")
    assert visit.headers["host"] == other.url.removeprefix("http://")


def test_faults_choose_their_requests(sim: AzureSimulator, get: Get, vault: Vault) -> None:
    """A fault affects the configured number of requests, path and principal until it is cleared."""
    sim.tokens.add("b-token", "b")
    vault.set_job("other", {"properties": {}})

    def statuses(*answers: requests.Response) -> list[int]:
        return [answer.status_code for answer in answers]

    rule = sim.faults.add(Fault.throttled(), path="BACKUPJOBS/other", times=2)
    assert statuses(get(), *(get(job_path(job="other")) for _ in range(3))) == [200, 429, 429, 200]
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
