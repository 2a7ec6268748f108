"""What the tests of ``backupjobwatch watch --on-demand`` share: the command, a vault with one item, and its requests."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from demo.pictures.terminal import PATIENCE
from demo.simulator import ManualClock, running_simulator, virtual_machine
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT
from tests.support.canary import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from demo.simulator import AzureSimulator, Vault

OF_VAULT: Final = ("-s", SUBSCRIPTION_ID, "-g", RESOURCE_GROUP, "-v", VAULT)
BACKUP_OF_VM: Final = ("--on-demand", "--item", "vm1", *OF_VAULT, "--interval", "10s", "--timeout", "3m")
POST: Final = "/backup$"


@contextmanager
def running_azure() -> Iterator[AzureSimulator]:
    """Run the simulator with the time of the command, which computes the start of its job list from its own clock."""
    with running_simulator(clock=ManualClock(datetime.now(UTC)), tokens={TOKEN: "demo-principal"}) as simulator:
        yield simulator


def add_vault(sim: AzureSimulator) -> Vault:
    """Add a vault with vm1. It names jobs at once, and backups take no time."""
    vault = sim.add_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, VAULT)
    vault.protection.names_job_after = 0.0
    vault.protection.duration = 0.0
    vault.protection.add(virtual_machine("vm1"))
    return vault


def posts(sim: AzureSimulator) -> list[str]:
    """Return the IDs of the requests for backups."""
    return [each.client_request_id or "" for each in sim.requests if re.search(POST, each.path)]


def wait_for(find: Callable[[], Any]) -> Any:
    """Wait until *find* returns something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := find():
            return found
        time.sleep(0.05)
    raise AssertionError("timed out")
