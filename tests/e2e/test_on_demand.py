"""``spec.onDemand`` on a real API server: one object takes a backup, and no kill makes it two."""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

from demo.simulator import ManualClock, running_simulator, virtual_machine
from tests.support.canary import TOKEN
from tests.support.operator_process import Operators
from tests.support.scale import at_scale
from tests.support.watches import condition, phase

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.controlplane import Cluster, Kubectl
    from demo.simulator import AzureSimulator, Vault
    from tests.support.watches import Body, Watches

SUBSCRIPTION: Final = "6d1f2a3b-4c5d-4e6f-8a7b-9c0d1e2f3a4b"
VAULT: Final = {"subscriptionId": SUBSCRIPTION, "resourceGroup": "rg-e2e", "name": "rsv-e2e"}
KILLS: Final = at_scale(6, 100)
SEED: Final = 20261129
POINTS: Final[tuple[tuple[str, Literal["release", "arrival"]], ...]] = (
    ("/backupProtectedItems$", "release"),  # before the record
    ("/backup$", "release"),  # sent, and executed after the kill
    ("/backup$", "arrival"),  # executed, without an answer
    ("/backupOperations/", "release"),  # accepted
    ("/backupJobs/", "release"),  # the job is known
    ("", "release"),  # at a random moment
)
"""Where Azure holds a request while the operator is killed."""


@pytest.fixture
def sim() -> Iterator[AzureSimulator]:
    """A simulator whose clock is right, because the operator lists jobs since its own time."""
    with running_simulator(clock=ManualClock(start=datetime.now(UTC)), tokens={TOKEN: "operator"}) as simulator:
        yield simulator


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    vault = sim.add_vault(SUBSCRIPTION, "rg-e2e", "rsv-e2e")
    vault.protection.names_job_after = 0.0
    return vault


@pytest.fixture
def starters(own_operators: Operators, cluster: Cluster, sim: AzureSimulator, tmp_path: Path) -> Iterator[Operators]:
    """Operators that use this simulator."""
    operators = Operators(cluster, sim.url, tmp_path)
    yield operators
    operators.stop()
    operators.hear_logs()


def create(watches: Watches, name: str, **spec: Any) -> None:
    """Create a watch that requests a backup of the virtual machine of its name."""
    fields = {"revision": "v1", "pollInterval": "10s", "graceSeconds": 30, **spec}
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
    watches.edit("vm-1", revision="v2")
    body = watches.until("vm-1", lambda each: each["status"].get("revision") == "v2")
    assert condition(body, "Ready")["status"] == "Unknown"
    second = watches.until_phase("vm-1", "Running")
    sim.clock.advance(700)
    watches.until_phase("vm-1", "Succeeded")
    ids = [started.client_request_id for started in vault.protection.started()]
    assert ids == [body["status"]["onDemand"]["requestID"] for body in (first, second)]


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


@pytest.mark.timeout(at_scale(420, 3600))
def test_killed_between_record_and_job(
    starters: Operators, watches: Watches, sim: AzureSimulator, vault: Vault
) -> None:
    """No kill leads to a second request, and each gate opens for the job of its own request."""
    chance = random.Random(SEED)
    settings = {"ON_DEMAND_NAMESPACES": watches.namespace, "ON_DEMAND_REQUESTS_PER_HOUR": "1000"}
    names = [f"vm-{number}" for number in range(KILLS)]
    for number, name in enumerate(names):
        vault.protection.add(virtual_machine(name))
        operator = starters.start(**settings).wait_ready()
        path, state_as_of = POINTS[number % len(POINTS)]
        if path:
            with sim.hold(path, state_as_of=state_as_of) as hold:
                create(watches, name)
                hold.wait_arrived()
                operator.kill()
        else:
            create(watches, name)
            time.sleep(chance.uniform(0.0, 0.5))
            operator.kill()
    starters.start(**settings).wait_ready()
    bodies = {name: watches.until(name, is_decided, seconds=240) for name in names}
    sim.clock.advance(700)
    running = [name for name, body in bodies.items() if phase(body) == "Running"]
    for name in running:
        watches.until_phase(name, "Succeeded")
    prove_at_most_once(sim, vault, {name: watches.get(name) for name in names})
    sys.stdout.write(f"{KILLS} kills: {len(running)} backups followed, {KILLS - len(running)} uncertain\n")


def is_decided(body: Body) -> bool:
    """Return whether the watch follows a job, or has failed."""
    return phase(body) in ("Running", "Failed", "Succeeded")


def prove_at_most_once(sim: AzureSimulator, vault: Vault, bodies: dict[str, Body]) -> None:
    """Prove that each watch has at most one request, and an open gate only with a job of its request."""
    asked = Counter(record.path for record in sim.requests_to("/backup$"))
    assert max(asked.values()) == 1, asked
    jobs = {started.job: started.client_request_id for started in vault.protection.started()}
    assert len(set(jobs.values())) == len(jobs)
    for body in bodies.values():
        status = body["status"]
        if phase(body) == "Succeeded":
            assert jobs[status["job"]["name"]] == status["onDemand"]["requestID"]
        else:
            assert status["reason"] == "TriggerUncertain"
