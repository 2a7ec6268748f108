"""Parsing of ``spec.onDemand``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backupjobwatch.domain.api.target import parse_source
from backupjobwatch.domain.jobs.on_demand_backup import OnDemandBackup
from backupjobwatch.errors import InvalidSpec
from tests.support.builders import NOW, VAULT_REF
from tests.support.on_demand import BACKUP_VAULT, BACKUP_VAULT_REF, RSV, VM, disk, on_demand_spec, vm


def test_item() -> None:
    """An item alone leaves everything else to Azure and the policy."""
    backup = parse_source(on_demand_spec())

    assert backup == OnDemandBackup(vault=RSV, item=VM)
    assert backup.title == VM
    assert backup.retained_until(NOW) is None


def test_all_of_a_recovery_services_vault() -> None:
    """Every field for a Recovery Services vault is read."""
    backup = parse_source(
        on_demand_spec(container="sql-1", retainFor="45d", backupType="CopyOnlyFull", ifRunning="Follow")
    )

    assert isinstance(backup, OnDemandBackup)
    assert (backup.container, backup.backup_type, backup.follows_running) == ("sql-1", "CopyOnlyFull", True)
    assert backup.retained_until(NOW) == NOW + timedelta(days=45)


def test_a_date() -> None:
    """A backup can be kept until a date."""
    backup = parse_source(on_demand_spec(retainUntil="2027-01-01T00:00:00Z"))

    assert isinstance(backup, OnDemandBackup)
    assert backup.retained_until(NOW) == datetime(2027, 1, 1, tzinfo=UTC)


def test_all_of_a_backup_vault() -> None:
    """A Backup vault has rules and retention tags instead of retention times."""
    fields = {"protectedItemId": disk().id, "ruleName": "BackupDaily", "retentionTag": "Weekly"}
    backup = parse_source({"onDemand": fields, "vault": BACKUP_VAULT_REF})

    assert backup == OnDemandBackup(vault=BACKUP_VAULT, item_id=disk().id, rule="BackupDaily", retention_tag="Weekly")
    assert isinstance(backup, OnDemandBackup)
    assert backup.title == disk().path_name


def test_an_encoded_id() -> None:
    """An ID may be percent-encoded and in other letter case, as Azure writes it."""
    written = vm().id.upper().replace(";", "%3B")

    assert parse_source({"onDemand": {"protectedItemId": written}, "vault": VAULT_REF}) == OnDemandBackup(
        vault=RSV, item_id=written
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"item": None}, "must have exactly one of item or protectedItemId, got none. Set one"),
        ({"protectedItemId": "/x"}, "must have exactly one of item or protectedItemId, got both. Set one"),
        ({"item": ""}, 'item must be a string of 1 to 256 characters, got ""'),
        ({"item": 7}, "item must be a string of 1 to 256 characters, got 7"),
        ({"item": None, "protectedItemId": "/x", "container": "c"}, "container must not be set with protectedItemId"),
        ({"item": None, "protectedItemId": disk().id}, "must be the resource ID of an item of spec.vault"),
        ({"ruleName": "r"}, "ruleName requires spec.vault.kind BackupVault, got RecoveryServices"),
        ({"retainFor": "30"}, 'retainFor must be 1d to 9999d, such as 30d, got "30"'),
        ({"retainFor": "0d"}, "retainFor must be 1d to 9999d"),
        ({"retainFor": 30}, "retainFor must be 1d to 9999d"),
        ({"retainFor": "1d", "retainUntil": "2027-01-01T00:00:00Z"}, "must not be set with retainUntil"),
        ({"retainUntil": "tomorrow"}, 'retainUntil must be a time such as 2026-12-31T00:00:00Z, got "tomorrow"'),
        ({"backupType": "full"}, "backupType must be one of Full, Differential"),
        ({"ifRunning": "Wait"}, 'ifRunning must be one of Fail, Follow, got "Wait"'),
    ],
)
def test_invalid(fields: dict[str, Any], message: str) -> None:
    """An invalid field is refused with the value and how to fix it."""
    with pytest.raises(InvalidSpec, match=message):
        parse_source(on_demand_spec(**fields))


def test_secondary_region() -> None:
    """Azure takes no backups in the secondary region."""
    with pytest.raises(InvalidSpec, match="must not be set with spec"):
        parse_source({"onDemand": {"item": VM}, "vault": {**VAULT_REF, "secondaryRegion": "westus"}})


def test_fields_of_the_other_kind() -> None:
    """A Backup vault has no retention times."""
    with pytest.raises(InvalidSpec, match=r"retainFor requires .*, got BackupVault"):
        parse_source({"onDemand": {"item": "d", "retainFor": "30d"}, "vault": BACKUP_VAULT_REF})
