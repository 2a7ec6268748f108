"""Parsing of the spec, and the target digest."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from backupjobwatch.domain.api.spec import (
    POLL_INTERVALS,
    TARGET_DEFAULTS,
    parse_spec,
    poll_interval,
    read_revision,
    target_digest,
)
from backupjobwatch.domain.api.target import Identity
from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.errors import InvalidSpec
from tests.support.builders import CRD_DEFAULTS, JOB_ID, JOB_NAME, OTHER_JOB_NAME, RESOURCE_GROUP, VAULT, VAULT_REF

BY_ID = {"jobResourceId": JOB_ID}
BY_NAME = {"jobName": JOB_NAME, "vault": VAULT_REF}


def test_defaults() -> None:
    """Missing fields get the defaults of the CRD."""
    spec = parse_spec(BY_ID)

    assert spec.source == JobId.parse(JOB_ID)
    assert spec.identity == Identity()
    assert spec.active_deadline == timedelta(hours=48)
    assert spec.grace == timedelta(minutes=10)
    assert spec.warnings_succeed is False
    assert spec.poll_interval == timedelta(seconds=30)
    assert spec.suspend is False
    assert spec == parse_spec({**CRD_DEFAULTS, **BY_ID})


def test_all_fields() -> None:
    """Every field is read."""
    spec = parse_spec(
        {
            **BY_NAME,
            "activeDeadlineSeconds": 3600,
            "graceSeconds": 0,
            "completedWithWarnings": "Succeeded",
            "pollInterval": "2m",
            "suspend": True,
        }
    )

    assert str(spec.source) == JOB_ID
    assert spec.active_deadline == timedelta(hours=1)
    assert spec.grace == timedelta()
    assert spec.warnings_succeed is True
    assert spec.poll_interval == timedelta(minutes=2)
    assert spec.suspend is True


@pytest.mark.parametrize("revision", ["v1.4.2", "v" * 256, " ", "リリース 1"])
def test_revision(revision: str) -> None:
    """A revision is free text. It changes nothing but the target."""
    assert parse_spec({**BY_ID, "revision": revision}) == parse_spec(BY_ID)
    assert read_revision({**BY_ID, "revision": revision}) == revision


@pytest.mark.parametrize(("written", "interval"), POLL_INTERVALS.items())
def test_poll_intervals(written: str, interval: timedelta) -> None:
    """Every allowed interval is read."""
    assert parse_spec({**BY_ID, "pollInterval": written}).poll_interval == interval


def test_unknown_fields() -> None:
    """An unknown field, such as one of a newer CRD, does not make the spec invalid."""
    assert parse_spec({**BY_ID, "labels": ["x"]}) == parse_spec(BY_ID)


_NO_DURATIONS: tuple[Any, ...] = (
    "", "0s", "0h0m", "24", "1d", "P1D", "-24h", "1.5h", "24H", "30m1h", "24h ", "٢h", 24, True, {},
)  # fmt: skip
INVALID: list[tuple[dict[str, Any], str]] = [
    ({}, "spec must have exactly one of"),
    ({**BY_ID, **BY_NAME}, "spec must have exactly one of"),
    ({"vault": VAULT_REF}, "spec must have exactly one of"),
    ({**BY_ID, "vault": VAULT_REF}, "spec.vault must not be set with jobResourceId"),
    ({"jobResourceId": ""}, "spec.jobResourceId must be a path of the form /subscriptions/"),
    ({"jobResourceId": 5}, "spec.jobResourceId must be a path"),
    ({"jobResourceId": JOB_NAME}, "spec.jobResourceId must be a path"),
    ({"jobName": JOB_NAME}, "spec.vault must have subscriptionId, resourceGroup and name"),
    ({"jobName": JOB_NAME, "vault": VAULT}, "spec.vault must have subscriptionId, resourceGroup and name"),
    ({"jobName": JOB_ID, "vault": VAULT_REF}, "spec.jobName must be the GUID of a job"),
    ({"jobName": 7, "vault": VAULT_REF}, "spec.jobName must be the GUID of a job"),
    (
        {"jobName": JOB_NAME, "vault": {**VAULT_REF, "subscriptionId": "prod"}},
        "spec.vault.subscriptionId must be the subscription's UUID, got ",
    ),
    (
        {"jobName": JOB_NAME, "vault": {**VAULT_REF, "subscriptionId": None}},
        "spec.vault.subscriptionId must be the subscription's UUID, got ",
    ),
    (
        {"jobName": JOB_NAME, "vault": {**VAULT_REF, "resourceGroup": "rg."}},
        "spec.vault.resourceGroup must be the resource group's name",
    ),
    (
        {"jobName": JOB_NAME, "vault": {**VAULT_REF, "resourceGroup": ["rg"]}},
        "spec.vault.resourceGroup must be the resource group's name",
    ),
    ({"jobName": JOB_NAME, "vault": {**VAULT_REF, "name": "v"}}, "spec.vault.name must be the vault's name"),
    ({"jobName": JOB_NAME, "vault": {}}, "spec.vault.subscriptionId must be the subscription's UUID, got "),
    ({**BY_ID, "activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds must be an integer from"),
    ({**BY_ID, "activeDeadlineSeconds": 31536001}, "from 1 to 31536000"),
    ({**BY_ID, "activeDeadlineSeconds": True}, "spec.activeDeadlineSeconds must be an integer from"),
    ({**BY_ID, "activeDeadlineSeconds": "48h"}, "spec.activeDeadlineSeconds must be an integer from"),
    ({**BY_ID, "activeDeadlineSeconds": 1.5}, "spec.activeDeadlineSeconds must be an integer from"),
    ({**BY_ID, "graceSeconds": -1}, "spec.graceSeconds must be an integer from"),
    ({**BY_ID, "completedWithWarnings": "succeeded"}, "spec.completedWithWarnings must be Failed or Succeeded"),
    ({**BY_ID, "completedWithWarnings": ["Failed"]}, "spec.completedWithWarnings must be Failed or Succeeded"),
    ({**BY_ID, "pollInterval": "15s"}, "spec.pollInterval must be one of 10s, 30s, 1m, 2m, 5m"),
    ({**BY_ID, "pollInterval": 30}, "spec.pollInterval must be one of"),
    ({**BY_ID, "pollInterval": ["30s"]}, "spec.pollInterval must be one of"),
    ({**BY_ID, "suspend": "yes"}, "spec.suspend must be true or false"),
    ({**BY_ID, "revision": ""}, "spec.revision must be a string of 1 to 256 characters"),
    ({**BY_ID, "revision": 1.4}, "spec.revision must be a string of 1 to 256 characters"),
    ({**BY_ID, "revision": "v" * 257}, "spec.revision must be a string of 1 to 256 characters"),
    (
        {
            "latest": {"item": "vm1", "startedAfter": "2026-03-04T01:00:00Z"},
            "vault": VAULT_REF,
            "revision": "v1",
        },
        "spec.latest.startedAfter must not be set with spec.revision",
    ),
    *(
        (
            {"latest": {"item": "vm1", "completedWithin": value}, "vault": VAULT_REF},
            "spec.latest.completedWithin must be a duration such as 24h or 1h30m, got ",
        )
        for value in _NO_DURATIONS
    ),
    *(
        (
            {"latest": {"item": "vm1", "completedWithin": value}, "vault": {**VAULT_REF, "kind": kind}},
            f"spec.latest.completedWithin must be at most {limit} for a {name}, got {shown}",
        )
        for kind, name, value, limit, shown in (
            ("RecoveryServices", "Recovery Services vault", "624h1s", "624h", "624h0m1s"),
            ("BackupVault", "Backup vault", "9999h99999m9999999s", "240h", "14443h25m39s"),
        )
    ),
    (
        {
            "latest": {"item": "vm1", "startedAfter": "2026-03-04T01:00:00Z", "completedWithin": "24h"},
            "vault": VAULT_REF,
        },
        "spec.latest.completedWithin must not be set with spec.latest.startedAfter. Remove one of them",
    ),
]


@pytest.mark.parametrize(("spec", "message"), INVALID)
def test_invalid(spec: dict[str, Any], message: str) -> None:
    """A spec that the CRD should have rejected is refused, with the path of the field and how to fix it."""
    with pytest.raises(InvalidSpec, match=re.escape(message)):
        parse_spec(spec)


@pytest.mark.parametrize("spec", [row[0] for row in INVALID])
def test_digest_of_anything(spec: dict[str, Any]) -> None:
    """Even an invalid spec has a digest, and no valid spec shares it."""
    assert re.fullmatch("[0-9a-f]{16}", target_digest(spec))
    assert target_digest(spec) not in {target_digest(BY_ID), target_digest(BY_NAME)}


@pytest.mark.parametrize(
    "spec",
    [
        {"jobResourceId": JOB_ID.upper()},
        {"jobResourceId": JOB_ID.lower()},
        {**BY_ID, **TARGET_DEFAULTS},
        {**BY_ID, **CRD_DEFAULTS},
        {**BY_ID, "graceSeconds": None, "vault": None, "jobName": None},
        {**BY_ID, "pollInterval": "10s"},
        {**BY_ID, "suspend": True},
        {**BY_ID, "notify": [], "ttlSecondsAfterFinished": 5},
    ],
)
def test_same_target(spec: dict[str, Any]) -> None:
    """Letter case, explicit defaults and fields outside the target do not change the digest."""
    assert target_digest(spec) == target_digest(BY_ID)


@pytest.mark.parametrize(
    "spec",
    [
        {"jobResourceId": JOB_ID.replace(JOB_NAME, OTHER_JOB_NAME)},
        {"jobResourceId": JOB_ID.replace(VAULT, "other")},
        {"jobResourceId": JOB_ID.replace(RESOURCE_GROUP, "größe")},
        {"jobResourceId": JOB_ID.replace(RESOURCE_GROUP, "GRÖßE")},
        BY_NAME,
        {**BY_ID, "activeDeadlineSeconds": 3600},
        {**BY_ID, "graceSeconds": 0},
        {**BY_ID, "completedWithWarnings": "Succeeded"},
    ],
)
def test_other_target(spec: dict[str, Any]) -> None:
    """Editing any target field changes the digest."""
    assert target_digest(spec) != target_digest(BY_ID)


def test_targets_of_other_scripts() -> None:
    """Names of resource groups that differ in the case of non-ASCII letters are different targets."""
    one, other = (target_digest({"jobResourceId": JOB_ID.replace(RESOURCE_GROUP, name)}) for name in ("É", "é"))

    assert one != other


def test_order_of_fields() -> None:
    """The order of the fields does not change the digest."""
    assert target_digest(dict(reversed(BY_NAME.items()))) == target_digest(BY_NAME)


def test_fixes_change_the_digest() -> None:
    """Any edit that fixes an invalid spec changes the digest, even of a field outside the target."""
    assert target_digest({**BY_ID, "pollInterval": "15s"}) != target_digest({**BY_ID, "pollInterval": "10s"})


@pytest.mark.parametrize(
    ("written", "seconds"), [("10s", 10), ("5m", 300), ("15s", 30), (None, 30), (30, 30), (["10s"], 30), ("", 30)]
)
def test_poll_interval(written: Any, seconds: int) -> None:
    """A missing or invalid interval falls back to the default of 30 s."""
    assert poll_interval({"pollInterval": written}) == timedelta(seconds=seconds)
    assert poll_interval({}) == timedelta(seconds=30)
