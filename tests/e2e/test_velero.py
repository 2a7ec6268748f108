"""If Velero is installed, `backup` and `backups` in kubectl refer to Velero's Backups only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.builders import JOB_ID
from tests.support.stand_ins import ANYTHING, crd
from tests.support.watches import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.controlplane import Kubectl

VELERO: Final[dict[str, Any]] = crd("velero.io/v1", "Backup", ANYTHING)
"""A stand-in for `backups.velero.io`. Like Velero's CRD, it has no short names and no categories."""


@pytest.fixture
def both(kubectl: Kubectl, namespace: str) -> Iterator[str]:
    """A namespace with one Velero Backup and one watch."""
    kubectl("create", "-f", "-", stdin=json.dumps(VELERO))
    kubectl.wait_established(f"crd/{VELERO['metadata']['name']}")
    backup = {"apiVersion": "velero.io/v1", "kind": "Backup", "metadata": {"name": "nightly"}, "spec": {}}
    watch = {
        "apiVersion": "azurebackup.dev/v1alpha1",
        "kind": "BackupJobWatch",
        "metadata": {"name": "watch"},
        "spec": {"jobResourceId": JOB_ID, "suspend": True},
    }
    apply = ("apply", "-n", namespace, "-f", "-")
    until(lambda: kubectl(*apply, stdin=json.dumps(backup), ok=False).returncode == 0, "the stand-in is served")
    kubectl(*apply, stdin=json.dumps(watch))
    yield namespace
    kubectl("delete", "crd", VELERO["metadata"]["name"])


def names(kubectl: Kubectl, namespace: str, word: str) -> list[str]:
    return kubectl("get", word, "-n", namespace, "-o", "name").stdout.split()


@pytest.mark.parametrize("word", ["backup", "backups", "backups.velero.io"])
def test_backups_are_veleros(kubectl: Kubectl, both: str, word: str) -> None:
    """`kubectl get backup` and `kubectl get backups` list Velero's Backups, and no watches."""
    assert names(kubectl, both, word) == ["backup.velero.io/nightly"]


@pytest.mark.parametrize("word", ["bjw", "backupjobwatch", "backupjobwatches"])
def test_watches_are_ours(kubectl: Kubectl, both: str, word: str) -> None:
    """Each of our names lists watches only."""
    assert names(kubectl, both, word) == ["backupjobwatch.azurebackup.dev/watch"]


def test_delete_all_backups_keeps_watches(kubectl: Kubectl, both: str) -> None:
    """`kubectl delete backup --all` deletes Velero's Backups, and no watches."""
    assert kubectl("delete", "backup", "--all", "-n", both).stdout == 'backup.velero.io "nightly" deleted\n'
    assert names(kubectl, both, "bjw") == ["backupjobwatch.azurebackup.dev/watch"]
