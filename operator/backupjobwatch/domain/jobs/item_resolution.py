"""Resolve the protected item of ``spec.onDemand``, and build the request that starts its backup."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.jobs.backup_requests import (
    BackupRequest,
    database_backup,
    instance_backup,
    is_database,
    is_supported,
    item_backup,
)
from backupjobwatch.domain.jobs.findings import RequestFailure, Waiting
from backupjobwatch.domain.jobs.resource_ids import VaultKind, fold_case
from backupjobwatch.domain.jobs.times import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from backupjobwatch.domain.jobs.backup_policies import BackupPolicy
    from backupjobwatch.domain.jobs.on_demand_backup import OnDemandBackup
    from backupjobwatch.domain.jobs.protected_items import ProtectedItem

_CONFIGURING: Final = frozenset({"configuringprotection", "updatingprotection"})
_STOPPED: Final = frozenset(
    {
        *("protectionstopped", "protectionpaused", "backupssuspended", "notprotected", "invalid"),
        *("configuringprotectionfailed", "softdeleting", "softdeleted"),
    }
)
"""States in which Azure takes no backups. Azure decides in any other state, such as ``IRPending``: no backup yet."""
_MAX_CHOICES: Final = 10


def resolve_item(backup: OnDemandBackup, items: Sequence[ProtectedItem]) -> ProtectedItem | Waiting | RequestFailure:
    """Return the item that *backup* names among the *items* of its vault, or why there is none."""
    found = [item for item in items if _is_named(item, backup)]
    live = [item for item in found if not item.is_soft_deleted]
    if not found:
        known = _choices(item.name for item in items if not item.is_soft_deleted)
        return _invalid(f'The vault protects no item "{backup.title}". It protects: {known}.')
    if not live:
        return _invalid(f"{backup.title} is soft-deleted. Restore its protection, or name another item.")
    if len(live) > 1:
        return _ambiguous(backup, live)
    return _check_state(live[0])


def _check_state(item: ProtectedItem) -> ProtectedItem | Waiting | RequestFailure:
    state = fold_case(item.protection_state)
    if state in _CONFIGURING:
        return Waiting(reason="Progressing", message=f"Azure is still configuring the protection of {item.name}.")
    if state in _STOPPED:
        return _invalid(f"Azure takes no backups of {item.name}, whose state is {item.protection_state}.")
    if not is_supported(item):
        return _invalid(f"The operator cannot start a backup of {item.name}, which is of type {item.workload}.")
    return item


def build_request(
    backup: OnDemandBackup, item: ProtectedItem, policy: BackupPolicy | None, *, now: datetime
) -> BackupRequest | RequestFailure:
    """Return the request for *item*. *policy* is that of a Backup vault's instance."""
    until = backup.retained_until(now)
    if until is not None and until <= now:
        return _invalid(f"spec.onDemand.retainUntil ({format_time(until)}) has passed.")
    if item.vault.kind is VaultKind.BACKUP_VAULT:
        return _instance_request(backup, item, () if policy is None else policy.rules)
    if is_database(item.workload):
        if backup.follows_running:
            return _invalid(
                f"{item.name} is a database. Azure names the host and the type of its backup only when the backup ends, so "
                "the watch cannot follow a running one. Set spec.onDemand.ifRunning to Fail."
            )
        return database_backup(item, backup_type=backup.backup_type or "Full", retain_until=until)
    if backup.backup_type is not None:
        return _invalid(
            f"{item.name} is of type {item.workload}, which has no backup types. Remove spec.onDemand.backupType."
        )
    return item_backup(item, retain_until=until)


def _instance_request(
    backup: OnDemandBackup, item: ProtectedItem, rules: Sequence[str]
) -> BackupRequest | RequestFailure:
    if not rules:
        return _invalid(f"The policy of {item.name} has no backup rule, so a backup cannot be requested.")
    if backup.rule is None and len(rules) > 1:
        return _invalid(
            f"The policy of {item.name} has several backup rules. Set spec.onDemand.ruleName to one of: "
            f"{_choices(rules)}."
        )
    wanted = fold_case(backup.rule or rules[0])
    rule = next((rule for rule in rules if fold_case(rule) == wanted), None)
    if rule is None:
        return _invalid(
            f'The policy of {item.name} has no backup rule "{backup.rule}". Set spec.onDemand.ruleName to one of: '
            f"{_choices(rules)}."
        )
    return instance_backup(item, rule=rule, retention_tag=backup.retention_tag)


def _is_named(item: ProtectedItem, backup: OnDemandBackup) -> bool:
    if backup.item_id is not None:
        return item.has_id(backup.item_id)
    if plain_name(item.name) != plain_name(backup.item or ""):
        return False
    return backup.container is None or fold_case(backup.container) in _containers(item)


def _containers(item: ProtectedItem) -> set[str]:
    """Return the names of the item's container: in full, its last part, and its server."""
    container = fold_case(item.container or "")
    return {container, container.rsplit(";", 1)[-1], fold_case(item.server or ""), fold_case(item.instance or "")}


def plain_name(name: str) -> str:
    r"""Return *name* for comparisons. Backup vaults write both ``server/db`` and ``server\db``."""
    return fold_case(name).replace("\\", "/")


def _ambiguous(backup: OnDemandBackup, items: Sequence[ProtectedItem]) -> RequestFailure:
    containers = [item.container for item in items if item.container is not None]
    is_distinct = len({fold_case(container) for container in containers}) == len(items)
    may_choose = is_distinct and backup.container is None
    field = "container" if may_choose else "protectedItemId"
    names = containers if may_choose else [item.id for item in items]
    return _invalid(
        f"The vault protects {len(items)} items of the name {backup.title}. Set spec.onDemand.{field} to one of: "
        f"{_choices(names)}."
    )


def _choices(names: Iterable[str]) -> str:
    known = sorted(set(names), key=fold_case)
    more = f" and {len(known) - _MAX_CHOICES} more" if len(known) > _MAX_CHOICES else ""
    return ", ".join(islice(known, _MAX_CHOICES)) + more or "nothing"


def _invalid(message: str) -> RequestFailure:
    return RequestFailure(reason="InvalidTarget", message=message)
