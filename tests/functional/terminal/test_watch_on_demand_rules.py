"""``backupjobwatch watch --on-demand`` over hours: refused requests are repeated, uncertain ones never are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.terminal.option_names import with_option_names
from demo.simulator import Fault, virtual_machine
from tests.functional.terminal.test_watch_rules import VAULT_REF, Following, in_memory

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault

POST = "/backup$"


@pytest.fixture
def following(sim: AzureSimulator, vault: Vault, at_once: None) -> Following:
    del at_once
    vault.protection.add(virtual_machine("vm1"))
    return Following(sim)


def backup(**spec: Any) -> dict[str, Any]:
    return in_memory({"onDemand": {"item": "vm1"}, "vault": VAULT_REF}, **spec)


def posts(sim: AzureSimulator) -> list[str | None]:
    return [each.client_request_id for each in sim.requests if each.path.endswith("/backup")]


async def test_throttling(sim: AzureSimulator, vault: Vault, following: Following) -> None:
    """After a 429 and its Retry-After, the command repeats the request with the same ID."""
    sim.faults.add(Fault.throttled(retry_after=60), path=POST, times=2)
    assert await following.to_the_end(backup()) == 0
    first, *others = posts(sim)
    assert others == [first, first]
    assert len(vault.protection.started()) == 1


async def test_throttling_until_the_deadline(sim: AzureSimulator, vault: Vault, following: Following) -> None:
    """A request that Azure refuses until --timeout is not sent after it."""
    sim.faults.add(Fault.throttled(retry_after=60), path=POST, times=None)
    assert await following.to_the_end(backup(activeDeadlineSeconds=300)) == 124
    assert len(set(posts(sim))) == 1
    assert vault.protection.started() == ()


async def test_a_missing_role(sim: AzureSimulator, vault: Vault, following: Following) -> None:
    """After a 403, the command repeats the request for --grace. The message names the permission."""
    sim.faults.add(Fault.forbidden(), path=POST, times=None)
    body = backup(graceSeconds=60)
    assert await following.to_the_end(body) == 3
    assert body["status"]["reason"] == "AuthorizationFailed"
    assert "protectedItems/backup/action" in body["status"]["message"]
    assert len(set(posts(sim))) == 1


async def test_a_request_that_started_nothing(sim: AzureSimulator, vault: Vault, following: Following) -> None:
    """If the response is lost and no job appears, the command prints the ID and how to continue."""
    sim.faults.add(Fault.server_error(status=504), path=POST, times=1)
    body = backup(graceSeconds=60)
    assert await following.to_the_end(body) == 3
    (request_id,) = posts(sim)
    message = with_option_names(body["status"]["message"])
    assert body["status"]["reason"] == "TriggerUncertain"
    assert f"Azure lists no job with the activity ID {request_id}. Check the jobs of the vault." in message
    assert message.endswith("To request another backup, run the command again.")
