"""``spec.onDemand`` on a real API server: one object takes a backup, and no kill makes it two."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest

from demo.simulator import virtual_machine
from tests.support.backup_kills import ANY_MOMENT, POINTS, End, write_table
from tests.support.scale import at_scale
from tests.support.watches import condition, phase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from demo.controlplane import Faults, Kubectl
    from demo.simulator import AzureSimulator, Vault
    from tests.support.backup_kills import Point
    from tests.support.operator_process import Operators
    from tests.support.watches import Body, Watches

SUBSCRIPTION: Final = "6d1f2a3b-4c5d-4e6f-8a7b-9c0d1e2f3a4b"
VAULT: Final = {"subscriptionId": SUBSCRIPTION, "resourceGroup": "rg-e2e", "name": "rsv-e2e"}
KILLS: Final = at_scale(1, 9)
"""The number of kills at each point."""
RANDOM_KILLS: Final = at_scale(1, 10)
SECONDS_AHEAD: Final = at_scale(150, 0)
"""How far the last operator's clock is ahead. Recovery starts after two minutes, and only the soak waits for them."""


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    vault = sim.add_vault(SUBSCRIPTION, "rg-e2e", "rsv-e2e")
    vault.protection.names_job_after = 0.0
    return vault


def create(watches: Watches, name: str, **spec: Any) -> None:
    """Create a watch that requests a backup of the virtual machine of its name."""
    fields = {"revision": "v1", "pollInterval": "10s", "graceSeconds": 10, **spec}
    watches.create(name, onDemand={"item": name}, vault=VAULT, **fields)


def test_one_object(starters: Operators, watches: Watches, sim: AzureSimulator, vault: Vault) -> None:
    """One object takes a backup and opens the gate. A new revision closes it, and takes another."""
    vault.protection.add(virtual_machine("vm-1"))
    starters.start(ON_DEMAND_NAMESPACES=watches.namespace).wait_ready()
    create(watches, "vm-1")
    first = watches.until_phase("vm-1", "Running")
    sim.clock.advance(700)
    watches.until_phase("vm-1", "Succeeded")
    assert watches.until_event("vm-1", "BackupRequested")["type"] == "Normal"
    second = take_next(watches, sim, "vm-1")
    ids = [started.client_request_id for started in vault.protection.started()]
    assert ids == [body["status"]["onDemand"]["requestID"] for body in (first, second)]


def take_next(watches: Watches, sim: AzureSimulator, name: str) -> Body:
    """Edit the revision, which closes the gate until the next backup succeeds. Return the watch after that."""
    watches.edit(name, revision="v2")
    body = watches.until(name, lambda each: each["status"].get("revision") == "v2")
    assert condition(body, "Ready")["status"] == "Unknown"
    assert condition(watches.until_phase(name, "Running"), "Ready")["status"] == "Unknown"
    sim.clock.advance(700)
    return watches.until_phase(name, "Succeeded")


def test_immutable(kubectl: Kubectl, watches: Watches) -> None:
    """The request, its vault and its identity cannot be edited. Everything else can."""
    create(watches, "vm-1")
    for patch in (
        {"onDemand": {"item": "vm-2"}},
        {"onDemand": None, "jobName": "7ddead57-bcb9-4269-ac31-6a1b57588700"},
        {"vault": {**VAULT, "name": "other"}},
        {"identity": {"secretName": "other"}},
    ):
        text = json.dumps({"spec": patch})
        done = kubectl("-n", watches.namespace, "patch", "bjw/vm-1", "--type=merge", "-p", text, ok=False)
        assert done.returncode == 1, patch
        assert "must not be edited" in done.stderr
    watches.edit("vm-1", revision="v2", suspend=True, graceSeconds=7)


@pytest.mark.timeout(at_scale(480, 3600))
def test_killed_between_record_and_job(
    starters: Operators, watches: Watches, sim: AzureSimulator, vault: Vault, faults: Faults
) -> None:
    """No kill leads to a second request. Each gate opens only if its own request started a job, and only for that job."""
    settings = {"ON_DEMAND_NAMESPACES": watches.namespace, "ON_DEMAND_REQUESTS_PER_HOUR": "1000"}
    settings["RESYNC_INTERVAL"] = "1h"  # a resync also reads a watch again, but before the record
    points = {f"vm-{number}": point for number, point in enumerate((*(ANY_MOMENT,) * RANDOM_KILLS, *POINTS * KILLS))}
    earlier = None
    for name, point in points.items():
        vault.protection.add(virtual_machine(name))
        operator = starters.start(**settings).wait_ready()
        if earlier is not None:
            # Otherwise, the next point would hold its requests, or kill the operator during them.
            watches.until(earlier, partial(is_settled, points[earlier]))
        with point.hold(name, sim, faults) as wait_arrived:
            create(watches, name)
            wait_arrived()
            if point.is_recorded:
                watches.until(name, has_operation)
            operator.kill()
        earlier = name
    sim.clock.advance(SECONDS_AHEAD)
    starters.seconds_ahead = SECONDS_AHEAD
    starters.start(**settings).wait_ready()
    for name in points:
        watches.until(name, is_decided, seconds=240)
    sim.clock.advance(700)
    ends = {name: end_of(watches, name, point, sim) for name, point in points.items()}
    sys.stdout.write(f"\n{write_table(ends.values())}\n")
    assert [(name, end) for name, end in ends.items() if not end.is_right] == []
    jobs = {started.client_request_id: started.job for started in vault.protection.started()}
    assert len(jobs) == len(vault.protection.started())
    for name, end in ends.items():
        prove_own_job(watches, name, jobs)
        assert (watches.get(name)["status"]["onDemand"]["requestID"] in jobs) is not end.is_uncertain, name
        assert len(watches.events(name, "BackupRequested")) == (not end.is_uncertain), name
    recovered = next(name for name, point in points.items() if point.is_executed)
    after = take_next(watches, sim, recovered)["status"]["onDemand"]
    assert (ends[recovered].state, after["state"], after["requestID"] in jobs) == ("Recovered", "Accepted", False)


def is_settled(point: Point, body: Body) -> bool:
    """Return whether the watch has come as far as it can without the two minutes that a lost request takes."""
    record = body.get("status", {}).get("onDemand")
    if record is None:
        return False
    return "jobName" in record or not (point.state == "Accepted" or has_operation(body))


def has_operation(body: Body) -> bool:
    """Return whether the operation of the request is recorded."""
    return "operationId" in body.get("status", {}).get("onDemand", {})


def is_decided(body: Body) -> bool:
    """Return whether the watch follows a job, or has failed."""
    return phase(body) in ("Running", "Failed", "Succeeded")


def end_of(watches: Watches, name: str, point: Point, sim: AzureSimulator) -> End:
    """Wait for the end of a watch, and return it."""
    status = watches.until(name, lambda body: phase(body) in ("Failed", "Succeeded"))["status"]
    if status["phase"] == "Succeeded":
        watches.until_event(name, "BackupRequested")
    return End(
        point=point,
        phase=status["phase"],
        reason=status["reason"],
        state=status["onDemand"]["state"],
        requests=len(sim.requests_to(f";{name}/backup$")),
    )


def prove_own_job(watches: Watches, name: str, jobs: Mapping[str | None, str]) -> None:
    """Prove that the gate was open only for the job of the watch's own request."""
    for moment in watches.history(name):
        if condition(moment.body, "Ready").get("status") == "True":
            status = moment.body["status"]
            assert status["job"]["name"] == jobs[status["onDemand"]["requestID"]]
