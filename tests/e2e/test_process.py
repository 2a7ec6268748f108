"""The operator process: probes, shutdown and logs."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.watches import until

if TYPE_CHECKING:
    from demo.controlplane import Faults
    from tests.support.jobs import Jobs
    from tests.support.operator_process import Operators
    from tests.support.watches import Watches


def seconds_to_end(operators: Operators, watches: Watches, number: signal.Signals) -> float:
    """Send a signal to the operator, and return how long it took to exit with 0."""
    operator = operators.current
    started = time.monotonic()
    operator.send(number)
    assert operator.wait() == 0, operator.log
    assert "Stopped" in operator.log
    return time.monotonic() - started


def test_probes(own_operators: Operators, watches: Watches, jobs: Jobs) -> None:
    """A running operator is alive and ready. After it stops, its probes are unreachable."""
    operator = own_operators.start(NAMESPACES=watches.namespace).wait_ready()
    watches.create("w", jobResourceId=jobs.completed())
    watches.until_phase("w", "Succeeded")
    assert operator.probe("healthz") == operator.probe("readyz") == 200
    assert operator.probe("metrics") == 404
    operator.stop()
    assert operator.probe("healthz") is None


def test_probes_without_an_api_server(own_operators: Operators, watches: Watches, jobs: Jobs, faults: Faults) -> None:
    """An operator without an API server is alive and not ready, logs the reason, and starts when it appears."""
    faults.gone(spare="^(kubectl|e2e-test)")
    operator = own_operators.start(NAMESPACES=watches.namespace)
    until(lambda: operator.probe("healthz") == 200, "life")
    until(lambda: "Failed to list the watches" in operator.log, "the reason")
    assert operator.probe("readyz") == 503
    faults.back()
    operator.wait_ready()
    watches.create("w", jobResourceId=jobs.completed())
    watches.until_phase("w", "Succeeded")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_end(own_operators: Operators, watches: Watches, jobs: Jobs, number: signal.Signals) -> None:
    """SIGTERM and SIGINT end an idle operator at once, with exit code 0."""
    own_operators.start(NAMESPACES=watches.namespace).wait_ready()
    watches.create("w", jobResourceId=jobs.start())
    watches.until_phase("w", "Running")
    assert seconds_to_end(own_operators, watches, number) < 30


def test_end_during_a_poll(own_operators: Operators, watches: Watches, jobs: Jobs) -> None:
    """SIGTERM ends an operator within its grace period although Azure does not respond. No status is written."""
    own_operators.start(NAMESPACES=watches.namespace).wait_ready()
    job = jobs.completed()
    with jobs.hold(job) as hold:
        watches.create("w", jobResourceId=job)
        hold.wait_arrived()
        assert seconds_to_end(own_operators, watches, signal.SIGTERM) < 30
    assert watches.get("w")["status"] == {"observedGeneration": -1}


def test_end_during_an_answer(own_operators: Operators, watches: Watches, jobs: Jobs) -> None:
    """The operator still writes the result of a poll that completes soon after SIGTERM."""
    operator = own_operators.start(NAMESPACES=watches.namespace).wait_ready()
    job = jobs.completed()
    with jobs.hold(job) as hold:
        watches.create("w", jobResourceId=job)
        hold.wait_arrived()
        time.sleep(0.5)  # kopf stops slowly just after its start
        operator.send(signal.SIGTERM)
        time.sleep(0.5)
    assert operator.wait() == 0
    watches.until_phase("w", "Succeeded")


def test_end_before_the_start(own_operators: Operators, watches: Watches, faults: Faults) -> None:
    """SIGTERM ends an operator that is waiting for its API server."""
    faults.gone(spare="^(kubectl|e2e-test)")
    operator = own_operators.start(NAMESPACES=watches.namespace)
    until(lambda: "Failed to list the watches" in operator.log, "an attempt")
    started = time.monotonic()
    operator.send(signal.SIGTERM)
    assert operator.wait() == 0
    assert time.monotonic() - started < 30


def test_text_logs(own_operators: Operators, watches: Watches, jobs: Jobs) -> None:
    """At the default level, the log has one line per transition with time, watch, reason and message."""
    operator = own_operators.start(NAMESPACES=watches.namespace).wait_ready()
    watches.create("w", jobResourceId=jobs.completed("vm-log"))
    watches.until_event("w", "JobCompleted")
    operator.stop()
    lines = operator.log.splitlines()
    assert len(lines) == 5  # probes, metrics, start, transition, stop
    assert lines[3].endswith(f"INFO    {watches.namespace}/w: JobCompleted: Backup of vm-log completed in 41m17s.")
    assert lines[3][:20].endswith("Z")


def test_json_logs(own_operators: Operators, watches: Watches, jobs: Jobs) -> None:
    """A JSON log has one object per line. At debug level, it has each request to Azure."""
    settings = {"LOG_FORMAT": "json", "LOG_LEVEL": "debug"}
    operator = own_operators.start(NAMESPACES=watches.namespace, **settings).wait_ready()
    job = jobs.completed()
    watches.create("w", jobResourceId=job)
    watches.until_event("w", "JobCompleted")
    operator.stop()
    lines = [json.loads(line) for line in operator.log.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    asked = [line for line in lines if line["message"] == f"GET {job}: 200"]
    assert len(asked) == 1
    assert {"client_request_id", "request_id", "seconds"} <= asked[0].keys()
    assert asked[0]["client_request_id"] == jobs.requests(job)[0].client_request_id
