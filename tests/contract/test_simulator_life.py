"""The simulator starts and stops cleanly in an event loop, in a thread, over TLS, and as a program."""

import asyncio
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests

from demo.simulator import AzureSimulator, Fault, ManualClock, jobs, running_simulator
from tests.contract.simulator_client import JOB, TOKEN, Get, job_path
from tests.support import azure


async def test_runs_in_the_event_loop_of_its_client() -> None:
    """The simulator holds, records and answers requests in its client's event loop without blocking."""
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
    """A stop answers held requests, aborts slow ones, and leaves no thread."""
    threads, began = threading.active_count(), time.monotonic()
    with ThreadPoolExecutor(3) as pool:
        with running_simulator() as sim:
            url = f"{sim.url}{job_path()}?api-version=2025-02-01"
            sim.faults.add(Fault.delayed(seconds=60), path="delayed")
            sim.faults.add(Fault.drip_headers(interval=60), path="dripped")
            hold = sim.hold("held")
            asked = {
                what: pool.submit(requests.get, url.replace("/vaults/", f"/vaults/{what}-"), headers=TOKEN, timeout=30)
                for what in ("delayed", "dripped", "held")
            }
            hold.wait_arrived()
            sim.wait_requests(3)
        assert asked["held"].result(timeout=60).status_code == 404
        for what in ("delayed", "dripped"):
            assert isinstance(asked[what].exception(timeout=60), requests.ConnectionError)
    assert time.monotonic() - began < 50
    assert threading.active_count() <= threads


def test_port_in_use() -> None:
    """If its port is in use, the simulator raises an error and releases everything."""
    threads = threading.active_count()
    with running_simulator() as sim:
        taken = running_simulator(port=int(sim.url.rpartition(":")[2]))
        with pytest.raises(OSError, match="address already in use"):
            taken.__enter__()
    assert threading.active_count() <= threads
    with pytest.raises(RuntimeError, match="not started"):
        AzureSimulator().url  # noqa: B018 - it raises


def test_serves_tls(tmp_path: Path) -> None:
    """With TLS, only clients that trust the simulator's CA can connect."""
    (tmp_path / "ca.pem").write_text("")
    with running_simulator(tls=True) as sim:
        (tmp_path / "ca.pem").write_text(sim.ca_pem)
        assert sim.url.startswith("https://")
        assert requests.get(sim.url, verify=str(tmp_path / "ca.pem"), timeout=60).status_code == 400
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(sim.url, timeout=60)


def test_control_api(sim: AzureSimulator, get: Get) -> None:
    """The control API does what the Python API does, records no requests of its own, and explains invalid ones."""

    def control(method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(method, f"{sim.url}/_simulator/{path}", json=body, timeout=60)

    assert control("PUT", job_path(job="j"), {"properties": {"status": "S"}}).json() == {"id": job_path(job="j")}
    assert get(job_path(job="j")).json()["properties"] == {"status": "S"}
    assert control("DELETE", job_path(job="j")).status_code == 204
    assert get(job_path(job="j")).status_code == 404
    fault = {"kind": "throttled", "retry_after": 7, "path": "/backupJobs/", "times": 2}
    assert control("POST", "faults", fault).status_code == 204
    assert get().headers["Retry-After"] == "7"
    summary = control("GET", "").json()
    assert summary["faults"] == [{"kind": "throttled", "remaining": 1, "used": 1}]
    assert JOB in summary["vaults"][job_path().partition("/backupJobs")[0]]
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
        ("DELETE", job_path(job="none"), None),
        ("PUT", job_path(vault="none"), {"properties": {}}),
        ("GET", job_path(), None),
    ):
        assert control(method, path, body).status_code == 404


def test_runs_as_a_program() -> None:
    """The program prints its URL, serves the demo's jobs for its token, and stops cleanly."""
    command = [sys.executable, "-m", "demo.simulator", "--port", "0", "--speed", "60", "--token", "t-1"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        match = re.match(r"Azure simulator at (http://127\.0\.0\.1:\d+), 60 times", program.stdout.readline())
        assert match is not None
        url = match[1] + program.stdout.readline().strip()
        answer = requests.get(url, {"api-version": "2017-07-01"}, headers={"Authorization": "Bearer t-1"}, timeout=60)
        program.send_signal(signal.SIGINT)
        _, complaints = program.communicate(timeout=60)
    assert (answer.json()["name"], answer.json()["properties"]["status"]) == (jobs.DOCUMENTED.name, "InProgress")
    assert (program.returncode, complaints) == (0, "")
