"""Messages of a status for ``backupjobwatch watch``, with its options in place of fields of a spec."""

from __future__ import annotations

from typing import Final

_NAMES: Final = (
    ("set spec.completedWithWarnings to Succeeded", "use --accept-warnings"),
    ("before this object's creation", "before now"),
    ("with spec.jobName", "by its ID"),
    ("spec.activeDeadlineSeconds", "--timeout"),
    ("spec.completedWithWarnings", "--accept-warnings"),
    ("spec.graceSeconds", "--grace"),
    ("spec.pollInterval", "--interval"),
    ("spec.latest.startedAfter", "--started-after"),
    ("spec.latest.completedWithin", "--completed-within"),
    ("spec.latest.container", "--container"),
    ("spec.latest.operation", "--operation"),
    ("spec.latest.item", "--item"),
    ("spec.latest", "--item"),
    ("spec.vault.subscriptionId", "--subscription"),
    ("spec.vault.resourceGroup", "--resource-group"),
    ("spec.vault.kind", "--vault-kind"),
    ("spec.vault.name", "--vault-name"),
    ("spec.vault.secondaryRegion", "--secondary-region"),
    ("spec.vault.primaryRegion", "--primary-region"),
    ("spec.vault", "--vault-name"),
    ("spec.operationId", "--operation-id"),
    ("spec.jobName", "JOB"),
    ("spec.jobResourceId", "JOB"),
)
"""Longer names first, because they contain shorter ones."""


def with_option_names(text: str) -> str:
    """Return *text* with the command's options in place of fields of a spec."""
    for field, option in _NAMES:
        text = text.replace(field, option)
    return text
