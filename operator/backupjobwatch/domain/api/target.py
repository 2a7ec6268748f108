"""Which job a spec is about, and with whose access it is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backupjobwatch.domain.jobs.latest_job import LatestJob
from backupjobwatch.domain.jobs.payloads import mapping
from backupjobwatch.domain.jobs.resource_ids import (
    JOB_ID_FORM,
    JobId,
    OperationId,
    VaultId,
    VaultKind,
    is_guid,
    is_operation_id,
    is_resource_group,
    is_vault_name,
    vault_id,
)
from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.errors import InvalidSpec

SOURCES = ("jobResourceId", "jobName", "operationId", "latest")
"""The fields of which exactly one says which job."""

VAULT_CHECKS = (
    ("subscriptionId", is_guid, "write the subscription's UUID"),
    ("resourceGroup", is_resource_group, "write the resource group's name alone, with no dot at the end"),
    ("name", is_vault_name, "write the vault's name alone: 2 to 50 letters, digits and hyphens"),
)
"""The texts that name a vault, in the order of its ID: the field of ``vault``, what it must be, what to write else."""

_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
_LONGEST_ITEM = 256
_LONGEST_CONTAINER = 512


JobSource = JobId | OperationId | LatestJob
"""What a spec says of which job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose access is used: the operator's own, or one of the watch's namespace."""

    service_account_name: str | None = None
    """Federated: a token of this ServiceAccount is exchanged for one of Entra's."""
    secret_name: str | None = None
    """A Secret with tenant, client, and client secret or certificate."""

    @property
    def is_operators(self) -> bool:
        """Whether it is the operator's own."""
        return self.service_account_name is None and self.secret_name is None


def parse_source(spec: Mapping[str, Any]) -> JobSource:
    """Read which job a spec is about. InvalidSpec says what to write instead."""
    named = [name for name in SOURCES if spec.get(name) is not None]
    if len(named) != 1:
        raise InvalidSpec("spec: write exactly one of jobResourceId, or jobName, operationId or latest with vault")
    field, vault = named[0], spec.get("vault")
    if field == "jobResourceId":
        if vault is not None:
            raise InvalidSpec("spec.vault: jobResourceId names the vault already, so remove vault")
        try:
            return JobId.parse(str(spec[field]))
        except ValueError:
            raise InvalidSpec(f"spec.jobResourceId: write a path of the form {JOB_ID_FORM}") from None
    parsed = _parse_vault(vault)
    if field == "jobName":
        return JobId(vault=parsed, name=_parse_job_name(spec[field]))
    if field == "operationId":
        return OperationId(vault=parsed, name=_parse_operation_id(spec[field], parsed))
    return _parse_latest(spec[field], parsed)


def parse_identity(identity: object) -> Identity:
    """Read ``spec.identity``."""
    if identity is None:
        return Identity()
    names = [name for name in ("serviceAccountName", "secretName") if mapping(identity).get(name) is not None]
    if len(names) != 1:
        raise InvalidSpec("spec.identity: write exactly one of serviceAccountName or secretName, or remove identity")
    name = mapping(identity)[names[0]]
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise InvalidSpec(f"spec.identity.{names[0]}: write the name alone, of an object in the watch's namespace")
    if names[0] == "secretName":
        return Identity(secret_name=name)
    return Identity(service_account_name=name)


def _parse_job_name(value: object) -> str:
    if not isinstance(value, str) or not is_guid(value):
        raise InvalidSpec("spec.jobName: write the job's GUID; a full resource ID goes into jobResourceId")
    return value


def _parse_operation_id(value: object, vault: VaultId) -> str:
    is_valid = is_guid if vault.kind is VaultKind.RECOVERY_SERVICES else is_operation_id
    if not isinstance(value, str) or not is_valid(value):
        raise InvalidSpec(
            "spec.operationId: write the operation's id alone: of an Azure-AsyncOperation URL the part after the last / "
            "and before the ?"
        )
    return value


def _parse_latest(value: object, vault: VaultId) -> LatestJob:
    latest = mapping(value)
    item, operation, container = (latest.get(name) for name in ("item", "operation", "container"))
    if not isinstance(item, str) or not 0 < len(item) <= _LONGEST_ITEM:
        raise InvalidSpec("spec.latest.item: write the protected item's name, as `az backup job list` shows it")
    if operation is not None and (not isinstance(operation, str) or not operation):
        raise InvalidSpec("spec.latest.operation: write Backup, Restore or another operation of Azure's")
    if container is not None and (not isinstance(container, str) or not 0 < len(container) <= _LONGEST_CONTAINER):
        raise InvalidSpec("spec.latest.container: write the name of the item's container")
    started_after = parse_time(latest.get("startedAfter"))
    if started_after is None and latest.get("startedAfter") is not None:
        raise InvalidSpec("spec.latest.startedAfter: write a time such as 2026-03-04T01:00:00Z")
    return LatestJob(
        vault=vault, item=item, operation=operation or "Backup", container=container, started_after=started_after
    )


def _parse_vault(vault: object) -> VaultId:
    if not isinstance(vault, Mapping):
        raise InvalidSpec(
            "spec.vault: write {subscriptionId, resourceGroup, name} of the vault that the job belongs to"
        )
    for name, is_valid, advice in VAULT_CHECKS:
        if not isinstance(vault.get(name), str) or not is_valid(vault[name]):
            raise InvalidSpec(f"spec.vault.{name}: {advice}")
    try:
        kind = VaultKind(vault.get("kind") or VaultKind.RECOVERY_SERVICES.value)
    except ValueError:
        raise InvalidSpec("spec.vault.kind: write RecoveryServices or BackupVault") from None
    return vault_id(vault["subscriptionId"], vault["resourceGroup"], vault["name"], kind)
