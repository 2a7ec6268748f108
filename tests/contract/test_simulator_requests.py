"""The simulator holds requests until a test releases them, and records each request."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from demo.simulator import AzureSimulator, Fault, Vault
from tests.contract.simulator_client import TOKEN, Get, job_path


@pytest.mark.parametrize(("state_as_of", "status"), [("release", "after"), ("arrival", "before")])
def test_holds(sim: AzureSimulator, get: Get, vault: Vault, state_as_of: Any, status: str) -> None:
    """A held request gets a response with the state at its release, or at its arrival."""
    vault.set_job("j", {"properties": {"status": "before"}})
    with ThreadPoolExecutor(2) as pool, sim.hold("/BACKUPJOBS/j$", state_as_of=state_as_of) as hold:
        with pytest.raises(TimeoutError):
            hold.wait_arrived(timeout=0.01)
        held = pool.submit(get, job_path(job="j"))
        hold.wait_arrived()
        assert get().status_code == 200
        vault.set_job("j", {"properties": {"status": "after"}})
        assert not held.done()
        assert hold.arrivals == 1
        hold.release()
        assert held.result(timeout=60).json()["properties"] == {"status": status}
        assert get(job_path(job="j")).json()["properties"] == {"status": "after"}


def test_faults_meet_held_requests(sim: AzureSimulator, get: Get) -> None:
    """A fault that a test adds during a hold affects the held request."""
    with ThreadPoolExecutor(1) as pool, sim.hold() as hold:
        held = pool.submit(get)
        hold.wait_arrived()
        sim.faults.add(Fault.throttled())
        hold.release()
        assert held.result(timeout=60).status_code == 429


def test_records_requests(sim: AzureSimulator, get: Get) -> None:
    """The simulator records the relevant parts of a request, and only a hash of its token."""
    before = datetime.now(UTC)
    get(headers={**TOKEN, "X-Ms-Client-Request-Id": "ask-1", "User-Agent": "me/1"})
    get(job_path(job="none"), headers={})
    first, second = sim.requests
    assert (first.method, first.path, first.query) == ("GET", job_path(), {"api-version": "2025-02-01"})
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
    """Tests can wait for past and future requests, and a wait can time out."""
    get()
    assert len(sim.wait_requests(1)) == 1
    timer = threading.Timer(0.02, get)
    timer.start()
    assert len(sim.wait_requests(2, path="/backupjobs/")) == 2
    with pytest.raises(TimeoutError, match="2 of 3"):
        sim.wait_requests(3, timeout=0.01)
    timer.join()
