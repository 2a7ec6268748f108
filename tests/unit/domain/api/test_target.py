"""Parsing of the job source and the identity: valid values, and the messages for invalid ones."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backupjobwatch.domain.api.target import Identity, parse_identity, parse_source
from backupjobwatch.domain.jobs.latest_job import LatestJob
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId, VaultId, VaultKind
from backupjobwatch.errors import InvalidSpec
from tests.support.builders import JOB_ID, JOB_NAME, OPERATION, RESOURCE_GROUP, SUBSCRIPTION, VAULT, VAULT_REF

BASE64 = "MDllNzAwMDItNWUxZi00MDAwLTgwMDAtMDAwMDAwMDAwMDAxOzAwMDA="
BACKUP_VAULT = {**VAULT_REF, "kind": "BackupVault"}
VAULT_ID = VaultId(subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP, name=VAULT)
BACKUP_VAULT_ID = VaultId(
    subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP, name=VAULT, kind=VaultKind.BACKUP_VAULT
)
ONE_OF = "spec must have exactly one of jobResourceId, jobName, operationId, latest or onDemand, got "
OPERATION_ADVICE = (
    "spec.operationId must be the ID of an operation. In an Azure-AsyncOperation URL, it is the part after the last / "
    "and before the ?"
)


@pytest.mark.parametrize(
    ("spec", "source"),
    [
        ({"jobResourceId": JOB_ID}, JobId.parse(JOB_ID)),
        ({"jobName": JOB_NAME, "vault": VAULT_REF}, JobId(vault=VAULT_ID, name=JOB_NAME)),
        ({"jobName": JOB_NAME, "vault": BACKUP_VAULT}, JobId(vault=BACKUP_VAULT_ID, name=JOB_NAME)),
        ({"operationId": OPERATION, "vault": VAULT_REF}, OperationId(vault=VAULT_ID, name=OPERATION)),
        ({"operationId": OPERATION, "vault": BACKUP_VAULT}, OperationId(vault=BACKUP_VAULT_ID, name=OPERATION)),
        ({"operationId": BASE64, "vault": BACKUP_VAULT}, OperationId(vault=BACKUP_VAULT_ID, name=BASE64)),
        ({"operationId": OPERATION, "vault": VAULT_REF, "jobName": None}, OperationId(vault=VAULT_ID, name=OPERATION)),
    ],
)
def test_sources(spec: dict[str, Any], source: object) -> None:
    """Every way to name a job is parsed, for both kinds of vault. An explicit null counts as absent."""
    assert parse_source(spec) == source


@pytest.mark.parametrize("kind", [None, "RecoveryServices"])
def test_default_kind(kind: str | None) -> None:
    """A vault is a Recovery Services vault by default."""
    source = parse_source({"jobName": JOB_NAME, "vault": {**VAULT_REF, "kind": kind}})

    assert isinstance(source, JobId)
    assert source.vault.kind is VaultKind.RECOVERY_SERVICES


def test_latest() -> None:
    """``latest`` needs only an item. By default it means a Backup, in any container, after the watch's creation."""
    assert parse_source({"latest": {"item": "vm1"}, "vault": VAULT_REF}) == LatestJob(
        vault=VAULT_ID, item="vm1", operation="Backup", container=None, started_after=None
    )


def test_all_of_latest() -> None:
    """Every field of ``latest`` is read."""
    latest = {"item": "資源 1", "operation": "Restore", "container": "c;1", "startedAfter": "2026-03-04T02:00:00+01:00"}

    assert parse_source({"latest": latest, "vault": BACKUP_VAULT}) == LatestJob(
        vault=BACKUP_VAULT_ID,
        item="資源 1",
        operation="Restore",
        container="c;1",
        started_after=datetime(2026, 3, 4, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("24h", 86400), ("1h30m", 5400), ("90m", 5400), ("1s", 1), ("24h0m0s", 86400), ("007h", 25200), ("624h", 2246400)],
)
def test_completed_within(text: str, seconds: int) -> None:
    """``completedWithin`` is a duration in hours, minutes and seconds."""
    source = parse_source({"latest": {"item": "vm1", "completedWithin": text}, "vault": VAULT_REF})

    assert isinstance(source, LatestJob)
    assert source.completed_within == timedelta(seconds=seconds)
    assert source.started_after is None


@pytest.mark.parametrize(
    ("wanted", "actual", "runs"),
    [
        ("Backup", "Backup", True),
        ("backup", "BACKUP", True),
        ("Backup", "Backup (Full)", True),
        ("Backup", "backup (full)", True),
        ("Backup", "Backup (Log)", False),
        ("Backup", "Backup (Differential)", False),
        ("Backup", "Backup (Incremental)", False),
        ("Backup", "Backup (Copy-only full)", False),
        ("Backup (Log)", "backup (log)", True),
        ("Backup (Log)", "Backup", False),
        ("backup (copy-only full)", "Backup (Copy-only full)", True),
        ("Restore", "Restore (Full)", True),
        ("Restore", "Restore (Invalid)", True),
        ("Restore (Full)", "Restore (Invalid)", False),
        ("Backup (Full)", "Backup (Full)", True),
        ("Backup (Full)", "Backup", False),
        ("Backup", "BackupDataMove", False),
        ("Backup", "Backup(Full)", False),
        ("Backup", "ConfigureBackup", False),
        ("Restore", "CrossRegionRestore", False),
        ("Backup", None, False),
    ],
)
def test_operations_of_latest(wanted: str, actual: str | None, runs: bool) -> None:  # noqa: FBT001
    """``Backup`` includes full backups only, and another operation includes all its types. Letter case is ignored."""
    latest = LatestJob(vault=VAULT_ID, item="vm1", operation=wanted, container=None, started_after=None)

    assert latest.runs(actual) is runs


def _latest(**fields: Any) -> dict[str, Any]:
    return {"latest": {"item": "vm1", **fields}, "vault": VAULT_REF}


INVALID: list[tuple[dict[str, Any], str]] = [
    ({}, ONE_OF),
    ({"vault": VAULT_REF}, ONE_OF),
    ({"jobName": JOB_NAME, "operationId": OPERATION, "vault": VAULT_REF}, ONE_OF),
    ({"operationId": OPERATION, "latest": {"item": "vm1"}, "vault": VAULT_REF}, ONE_OF),
    ({"jobResourceId": JOB_ID, "latest": {"item": "vm1"}}, ONE_OF),
    ({"jobResourceId": JOB_ID, "vault": VAULT_REF}, "spec.vault must not be set with jobResourceId"),
    ({"operationId": OPERATION}, "spec.vault must have subscriptionId, resourceGroup and name"),
    ({"latest": {"item": "vm1"}}, "spec.vault must have subscriptionId, resourceGroup and name"),
    ({"jobName": JOB_ID, "vault": VAULT_REF}, "Set spec.jobResourceId for a full resource ID"),
    ({"jobName": JOB_NAME, "vault": {**VAULT_REF, "kind": "vault"}}, "spec.vault.kind must be RecoveryServices or BackupVault"),
    ({"jobName": JOB_NAME, "vault": {**VAULT_REF, "kind": 5}}, "spec.vault.kind must be RecoveryServices or BackupVault"),
    ({"jobName": JOB_NAME, "vault": {**VAULT_REF, "kind": ["x"]}}, "spec.vault.kind must be RecoveryServices or BackupVault"),
    ({"operationId": BASE64, "vault": VAULT_REF}, OPERATION_ADVICE),
    ({"operationId": "", "vault": BACKUP_VAULT}, OPERATION_ADVICE),
    ({"operationId": 5, "vault": BACKUP_VAULT}, OPERATION_ADVICE),
    ({"operationId": f"https://management.azure.com/x/{OPERATION}?t=1&s=2", "vault": VAULT_REF}, OPERATION_ADVICE),
    ({"operationId": f"https://management.azure.com/x/{BASE64}?t=1&s=2", "vault": BACKUP_VAULT}, OPERATION_ADVICE),
    ({"operationId": f"{OPERATION}?t=1", "vault": VAULT_REF}, OPERATION_ADVICE),
    ({"latest": "vm1", "vault": VAULT_REF}, "spec.latest.item must be the name of a protected item"),
    ({"latest": {}, "vault": VAULT_REF}, "spec.latest.item must be the name of a protected item"),
    (_latest(item=""), "spec.latest.item must be the name of a protected item"),
    (_latest(item="x" * 257), "spec.latest.item must be the name of a protected item"),
    (_latest(item=["vm1"]), "spec.latest.item must be the name of a protected item"),
    (_latest(operation=""), "spec.latest.operation must be an operation such as Backup or Restore"),
    (_latest(operation=1), "spec.latest.operation must be an operation such as Backup or Restore"),
    (_latest(container=""), "spec.latest.container must be the name of the item's container"),
    (_latest(container="x" * 513), "spec.latest.container must be the name of the item's container"),
    (_latest(container={}), "spec.latest.container must be the name of the item's container"),
    (_latest(startedAfter="yesterday"), "spec.latest.startedAfter must be a time such as 2026-03-04T01:00:00Z"),
    (_latest(startedAfter=0), "spec.latest.startedAfter must be a time such as 2026-03-04T01:00:00Z"),
    (_latest(startedAfter="0001-01-01T00:00:00Z"), "spec.latest.startedAfter must be a time"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "message"), INVALID)
def test_invalid(spec: dict[str, Any], message: str) -> None:
    """An invalid source is refused, with the path of the field and how to fix it."""
    with pytest.raises(InvalidSpec, match=re.escape(message)):
        parse_source(spec)


def test_a_pasted_url_is_not_repeated() -> None:
    """The error for a pasted URL does not repeat it, because signed URLs are secrets."""
    with pytest.raises(InvalidSpec) as caught:
        parse_source({"operationId": f"https://management.azure.com/{OPERATION}?t=SECRET", "vault": VAULT_REF})

    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("item", ["x", "x" * 256])
def test_bounds(item: str) -> None:
    """The longest names that the CRD allows are accepted."""
    source = parse_source(_latest(item=item, container=item * 2))

    assert isinstance(source, LatestJob)
    assert (source.item, source.container) == (item, item * 2)


@pytest.mark.parametrize(
    ("written", "identity", "operators"),
    [
        (None, Identity(), True),
        ({"serviceAccountName": "backup"}, Identity(service_account_name="backup"), False),
        ({"secretName": "team-a.creds"}, Identity(secret_name="team-a.creds"), False),
        ({"secretName": "a", "serviceAccountName": None}, Identity(secret_name="a"), False),
    ],
)
def test_identities(written: Any, identity: Identity, operators: bool) -> None:  # noqa: FBT001
    """Without ``identity`` the operator uses its own. A ServiceAccount or Secret belongs to the namespace."""
    assert parse_identity(written) == identity
    assert identity.is_operators is operators


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({}, "spec.identity must have exactly one of serviceAccountName or secretName, got none. Set one, or remove"),
        ("default", "spec.identity must have exactly one of"),
        ([], "spec.identity must have exactly one of"),
        ({"serviceAccountName": "a", "secretName": "b"}, "spec.identity must have exactly one of"),
        ({"serviceAccountName": "team-b/a"}, "spec.identity.serviceAccountName must be the name of an object"),
        ({"secretName": "../secrets/a"}, "spec.identity.secretName must be the name of an object"),
        ({"secretName": ""}, "spec.identity.secretName must be the name of an object"),
        ({"secretName": "Upper"}, "spec.identity.secretName must be the name of an object"),
        ({"secretName": "a\n"}, "spec.identity.secretName must be the name of an object"),
        ({"secretName": "x" * 254}, "spec.identity.secretName must be the name of an object"),
        ({"serviceAccountName": 5}, "spec.identity.serviceAccountName must be the name of an object"),
        ({"serviceAccountName": ["a"]}, "an object in the watch's namespace"),
    ],
)
def test_invalid_identities(written: Any, message: str) -> None:
    """An identity is exactly one object name in the watch's namespace. Paths and other namespaces are refused."""
    with pytest.raises(InvalidSpec, match=re.escape(message)):
        parse_identity(written)
