"""During Azure errors, the last state is kept and gates stay closed. Then the watches recover."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo.ports import reserved_port
from demo.simulator import Fault, running_simulator
from tests.support.canary import TOKEN
from tests.support.jobs import Jobs, name_of
from tests.support.watches import condition, phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.operator_process import OperatorProcess, Operators
    from tests.support.watches import Watches


@pytest.fixture
def port() -> Iterator[int]:
    """A port that no other server gets during an outage."""
    with reserved_port() as port:
        yield port


def test_outage(own_operators: Operators, watches: Watches, port: int) -> None:
    """A running watch keeps its state during an Azure outage, and continues afterwards."""
    with running_simulator(tokens={TOKEN: "operator"}, port=port) as azure:
        jobs = Jobs(azure)
        job = jobs.start()
        own_operators.start(NAMESPACES=watches.namespace, AZURE_ENDPOINT=azure.url).wait_ready()
        watches.create("w", jobResourceId=job)
        before = watches.until_phase("w", "Running")["status"]
    watches.poll_now("w")
    body = watches.until_reason("w", "AzureUnavailable")
    assert phase(body) == "Running"
    assert {name: body["status"][name] for name in ("job", "watchStartTime")} == {
        name: before[name] for name in ("job", "watchStartTime")
    }
    assert condition(body, "AzureReachable")["status"] == "False"
    assert condition(body, "Ready")["status"] == "Unknown"
    watches.create("late", jobResourceId=job)
    assert phase(watches.until_reason("late", "AzureUnavailable")) == "Pending"
    with running_simulator(tokens={TOKEN: "operator"}, port=port) as azure:
        Jobs(azure, jobs.subscription).complete(job)
        watches.poll_now("w")
        watches.until_phase("w", "Succeeded")
        watches.until_phase("late", "Succeeded")
    watches.until_event("w", "JobCompleted")
    reasons = sorted(event["reason"] for event in watches.events("w"))
    assert reasons == ["AzureUnavailable", "JobCompleted", "JobInProgress"]
    watches.prove_honest("w", completed={name_of(job)})


@pytest.mark.parametrize(
    ("fault", "reason", "reachable"),
    [
        (Fault.forbidden(), "AuthorizationFailed", "False"),
        (Fault.unauthorized(), "AuthenticationFailed", "False"),
        (Fault.server_error(), "AzureUnavailable", "False"),
        (Fault.html(status=200), "UnexpectedResponse", "False"),
        (Fault.redirect(to="https://example.com"), "UnexpectedResponse", "False"),
        (Fault.job_not_found(), "JobNotVisible", "True"),
        (Fault.vault_not_found(), "VaultNotFound", "True"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_refused(
    operator: OperatorProcess, watches: Watches, jobs: Jobs, *, fault: Fault, reason: str, reachable: str
) -> None:
    """No Azure error fails a watch at once. The status reports the error until it is over."""
    job = jobs.completed()
    rule = jobs.add_fault(fault, times=None)
    watches.create("w", jobResourceId=job)
    body = watches.until_reason("w", reason)
    assert phase(body) == "Pending"
    assert condition(body, "AzureReachable")["status"] == reachable
    assert condition(body, "Finished")["status"] == "False"
    jobs.clear_fault(rule)
    watches.poll_now("w")
    done = watches.until_phase("w", "Succeeded")
    assert reason not in str(done["status"])
    watches.prove_honest("w", completed={name_of(job)})
