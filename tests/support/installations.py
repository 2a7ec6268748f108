"""Run the documented installation commands, and check the watches that must survive an uninstall."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any, Final

from tests.contract import markdown
from tests.support.builders import JOB_ID
from tests.support.helm import helm_path

if TYPE_CHECKING:
    from pathlib import Path

    from demo.controlplane import Kubectl

CRD: Final = "crd/backupjobwatches.azurebackup.dev"
SYSTEM: Final = "backupjobwatch-system"
INSTALLED: Final = "deploy,sa,role,rolebinding,pdb"
OF_THE_CLUSTER: Final = "clusterrole,clusterrolebinding"
WATCH: Final[dict[str, Any]] = {
    "apiVersion": "azurebackup.dev/v1alpha1",
    "kind": "BackupJobWatch",
    "metadata": {"name": "w", "namespace": "team-a"},
    "spec": {"jobResourceId": JOB_ID, "suspend": True},
}
KEPT: Final = ["backupjobwatch.azurebackup.dev/w"]


def run(kubectl: Kubectl, folder: Path, script: str) -> str:
    """Run documented commands in a user's folder."""
    environment = {
        **kubectl.environment,
        "PATH": f"{helm_path().parent}:{kubectl.path.parent}:{os.environ['PATH']}",
        "HOME": str(folder),
    }
    done = subprocess.run(
        ["/bin/sh", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    # kubectl deletes the namespace first. On a busy machine, its objects can vanish before kubectl deletes them.
    errors = [line for line in done.stderr.splitlines() if not line.startswith("Error from server (NotFound)")]
    assert done.returncode == 0 or not errors, done.stdout + done.stderr
    return done.stdout


def block(text: str, word: str) -> str:
    """Return the only shell block of a document that contains *word*."""
    (found,) = (each for each in markdown.blocks(text, "sh") if word in each)
    return found


def watch(kubectl: Kubectl) -> None:
    """Create a watch."""
    kubectl.wait_established(CRD)
    kubectl("apply", "-f", "-", stdin=json.dumps(WATCH))


def watches(kubectl: Kubectl) -> list[str]:
    """Return the names of the cluster's watches, or an empty list without a CRD."""
    listed = kubectl("get", "backupjobwatches", "--all-namespaces", "-o", "name", ok=False)
    if listed.returncode:
        assert "the server doesn't have a resource type" in listed.stderr or "could not find" in listed.stderr
    return listed.stdout.split()


def left(kubectl: Kubectl) -> list[str]:
    """Return the remaining objects of an installation, except the CRD."""
    found = kubectl("get", INSTALLED, "--all-namespaces", "-o", "name").stdout.split()
    labels = ("-l", "app.kubernetes.io/part-of=backupjobwatch")
    return found + kubectl("get", OF_THE_CLUSTER, *labels, "-o", "name").stdout.split()
