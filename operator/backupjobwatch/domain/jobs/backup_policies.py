"""Parse the policy of a Backup vault: the rules that an on-demand backup can name.

https://learn.microsoft.com/rest/api/dataprotection/backup-policies/get
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backupjobwatch.domain.jobs.payloads import Reader, mapping, mappings
from backupjobwatch.domain.jobs.resource_ids import fold_case
from backupjobwatch.errors import UnexpectedResponse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPolicy:
    """The rules of a policy."""

    rules: tuple[str, ...]
    """Names of the backup rules. A policy for continuous backup has none."""
    retention_tags: tuple[str, ...] = ()
    """Names of the retention rules."""


def parse_policy(payload: Mapping[str, Any]) -> BackupPolicy:
    """Parse a policy. Raise UnexpectedResponse if it has no list of rules."""
    listed = mapping(payload.get("properties")).get("policyRules")
    if not isinstance(listed, list):
        raise UnexpectedResponse("Azure answered with a backup policy that has no list of rules.")
    return BackupPolicy(
        rules=tuple(_names(listed, "azurebackuprule")), retention_tags=tuple(_names(listed, "azureretentionrule"))
    )


def _names(rules: list[Any], object_type: str) -> Iterator[str]:
    """Yield each name once. A policy for blobs has two retention rules ``Default``, one for each store."""
    found = (
        Reader().name(rule.get("name"))
        for rule in mappings(rules)
        if fold_case(str(rule.get("objectType"))) == object_type
    )
    yield from dict.fromkeys(filter(None, found))
