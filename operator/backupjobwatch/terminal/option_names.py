"""Messages of a status for ``backupjobwatch watch``, with its options in place of fields of a spec."""

from __future__ import annotations

from typing import Final

_NAMES: Final = (
    ("set spec.completedWithWarnings to Succeeded", "use --accept-warnings"),
    ("before this object's creation", "before now"),
    ("with spec.jobName", "by its ID"),
    ("spec.activeDeadlineSeconds", "--timeout"),
    ("set spec.onDemand.ifRunning to Follow in a new watch", "use --if-running Follow"),
    ("Set spec.onDemand.ifRunning to Fail", "Remove --if-running"),
    ("must not be set with retainUntil", "must not be set with --retain-until"),
    ("To request another backup, edit spec.revision", "To request another backup, run the command again"),
    ("The operator", "The command"),
    ("spec.onDemand.protectedItemId", "--protected-item-id"),
    ("spec.onDemand.container", "--container"),
    ("spec.onDemand.item", "--item"),
    ("spec.onDemand.retainFor", "--retain-for"),
    ("spec.onDemand.retainUntil", "--retain-until"),
    ("spec.onDemand.backupType", "--backup-type"),
    ("spec.onDemand.ruleName", "--rule-name"),
    ("spec.onDemand.retentionTag", "--retention-tag"),
    ("spec.onDemand", "--on-demand"),
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
