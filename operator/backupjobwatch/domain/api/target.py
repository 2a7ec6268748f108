"""Parse the job source and the identity of a spec."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backupjobwatch.domain.api.on_demand_spec import parse_on_demand
from backupjobwatch.domain.jobs.durations import parse_go_duration
from backupjobwatch.domain.jobs.latest_job import LatestJob
from backupjobwatch.domain.jobs.latest_window import check_completed_within
from backupjobwatch.domain.jobs.on_demand_backup import OnDemandBackup
from backupjobwatch.domain.jobs.payloads import mapping
from backupjobwatch.domain.jobs.resource_ids import (
    JOB_ID_FORM,
    JobId,
    OperationId,
    VaultId,
    VaultKind,
    is_guid,
    is_operation_id,
    is_region,
    is_resource_group,
    is_vault_name,
    vault_id,
)
from backupjobwatch.domain.jobs.text import quoted
from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.errors import InvalidSpec

if TYPE_CHECKING:
    from datetime import timedelta

SOURCES = ("jobResourceId", "jobName", "operationId", "latest", "onDemand")
"""The fields that identify the job. A spec has exactly one of them."""

VAULT_CHECKS = (
    ("subscriptionId", is_guid, "must be the subscription's UUID"),
    ("resourceGroup", is_resource_group, "must be the resource group's name, without a dot at the end"),
    ("name", is_vault_name, "must be the vault's name (2 to 50 letters, digits and hyphens)"),
)
"""The fields of ``vault`` in the order of its resource ID, each with its check and rule."""

REGION_RULE = "must be the name of a region, such as westus"

_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
_SECONDARY_JOB = ". For a cross-region restore, set spec.jobName, and spec.vault with secondaryRegion"
_SECONDARY_OPERATION = ". For a cross-region restore, also set spec.vault.secondaryRegion"
_REGIONS = {"secondaryRegion": "secondary_region", "primaryRegion": "primary_region"}
_LONGEST_ITEM = 256
_LONGEST_CONTAINER = 512
_WITHIN = re.compile(r"(?=[0-9])([0-9]{1,4}h)?([0-9]{1,5}m)?([0-9]{1,7}s)?", re.ASCII)


JobSource = JobId | OperationId | LatestJob | OnDemandBackup


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The Azure identity of a watch: the operator's, or an identity of the watch's namespace."""

    service_account_name: str | None = None
    """ServiceAccount whose token is exchanged for a token of Entra (workload identity federation)."""
    secret_name: str | None = None
    """Secret with a tenant ID, a client ID, and a client secret or certificate."""

    @property
    def is_operators(self) -> bool:
        """Whether this is the operator's own identity."""
        return self.service_account_name is None and self.secret_name is None


def parse_source(spec: Mapping[str, Any]) -> JobSource:
    """Parse the job source. Raise InvalidSpec, which says how to fix the spec."""
    named = [name for name in SOURCES if spec.get(name) is not None]
    if len(named) != 1:
        raise InvalidSpec(
            f"spec must have exactly one of {', '.join(SOURCES[:-1])} or {SOURCES[-1]}, got "
            f"{', '.join(named) or 'none'}. With any but jobResourceId, also set vault"
        )
    field, vault = named[0], spec.get("vault")
    if field == "jobResourceId":
        if vault is not None:
            raise InvalidSpec("spec.vault must not be set with jobResourceId, which names the vault. Remove spec.vault")
        try:
            return JobId.parse(str(spec[field]))
        except ValueError:
            raise InvalidSpec(
                f"spec.jobResourceId must be a path of the form {JOB_ID_FORM}, got {quoted(spec[field])}"
                + _SECONDARY_JOB * ("/locations/" in str(spec[field]).lower())
            ) from None
    parsed = _parse_vault(vault)
    if field == "jobName":
        return JobId(vault=parsed, name=_parse_job_name(spec[field]))
    if field == "operationId":
        return OperationId(vault=parsed, name=_parse_operation_id(spec[field], parsed))
    if field == "onDemand":
        return parse_on_demand(spec[field], parsed)
    return _parse_latest(spec[field], parsed)


def parse_identity(identity: object) -> Identity:
    """Parse ``spec.identity``. Raise InvalidSpec, which says how to fix the spec."""
    if identity is None:
        return Identity()
    names = [name for name in ("serviceAccountName", "secretName") if mapping(identity).get(name) is not None]
    if len(names) != 1:
        raise InvalidSpec(
            "spec.identity must have exactly one of serviceAccountName or secretName, got "
            f"{'both' if names else 'none'}. Set one, or remove spec.identity"
        )
    name = mapping(identity)[names[0]]
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise InvalidSpec(
            f"spec.identity.{names[0]} must be the name of an object in the watch's namespace, got {quoted(name)}"
        )
    if names[0] == "secretName":
        return Identity(secret_name=name)
    return Identity(service_account_name=name)


def _parse_job_name(value: object) -> str:
    if not isinstance(value, str) or not is_guid(value):
        raise InvalidSpec(
            f"spec.jobName must be the GUID of a job, got {quoted(value)}. Set spec.jobResourceId for a full resource ID"
        )
    return value


def _parse_operation_id(value: object, vault: VaultId) -> str:
    is_plain = vault.kind is VaultKind.RECOVERY_SERVICES and vault.secondary_region is None
    is_valid = is_guid if is_plain else is_operation_id
    if not isinstance(value, str) or not is_valid(value):
        is_secondary = is_plain and (is_operation_id(str(value)) or "/backupcrroperation" in str(value).lower())
        # The value may be a signed URL, so the message does not repeat it.
        raise InvalidSpec(
            "spec.operationId must be the ID of an operation. In an Azure-AsyncOperation URL, it is the part after the "
            "last / and before the ?" + _SECONDARY_OPERATION * is_secondary
        )
    return value


def _parse_latest(value: object, vault: VaultId) -> LatestJob:
    if vault.secondary_region is not None:
        raise InvalidSpec(
            "spec.latest must not be set with spec.vault.secondaryRegion. Identify the cross-region restore with "
            "spec.jobName or spec.operationId"
        )
    latest = mapping(value)
    item, operation, container = (latest.get(name) for name in ("item", "operation", "container"))
    if not isinstance(item, str) or not 0 < len(item) <= _LONGEST_ITEM:
        raise InvalidSpec(
            f"spec.latest.item must be the name of a protected item, got {quoted(item)}. `az backup job list` shows it"
        )
    if operation is not None and (not isinstance(operation, str) or not operation):
        raise InvalidSpec(
            f"spec.latest.operation must be an operation such as Backup or Restore, got {quoted(operation)}"
        )
    if container is not None and (not isinstance(container, str) or not 0 < len(container) <= _LONGEST_CONTAINER):
        raise InvalidSpec(f"spec.latest.container must be the name of the item's container, got {quoted(container)}")
    started_after = parse_time(latest.get("startedAfter"))
    if started_after is None and latest.get("startedAfter") is not None:
        raise InvalidSpec(
            "spec.latest.startedAfter must be a time such as 2026-03-04T01:00:00Z, got "
            f"{quoted(latest['startedAfter'])}"
        )
    parsed = LatestJob(
        vault=vault,
        item=item,
        operation=operation or "Backup",
        container=container,
        started_after=started_after,
        completed_within=_parse_completed_within(latest.get("completedWithin")),
    )
    if None not in (parsed.completed_within, parsed.started_after):
        raise InvalidSpec(
            "spec.latest.completedWithin must not be set with spec.latest.startedAfter. Remove one of them"
        )
    check_completed_within(parsed)
    return parsed


def _parse_completed_within(value: object) -> timedelta | None:
    if value is None:
        return None
    duration = parse_go_duration(value) if isinstance(value, str) and _WITHIN.fullmatch(value) else None
    if not duration:
        raise InvalidSpec(f"spec.latest.completedWithin must be a duration such as 24h or 1h30m, got {quoted(value)}")
    return duration


def _parse_vault(vault: object) -> VaultId:
    if not isinstance(vault, Mapping):
        raise InvalidSpec(
            f"spec.vault must have subscriptionId, resourceGroup and name of the job's vault, got {quoted(vault)}"
        )
    for name, is_valid, rule in VAULT_CHECKS:
        if not isinstance(vault.get(name), str) or not is_valid(vault[name]):
            raise InvalidSpec(f"spec.vault.{name} {rule}, got {quoted(vault.get(name))}")
    try:
        kind = VaultKind(vault.get("kind") or VaultKind.RECOVERY_SERVICES.value)
    except ValueError:
        raise InvalidSpec(
            f"spec.vault.kind must be RecoveryServices or BackupVault, got {quoted(vault.get('kind'))}"
        ) from None
    return vault_id(vault["subscriptionId"], vault["resourceGroup"], vault["name"], kind, **_parse_regions(vault, kind))


def _parse_regions(vault: Mapping[str, Any], kind: VaultKind) -> dict[str, str]:
    regions = {name: vault[name] for name in _REGIONS if vault.get(name) is not None}
    for name, region in regions.items():
        if not isinstance(region, str) or not is_region(region):
            raise InvalidSpec(
                f"spec.vault.{name} {REGION_RULE}, got {quoted(region)}. `az account list-locations --query [].name` "
                "lists the names"
            )
    is_of_backup_vault = "secondaryRegion" in regions and kind is VaultKind.BACKUP_VAULT
    if is_of_backup_vault and "primaryRegion" not in regions:
        raise InvalidSpec(
            "spec.vault.primaryRegion must be set with spec.vault.secondaryRegion and kind BackupVault. Set it to the "
            "region of the vault"
        )
    if not is_of_backup_vault and "primaryRegion" in regions:
        raise InvalidSpec(
            "spec.vault.primaryRegion must not be set without spec.vault.secondaryRegion and kind BackupVault. Remove it"
        )
    return {_REGIONS[name]: region for name, region in regions.items()}
