"""The target digest for all sources: which edits restart a watch, and which do not."""

from __future__ import annotations

from typing import Any

import pytest

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import parse_spec, target_digest
from tests.support.builders import (
    JOB_ID,
    JOB_NAME,
    NOW,
    OPERATION,
    OTHER_JOB_NAME,
    VAULT_REF,
    edit,
    running_job,
    settle,
    watch_body,
)  # fmt: skip

BY_NAME = {"jobName": JOB_NAME, "vault": VAULT_REF}
BY_OPERATION = {"operationId": OPERATION, "vault": VAULT_REF}
BACKUP_VAULT = {**VAULT_REF, "kind": "BackupVault"}
BY_BASE64 = {"operationId": "MDllNz==", "vault": BACKUP_VAULT}
LATEST = {"item": "vm1", "container": "c1", "startedAfter": "2026-03-04T01:00:00Z"}
BY_LATEST = {"latest": LATEST, "vault": VAULT_REF}
CAPITAL_VAULT = {name: value.upper() for name, value in VAULT_REF.items()}


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    parse_spec(one)
    parse_spec(other)
    return target_digest(one) == target_digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (BY_NAME, {"jobName": JOB_NAME.upper(), "vault": CAPITAL_VAULT}),
        (BY_OPERATION, {**BY_OPERATION, "vault": CAPITAL_VAULT}),
        (BY_NAME, {**BY_NAME, "vault": {**VAULT_REF, "kind": "RecoveryServices"}}),
        (BY_LATEST, {**BY_LATEST, "latest": {**LATEST, "operation": "Backup"}}),
        (BY_LATEST, {**BY_LATEST, "latest": {**LATEST, "operation": "backup"}}),
        (BY_LATEST, {**BY_LATEST, "latest": {**LATEST, "item": "VM1", "container": "C1"}}),
        (
            {**BY_LATEST, "latest": {**LATEST, "operation": "Restore"}},
            {**BY_LATEST, "latest": {**LATEST, "operation": "RESTORE"}},
        ),
        (BY_LATEST, {**BY_LATEST, "pollInterval": "5m", "suspend": True, "identity": None}),
        (BY_NAME, {**BY_NAME, "revision": None}),
    ],
)
def test_same_target(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Explicit defaults do not change the digest, nor does letter case where Azure ignores it."""
    assert _same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (BY_NAME, {**BY_NAME, "vault": BACKUP_VAULT}),
        (BY_NAME, {**BY_NAME, "identity": {"serviceAccountName": "a"}}),
        (
            {**BY_NAME, "identity": {"serviceAccountName": "a"}},
            {**BY_NAME, "identity": {"secretName": "a"}},
        ),
        (BY_BASE64, {**BY_BASE64, "operationId": "mdllNz=="}),
        (BY_OPERATION, {**BY_OPERATION, "operationId": OTHER_JOB_NAME}),
        (BY_OPERATION, {"jobName": OPERATION, "vault": VAULT_REF}),
        (BY_LATEST, {**BY_LATEST, "latest": {**LATEST, "item": "vm2"}}),
        (BY_LATEST, {**BY_LATEST, "latest": {**LATEST, "container": "c2"}}),
        (BY_LATEST, {**BY_LATEST, "latest": {**LATEST, "operation": "Restore"}}),
        (BY_LATEST, {**BY_LATEST, "latest": {**LATEST, "startedAfter": "2026-03-04T01:00:01Z"}}),
        (BY_LATEST, {**BY_LATEST, "latest": {"item": "vm1"}}),
        (
            {**BY_LATEST, "latest": {"item": "vm1", "completedWithin": "24h"}},
            {**BY_LATEST, "latest": {"item": "vm1", "completedWithin": "12h"}},
        ),
        ({**BY_LATEST, "latest": {"item": "vm1"}}, {**BY_LATEST, "latest": {"item": "vm1", "completedWithin": "12h"}}),
        (BY_NAME, {**BY_NAME, "revision": "v1"}),
        ({**BY_NAME, "revision": "v1"}, {**BY_NAME, "revision": "v2"}),
        ({**BY_NAME, "revision": "v1"}, {**BY_NAME, "revision": "V1"}),
        ({**BY_LATEST, "latest": {"item": "größe"}}, {**BY_LATEST, "latest": {"item": "grösse"}}),
    ],
)
def test_other_target(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Editing the job source or the identity changes the digest. Base64 operation IDs are case-sensitive."""
    assert not _same(one, other)


@pytest.mark.parametrize(
    "fields",
    [
        {"identity": {"secretName": "a"}},
        {"revision": "v1"},
        {"jobResourceId": None, "operationId": OPERATION, "vault": VAULT_REF},
        {"jobResourceId": None, "latest": {"item": "vm1"}, "vault": VAULT_REF},
    ],
)
def test_an_edit_starts_over(fields: dict[str, Any]) -> None:
    """Editing the target discards the old status, including the job and the pinned jobs."""
    body = settle(watch_body(), running_job(), NOW)
    watch = Watch.from_body(edit(body, **fields))

    assert watch.status_for_target == {}
    assert (watch.seen, watch.pinned, watch.finished) == (False, (), False)


def test_known_digests() -> None:
    """Digests are stable across releases. Otherwise, an upgrade would restart every finished watch."""
    assert target_digest({"jobResourceId": JOB_ID}) == target_digest({"jobResourceId": JOB_ID.upper()})
    assert [target_digest(spec) for spec in ({"jobResourceId": JOB_ID}, BY_NAME, BY_OPERATION, BY_LATEST)] == [
        "bce1c339ff06be4b", "a30d4f153f294885", "22e22cbec14c77ae", "8387f21ea2947a3d",
    ]  # fmt: skip
    assert target_digest({"jobResourceId": JOB_ID, "revision": "v1"}) == "509926c5122b65f3"
