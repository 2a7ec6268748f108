"""Azure's SDKs send the operator's requests for backups to the simulator, and read its lists and operations."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from backupjobwatch.domain.jobs.backup_policies import parse_policy
from backupjobwatch.domain.jobs.backup_requests import database_backup, instance_backup, item_backup
from backupjobwatch.domain.jobs.protected_items import parse_backup_instances, parse_protected_items
from backupjobwatch.domain.jobs.resource_ids import VaultId, VaultKind
from backupjobwatch.domain.jobs.times import parse_time
from demo.simulator import (
    AzureSimulator,
    BackupVault,
    Fault,
    SimulatedClock,
    Vault,
    backup_instance,
    backup_policy,
    running_simulator,
)
from tests.contract.backup_client import INSTANCE, ITEMS, REQUEST_ID
from tests.contract.test_simulator_sdk import StaticCredential
from tests.support import azure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azure.mgmt.dataprotection import DataProtectionMgmtClient
    from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient, models

    from backupjobwatch.domain.jobs.protected_items import ProtectedItem

UNTIL: Final = datetime(2026, 4, 3, 1, 0, 12, tzinfo=UTC)
IDENTIFIED: Final[dict[str, Any]] = {"headers": {"x-ms-client-request-id": REQUEST_ID}, "enforce_https": False}
GROUP: Final = azure.RESOURCE_GROUP
BACKUP_VAULT: Final = "bv-harbour"


def vault_id(kind: VaultKind) -> VaultId:
    name = azure.VAULT if kind is VaultKind.RECOVERY_SERVICES else BACKUP_VAULT
    return VaultId(subscription_id=azure.SUBSCRIPTION_ID, resource_group=GROUP, name=name, kind=kind)


@pytest.fixture
def sim() -> Iterator[AzureSimulator]:
    with running_simulator(clock=SimulatedClock(speed=60)) as simulator:
        yield simulator


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    vault = sim.add_vault(azure.SUBSCRIPTION_ID, GROUP, azure.VAULT)
    for item in ITEMS:
        vault.protection.add(item)
    return vault


@pytest.fixture
def backup_vault(sim: AzureSimulator) -> BackupVault:
    vault = sim.add_backup_vault(azure.SUBSCRIPTION_ID, GROUP, BACKUP_VAULT)
    vault.protection.add_policy("daily-disks", backup_policy("BackupDaily", tags=("Default", "Weekly")))
    vault.protection.add(backup_instance(INSTANCE, policy_id=f"{vault.id}/backupPolicies/daily-disks"))
    return vault


@pytest.fixture
def recovery(sim: AzureSimulator) -> Iterator[RecoveryServicesBackupClient]:
    from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient

    with RecoveryServicesBackupClient(
        StaticCredential("demo-token"), azure.SUBSCRIPTION_ID, base_url=sim.url, api_version="2025-02-01", retry_total=0
    ) as client:
        yield client


@pytest.fixture
def protection(sim: AzureSimulator) -> Iterator[DataProtectionMgmtClient]:
    from azure.mgmt.dataprotection import DataProtectionMgmtClient

    with DataProtectionMgmtClient(
        StaticCredential("demo-token"), azure.SUBSCRIPTION_ID, base_url=sim.url, api_version="2025-07-01", retry_total=0
    ) as client:
        yield client


def listed(vault: Vault) -> tuple[ProtectedItem, ...]:
    """Return the items of the vault as the operator parses them."""
    entries = [{"id": f"{vault.id}/{item.path}", "properties": item.properties} for item in vault.protection.items()]
    return parse_protected_items({"value": entries}, vault_id(VaultKind.RECOVERY_SERVICES))


def trigger(
    client: RecoveryServicesBackupClient, item: ProtectedItem, request: models.BackupRequest, **options: Any
) -> None:
    from azure.mgmt.recoveryservicesbackup.models import BackupRequestResource

    container, _, name = item.id.rsplit("/", 3)[1:]
    body = BackupRequestResource(properties=request)
    client.backups.trigger(azure.VAULT, GROUP, "Azure", container, name, body, **IDENTIFIED, **options)


def without_decimals(body: Mapping[str, Any]) -> dict[str, Any]:
    """Parse the expiry time, which the SDK sends with decimals."""
    properties = dict(body["properties"])
    if "recoveryPointExpiryTimeInUTC" in properties:
        properties["recoveryPointExpiryTimeInUTC"] = parse_time(properties["recoveryPointExpiryTimeInUTC"])
    return {"properties": properties}


def test_starts_backups(sim: AzureSimulator, vault: Vault, recovery: RecoveryServicesBackupClient) -> None:
    """The SDK sends the same path and body as the operator for each workload, and its job has the request's ID."""
    from azure.mgmt.recoveryservicesbackup import models

    vm, share, sql, _ = listed(vault)
    pairs: list[tuple[Any, models.BackupRequest]] = [
        (item_backup(vm), models.IaasVMBackupRequest()),
        (
            item_backup(share, retain_until=UNTIL),
            models.AzureFileShareBackupRequest(recovery_point_expiry_time_in_utc=UNTIL),
        ),
        (
            database_backup(sql, backup_type="CopyOnlyFull", retain_until=UNTIL),
            models.AzureWorkloadBackupRequest(
                backup_type="CopyOnlyFull", enable_compression=False, recovery_point_expiry_time_in_utc=UNTIL
            ),
        ),
    ]
    for ours, theirs in pairs:
        sim.clear_requests()
        trigger(recovery, ours.item, theirs)
        (record,) = sim.requests
        assert record.method == "POST"
        assert record.path == ours.item.backup_path.replace("%3B", ";")
        assert without_decimals(json.loads(record.body)) == without_decimals(ours.body)
        started = vault.protection.started()[-1]
        job: Any = recovery.job_details.get(azure.VAULT, GROUP, started.job, enforce_https=False).properties
        assert (job.activity_id, job.operation, job.status) == (REQUEST_ID, "Backup", "InProgress")


def test_reads_our_bodies(vault: Vault) -> None:
    """The SDK's models recognize the operator's bodies."""
    from azure.mgmt.recoveryservicesbackup import models

    vm, share, sql, hana = listed(vault)
    for request, model in (
        (item_backup(vm, retain_until=UNTIL), models.IaasVMBackupRequest),
        (item_backup(share), models.AzureFileShareBackupRequest),
        (database_backup(sql), models.AzureWorkloadBackupRequest),
        (database_backup(hana, retain_until=UNTIL), models.AzureWorkloadBackupRequest),
    ):
        read = models.BackupRequestResource(dict(request.body))
        assert type(read.properties) is model
        expiry = read.properties.recovery_point_expiry_time_in_utc
        assert expiry == (UNTIL if "recoveryPointExpiryTimeInUTC" in request.body["properties"] else None)


def test_lists_items(sim: AzureSimulator, vault: Vault, recovery: RecoveryServicesBackupClient) -> None:
    """The SDK reads the same items from the list as the operator, over several pages."""
    sim.lists.page_size = 2
    items: list[Any] = list(recovery.backup_protected_items.list(azure.VAULT, GROUP, enforce_https=False))

    # The SDK has no class for most types of items, so their own fields are only in the mapping.
    names = ("friendlyName", "containerName", "protectionState")
    assert [(each.id, *(each.properties[name] for name in names)) for each in items] == [
        (item.id, item.name, item.container, item.protection_state) for item in listed(vault)
    ]
    filter_ = "backupManagementType eq 'AzureWorkload' and itemType eq 'SQLDataBase'"
    (only,) = recovery.backup_protected_items.list(azure.VAULT, GROUP, filter=filter_, enforce_https=False)
    assert only.id == listed(vault)[2].id


def test_backs_up_instances(
    sim: AzureSimulator, backup_vault: BackupVault, protection: DataProtectionMgmtClient
) -> None:
    """The SDK finds an instance and the rule of its policy, starts a backup, and follows the operation to the job."""
    from azure.mgmt.dataprotection.models import AdHocBackupRuleOptions, AdhocBackupTriggerOption, TriggerBackupRequest

    (found,) = protection.backup_instances.list(GROUP, BACKUP_VAULT, enforce_https=False)
    entry: Any = found.as_dict()
    (instance,) = parse_backup_instances({"value": [entry]}, vault_id(VaultKind.BACKUP_VAULT))
    policy = protection.backup_policies.get(GROUP, BACKUP_VAULT, "daily-disks", enforce_https=False)
    (rule,) = parse_policy(policy.as_dict()).rules
    options = AdHocBackupRuleOptions(
        rule_name=rule, trigger_option=AdhocBackupTriggerOption(retention_tag_override="Weekly")
    )
    sim.clear_requests()
    backup_vault.protection.retry_after = 0
    poller = protection.backup_instances.begin_adhoc_backup(
        GROUP,
        BACKUP_VAULT,
        INSTANCE,
        TriggerBackupRequest(backup_rule_options=options),
        polling_interval=0,
        **IDENTIFIED,
    )
    result = poller.result(timeout=60)

    record = sim.requests[0]
    ours = instance_backup(instance, rule=rule, retention_tag="Weekly")
    assert (record.method, record.path) == ("POST", ours.item.backup_path)
    assert json.loads(record.body) == ours.body
    (started,) = backup_vault.protection.started()
    assert result.job_id == backup_vault.job_id(started.job)
    job: Any = protection.jobs.get(GROUP, BACKUP_VAULT, started.job, enforce_https=False).properties
    assert (job.activity_id, job.is_user_triggered) == (REQUEST_ID, True)


def test_raises_on_refusals(
    sim: AzureSimulator, vault: Vault, backup_vault: BackupVault, recovery: RecoveryServicesBackupClient,
    protection: DataProtectionMgmtClient,
) -> None:  # fmt: skip
    """The SDK reads the code of each refusal."""
    from azure.mgmt.dataprotection.models import AdHocBackupRuleOptions, AdhocBackupTriggerOption, TriggerBackupRequest
    from azure.mgmt.recoveryservicesbackup import models

    vm = listed(vault)[0]
    with pytest.raises(HttpResponseError) as caught:
        trigger(recovery, vm, models.AzureFileShareBackupRequest())
    assert caught.value.error is not None
    assert (caught.value.status_code, caught.value.error.code) == (400, "BMSUserErrorInvalidInput")
    vault.protection.remove(ITEMS[0].path)
    with pytest.raises(ResourceNotFoundError):
        trigger(recovery, vm, models.IaasVMBackupRequest())
    backup_vault.protection.change(f"backupInstances/{INSTANCE}", currentProtectionState="ProtectionStopped")
    options = AdHocBackupRuleOptions(rule_name="BackupDaily", trigger_option=AdhocBackupTriggerOption())
    with pytest.raises(HttpResponseError, match="UserErrorInvalidBackupInstanceOperation"):
        protection.backup_instances.begin_adhoc_backup(
            GROUP, BACKUP_VAULT, INSTANCE, TriggerBackupRequest(backup_rule_options=options), **IDENTIFIED
        )


def test_repeats_a_lost_request(sim: AzureSimulator, vault: Vault, recovery: RecoveryServicesBackupClient) -> None:
    """The SDK's default policy repeats a POST after a 504, which starts a second backup. The operator never does."""
    from azure.mgmt.recoveryservicesbackup import models

    sim.faults.add(Fault.server_error(status=504, executed=True), path="/backup$")
    trigger(recovery, listed(vault)[0], models.IaasVMBackupRequest(), retry_total=1, retry_backoff_factor=0)

    assert len(vault.protection.started()) == 2
