"""Policies of Backup vaults: the rules that an on-demand backup can name."""

from __future__ import annotations

from typing import Any

import pytest

from backupjobwatch.domain.jobs.backup_policies import BackupPolicy, parse_policy
from backupjobwatch.errors import UnexpectedResponse
from tests.support.azure import payload


def policy(*rules: Any) -> dict[str, Any]:
    return {"properties": {"policyRules": list(rules)}}


def test_rules_on_record() -> None:
    """A policy has backup rules and retention rules. A policy for continuous backup has no backup rule."""
    assert parse_policy(payload("dp-policy-postgres")) == BackupPolicy(
        rules=("BackupWeekly",), retention_tags=("Default", "Weekly")
    )
    assert parse_policy(payload("dp-policy-blobs-operational")) == BackupPolicy(rules=(), retention_tags=("Default",))


def test_other_rules() -> None:
    """Rules of unknown types, without a name, or that are no objects are skipped."""
    rules = ("text", {"objectType": "New", "name": "X"}, {"objectType": "AzureBackupRule"}, {"name": "Y"})

    assert parse_policy(policy(*rules, {"objectType": "azurebackuprule", "name": "Daily"})).rules == ("Daily",)


@pytest.mark.parametrize("body", [{}, {"properties": None}, {"properties": {"policyRules": None}}])
def test_no_policy(body: dict[str, Any]) -> None:
    """A response without rules is an error. It does not mean that there are none."""
    with pytest.raises(UnexpectedResponse, match="no list of rules"):
        parse_policy(body)
