"""The simulator refuses backups on demand, or loses its responses."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
import requests

from demo.simulator import (
    AzureSimulator,
    BackupVault,
    Fault,
    Vault,
    virtual_machine,
)
from tests.contract.backup_client import BODIES, ITEMS, add_backup_vault, add_vault, back_up, post, rules
from tests.contract.vault_client import send


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    return add_vault(sim)


@pytest.fixture
def backup_vault(sim: AzureSimulator) -> BackupVault:
    return add_backup_vault(sim)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"properties": None},
        {"properties": {"objectType": "AzureFileShareBackupRequest"}},
        {"properties": {**BODIES["VM"], "backupType": "Complete"}},
    ],
)
def test_invalid_bodies(sim: AzureSimulator, vault: Vault, body: Any) -> None:
    """A body that does not match the item is refused, and starts nothing."""
    answer = post(sim, vault, ITEMS[0], body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BMSUserErrorInvalidInput")
    assert vault.protection.started() == ()


@pytest.mark.parametrize(
    "body", [{}, {"backupRuleOptions": {"ruleName": "BackupDaily"}}, rules("Hourly"), rules(retentionTagOverride="X")]
)
def test_invalid_rules(sim: AzureSimulator, backup_vault: BackupVault, body: Any) -> None:
    """A rule or tag that the policy does not have is refused."""
    assert post(sim, backup_vault, backup_vault.protection.items()[0], body).status_code == 400


def test_states(sim: AzureSimulator, vault: Vault, backup_vault: BackupVault) -> None:
    """Items that are not protected are refused: unknown, stopped, or not configured yet."""
    assert back_up(sim, vault, virtual_machine("vm-none")).status_code == 404
    vault.protection.change(ITEMS[0].path, protectionState="ProtectionStopped", isScheduledForDeferredDelete=True)
    assert back_up(sim, vault, ITEMS[0]).status_code == 400
    vault.protection.change(ITEMS[0].path, protectionState="IRPending")
    assert back_up(sim, vault, ITEMS[0]).status_code == 202
    item = backup_vault.protection.items()[0]
    backup_vault.protection.change(item.path, currentProtectionState="ConfiguringProtection")
    answer = post(sim, backup_vault, item, rules())
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "UserErrorInvalidBackupInstanceOperation")
    backup_vault.protection.remove(item.path)
    assert post(sim, backup_vault, item, rules()).json()["error"]["code"] == "UserErrorGenericResourceNotFound"


def test_roles(sim: AzureSimulator, vault: Vault) -> None:
    """A 403 names the action of the request, and only POST is allowed at this path."""
    sim.access.revoke("demo-principal")
    answer = back_up(sim, vault, ITEMS[0])

    assert answer.status_code == 403
    action = "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems/backup/action"
    assert f"'{action}'" in answer.json()["error"]["message"]
    refused = send(sim, quote(f"{vault.id}/{ITEMS[0].path}/backup"))
    assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("fault", "started", "status"),
    [
        (Fault.server_error(status=503), 0, 503),
        (Fault.server_error(status=504, executed=True), 1, 504),
        (Fault.hang_up(), 1, None),
        (Fault.hang_up(executed=False), 0, None),
        (Fault.reset(executed=False), 0, None),
        (Fault.throttled(), 0, 429),
        (Fault.forbidden(), 0, 403),
    ],
)
def test_faults(sim: AzureSimulator, vault: Vault, fault: Fault, started: int, status: int | None) -> None:
    """An error or a lost connection occurs before or after the backup starts. All requests are counted."""
    sim.faults.add(fault, path="/backup$")
    if status is None:
        with pytest.raises(requests.ConnectionError):
            back_up(sim, vault, ITEMS[0])
    else:
        assert back_up(sim, vault, ITEMS[0]).status_code == status

    assert len(vault.protection.started(ITEMS[0].path.upper())) == started
    assert sim.backup_requests() == {f"{vault.id}/{ITEMS[0].path}": 1}
