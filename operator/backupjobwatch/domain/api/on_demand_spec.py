"""Parse ``spec.onDemand``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from backupjobwatch.domain.jobs.on_demand_backup import OnDemandBackup
from backupjobwatch.domain.jobs.payloads import mapping
from backupjobwatch.domain.jobs.resource_ids import VaultId, VaultKind, fold_case
from backupjobwatch.domain.jobs.text import quoted
from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.errors import InvalidSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

BACKUP_TYPES: Final = ("Full", "Differential", "Log", "CopyOnlyFull", "Incremental")
_LENGTHS: Final[Mapping[str, int]] = {
    "item": 256,
    "protectedItemId": 1024,
    "container": 512,
    "ruleName": 150,
    "retentionTag": 150,
}
_DAYS: Final = re.compile(r"(?P<days>[1-9][0-9]{0,3})d")
_ONLY_IN: Final[Mapping[str, VaultKind]] = {
    **dict.fromkeys(("container", "retainFor", "retainUntil", "backupType"), VaultKind.RECOVERY_SERVICES),
    **dict.fromkeys(("ruleName", "retentionTag"), VaultKind.BACKUP_VAULT),
}
_INSTEAD: Final[Mapping[str, str]] = {
    "container": "Set spec.onDemand.protectedItemId",
    "retainFor": "Set spec.onDemand.retentionTag",
    "retainUntil": "Set spec.onDemand.retentionTag",
    "backupType": "Set spec.onDemand.ruleName",
    "ruleName": "Remove it",
    "retentionTag": "Set spec.onDemand.retainFor",
}


def parse_on_demand(value: object, vault: VaultId) -> OnDemandBackup:
    """Parse ``spec.onDemand``. Raise InvalidSpec, which says how to fix the spec."""
    fields = mapping(value)
    if vault.secondary_region is not None:
        raise InvalidSpec(
            "spec.onDemand must not be set with spec.vault.secondaryRegion, where Azure takes no backups. Remove one of them"
        )
    for name, longest in _LENGTHS.items():
        text = fields.get(name)
        if text is not None and (not isinstance(text, str) or not 0 < len(text) <= longest):
            raise InvalidSpec(f"spec.onDemand.{name} must be a string of 1 to {longest} characters, got {quoted(text)}")
    if (fields.get("item") is None) == (fields.get("protectedItemId") is None):
        got = "none" if fields.get("item") is None else "both"
        raise InvalidSpec(f"spec.onDemand must have exactly one of item or protectedItemId, got {got}. Set one")
    if fields.get("container") is not None and fields.get("item") is None:
        raise InvalidSpec("spec.onDemand.container must not be set with protectedItemId, which names it. Remove it")
    for name, kind in _ONLY_IN.items():
        if fields.get(name) is not None and vault.kind is not kind:
            raise InvalidSpec(
                f"spec.onDemand.{name} requires spec.vault.kind {kind.value}, got {vault.kind.value}. {_INSTEAD[name]}"
            )
    _check_id(fields.get("protectedItemId"), vault)
    _check_choice(fields, "backupType", BACKUP_TYPES)
    _check_choice(fields, "ifRunning", ("Fail", "Follow"))
    if fields.get("retainFor") is not None and fields.get("retainUntil") is not None:
        raise InvalidSpec("spec.onDemand.retainFor must not be set with retainUntil. Remove one of them")
    retain_until = parse_time(fields.get("retainUntil"))
    if retain_until is None and fields.get("retainUntil") is not None:
        raise InvalidSpec(
            "spec.onDemand.retainUntil must be a time such as 2026-12-31T00:00:00Z, got "
            f"{quoted(fields['retainUntil'])}"
        )
    return OnDemandBackup(
        vault=vault,
        item=fields.get("item"),
        item_id=fields.get("protectedItemId"),
        container=fields.get("container"),
        retain_for=_parse_days(fields.get("retainFor")),
        retain_until=retain_until,
        backup_type=fields.get("backupType"),
        rule=fields.get("ruleName"),
        retention_tag=fields.get("retentionTag"),
        follows_running=fields.get("ifRunning") == "Follow",
    )


def _check_id(value: str | None, vault: VaultId) -> None:
    if value is not None and not fold_case(unquote(value)).startswith(f"{vault.key}/"):
        raise InvalidSpec(
            f"spec.onDemand.protectedItemId must be the resource ID of an item of spec.vault ({vault}), got "
            f"{quoted(value)}. Correct the ID or spec.vault"
        )


def _check_choice(fields: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> None:
    if fields.get(name) is not None and fields[name] not in choices:
        raise InvalidSpec(f"spec.onDemand.{name} must be one of {', '.join(choices)}, got {quoted(fields[name])}")


def _parse_days(value: object) -> timedelta | None:
    if value is None:
        return None
    match = _DAYS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise InvalidSpec(f"spec.onDemand.retainFor must be 1d to 9999d, such as 30d, got {quoted(value)}")
    return timedelta(days=int(match["days"]))
