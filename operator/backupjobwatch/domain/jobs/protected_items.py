"""Parse protected items of a Recovery Services vault, and backup instances of a Backup vault.

https://learn.microsoft.com/rest/api/backup/backup-protected-items/list,
https://learn.microsoft.com/rest/api/dataprotection/backup-instances/list
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from backupjobwatch.domain.jobs.payloads import Reader, last_segment, mapping, mappings
from backupjobwatch.domain.jobs.resource_ids import VaultKind, fold_case
from backupjobwatch.errors import UnexpectedResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from backupjobwatch.domain.jobs.resource_ids import VaultId

_MAX_ID: Final = 1024
"""Longer IDs are ignored. Azure's longest known ID has about 400 characters."""
_ITEM: Final = re.compile(
    r"/backupFabrics/[^/]+/protectionContainers/(?P<container>[^/]+)/protectedItems/(?P<item>[^/]+)", re.IGNORECASE
)
_INSTANCE: Final = re.compile(r"/backupInstances/(?P<item>[^/]+)", re.IGNORECASE)
_DELETED: Final = frozenset({"softdeleting", "softdeleted"})
_DOT_SEGMENTS: Final = frozenset({".", ".."})
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedItem:
    """A protected item, or a backup instance of a Backup vault, as described by a list of its vault."""

    id: str
    """Resource ID as Azure sent it, percent-decoded once."""
    vault: VaultId
    name: str
    """Friendly name. Several items of a vault may have the same one."""
    container: str | None
    """Azure's ``containerName``. None in a Backup vault."""
    server: str | None
    """Server of a database, or cluster or server of a Backup vault's data source."""
    instance: str | None
    """Database instance on the server."""
    workload: str
    """``VM``, ``AzureFileShare``, ``SQLDataBase``, ``SAPHanaDatabase``, or the data source type in a Backup vault."""
    protection_state: str
    is_soft_deleted: bool
    policy_id: str | None

    @property
    def backup_path(self) -> str:
        """The percent-encoded URL path of the request that starts a backup of this item."""
        segments = _segments(self.id, self.vault)
        if segments is None:
            raise ValueError("the ID of an item must be one of its vault")
        container, item = segments
        if self.vault.kind is VaultKind.BACKUP_VAULT:
            return f"{self.vault.url_path}/backupInstances/{quote(item, safe='')}/backup"
        return (
            f"{self.vault.url_path}/backupFabrics/Azure/protectionContainers/{quote(container, safe='')}"
            f"/protectedItems/{quote(item, safe='')}/backup"
        )

    @property
    def path_name(self) -> str:
        """The item's own name in its ID. Jobs of a Backup vault name it as their instance."""
        return self.id.rsplit("/", 1)[-1]

    def has_id(self, resource_id: str) -> bool:
        """Return whether *resource_id* is the ID of this item, ignoring letter case and percent-encoding."""
        return _key(self.id) == _key(unquote(resource_id))


def parse_protected_items(payload: Mapping[str, Any], vault: VaultId) -> tuple[ProtectedItem, ...]:
    """Parse a page of a Recovery Services vault's protected items. Malformed entries are skipped."""
    return tuple(_parse(payload, vault, _protected_item))


def parse_backup_instances(payload: Mapping[str, Any], vault: VaultId) -> tuple[ProtectedItem, ...]:
    """Parse a page of a Backup vault's backup instances. Malformed entries are skipped."""
    return tuple(_parse(payload, vault, _backup_instance))


def _parse(
    payload: Mapping[str, Any], vault: VaultId, parse: Callable[[str, Mapping[str, Any], VaultId], ProtectedItem]
) -> Iterator[ProtectedItem]:
    if not isinstance(payload.get("value"), list):
        raise UnexpectedResponse("Azure answered with an invalid list of protected items.")
    for entry in mappings(payload["value"]):
        resource_id = entry.get("id")
        if not isinstance(resource_id, str) or len(resource_id) > _MAX_ID:
            continue
        resource_id = unquote(resource_id).rstrip("/")
        if resource_id.isprintable() and _segments(resource_id, vault) is not None:
            yield parse(resource_id, mapping(entry.get("properties")), vault)


def _protected_item(resource_id: str, properties: Mapping[str, Any], vault: VaultId) -> ProtectedItem:
    read = Reader()
    return ProtectedItem(
        id=resource_id,
        vault=vault,
        name=read.name(properties.get("friendlyName")) or resource_id.rsplit(";", 1)[-1],
        container=read.name(properties.get("containerName")),
        server=read.name(properties.get("serverName")),
        instance=read.name(properties.get("parentName")),
        workload=read.term(properties.get("workloadType")) or _UNKNOWN,
        protection_state=read.term(properties.get("protectionState")) or _UNKNOWN,
        is_soft_deleted=properties.get("isScheduledForDeferredDelete") is True,
        policy_id=_policy_id(properties.get("policyId"), vault),
    )


def _backup_instance(resource_id: str, properties: Mapping[str, Any], vault: VaultId) -> ProtectedItem:
    read = Reader()
    source, group = (mapping(properties.get(name)) for name in ("dataSourceInfo", "dataSourceSetInfo"))
    status = mapping(properties.get("protectionStatus")).get("status")
    state = read.term(properties.get("currentProtectionState")) or read.term(status) or _UNKNOWN
    name = read.name(properties.get("friendlyName")) or read.name(source.get("resourceName"))
    return ProtectedItem(
        id=resource_id,
        vault=vault,
        name=name or resource_id.rsplit("/", 1)[-1],
        container=None,
        server=read.name(group.get("resourceName")),
        instance=None,
        workload=read.term(source.get("datasourceType")) or _UNKNOWN,
        protection_state=state,
        is_soft_deleted=fold_case(state) in _DELETED,
        policy_id=_policy_id(mapping(properties.get("policyInfo")).get("policyId"), vault),
    )


def _segments(resource_id: str, vault: VaultId) -> tuple[str, str] | None:
    """Return the container and the item in a decoded ID, or None if it is not the ID of an item of *vault*.

    Only these two parts of Azure's ID become part of a URL, so an ID cannot lead a request to another vault.
    """
    if not _key(resource_id).startswith(f"{vault.key}/"):
        return None
    pattern = _INSTANCE if vault.kind is VaultKind.BACKUP_VAULT else _ITEM
    match = pattern.fullmatch(resource_id[len(vault.key) :])
    if match is None or _DOT_SEGMENTS & set(match.groups()):
        return None
    return match.groupdict().get("container") or "", match["item"]


def _policy_id(value: object, vault: VaultId) -> str | None:
    """Return the ID of a policy of *vault*."""
    if not isinstance(value, str) or len(value) > _MAX_ID or not value.isprintable():
        return None
    name = last_segment(value)
    if name in _DOT_SEGMENTS or _key(value) != f"{vault.key}/backuppolicies/{fold_case(name or '')}":
        return None
    return value


def _key(resource_id: str) -> str:
    return fold_case(resource_id.rstrip("/"))
