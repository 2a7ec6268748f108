"""The operator never delays the deletion of a watch, whether it runs or not."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from demo.controlplane import Kubectl
    from tests.support.jobs import Jobs
    from tests.support.operator_process import OperatorProcess, Operators
    from tests.support.watches import Watches

AT_ONCE = 20.0
"""Seconds. A deletion that waited for the operator would run into the timeout of 60 s."""


def delete(kubectl: Kubectl, watches: Watches, *names: str) -> float:
    """Delete watches, wait as kubectl does by default, and return the duration in seconds."""
    started = time.monotonic()
    kubectl("delete", "bjw", *names, "-n", watches.namespace, "--timeout=60s")
    return time.monotonic() - started


def test_of_every_kind(operator: OperatorProcess, kubectl: Kubectl, watches: Watches, jobs: Jobs) -> None:
    """`kubectl delete` returns at once for running, finished, suspended and newly created watches."""
    job = jobs.start()
    watches.create("running", jobResourceId=job)
    watches.create("finished", jobResourceId=jobs.completed())
    watches.create("suspended", jobResourceId=jobs.start(), suspend=True)
    watches.until_phase("running", "Running")
    watches.until_phase("finished", "Succeeded")
    watches.until_reason("suspended", "Suspended")
    watches.create("new", jobResourceId=jobs.start())
    assert delete(kubectl, watches, "running", "finished", "suspended", "new") < AT_ONCE
    assert "No resources found" in kubectl("get", "bjw", "-n", watches.namespace).stderr


def test_during_a_poll(operator: OperatorProcess, kubectl: Kubectl, watches: Watches, jobs: Jobs) -> None:
    """`kubectl delete` returns at once during a poll, and the operator drops the response."""
    job = jobs.completed()
    with jobs.hold(job) as hold:
        watches.create("w", jobResourceId=job)
        hold.wait_arrived()
        assert delete(kubectl, watches, "w") < AT_ONCE
    watches.create("next", jobResourceId=jobs.completed())
    watches.until_phase("next", "Succeeded")
    assert not watches.events("w")
    assert [moment.type for moment in watches.history("w")] == ["ADDED", "DELETED"]


@pytest.mark.parametrize("ends", ["stop", "kill"])
def test_without_the_operator(
    own_operators: Operators, kubectl: Kubectl, watches: Watches, jobs: Jobs, ends: str
) -> None:
    """`kubectl delete` returns at once when the operator is stopped or has crashed."""
    operator = own_operators.start(NAMESPACES=watches.namespace).wait_ready()
    watches.create("running", jobResourceId=jobs.start())
    watches.create("finished", jobResourceId=jobs.failed())
    watches.until_phase("running", "Running")
    watches.until_phase("finished", "Failed")
    operator.stop() if ends == "stop" else operator.kill()
    assert delete(kubectl, watches, "running", "finished") < AT_ONCE


def test_of_a_namespace(operator: OperatorProcess, kubectl: Kubectl, jobs: Jobs, watches: Watches) -> None:
    """A namespace with watches, one of them in a poll, is deleted without delay."""
    name, other = f"e2e-{secrets.token_hex(4)}", watches
    kubectl("create", "namespace", name)
    doomed = other.in_namespace(name)
    held = jobs.start()
    doomed.create("finished", jobResourceId=jobs.completed())
    doomed.until_phase("finished", "Succeeded")
    with jobs.hold(held) as hold:
        doomed.create("held", jobResourceId=held)
        hold.wait_arrived()
        started = time.monotonic()
        kubectl("delete", "namespace", name, "--timeout=60s")
        assert time.monotonic() - started < 2 * AT_ONCE
    other.create("next", jobResourceId=jobs.completed())
    other.until_phase("next", "Succeeded")
    doomed.prove_unmarked()
