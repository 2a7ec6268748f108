"""The chart, installed, upgraded and removed by helm on the API server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.commands import ROOT
from tests.support.helm import CHART, run_helm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from demo.controlplane import Cluster, Kubectl

    Helm = Callable[..., str]

CRD = "crd/backupjobwatches.azurebackup.dev"


@pytest.fixture(autouse=True)
def _crd_applied_by_server(kubectl: Kubectl) -> None:
    """Have the CRD as ``kubectl apply --server-side`` leaves it, whatever other tests did to it: helm sees managers."""
    kubectl("patch", CRD, "--type=json", "-p", '[{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]')
    kubectl("apply", "--server-side", "-f", str(ROOT / "crds" / "backupjobwatches.azurebackup.dev.yaml"))


@pytest.fixture
def helm(cluster: Cluster, tmp_path: Path, namespace: str) -> Helm:
    """Run helm in the test's namespace; it has to end well unless told otherwise."""

    def helm(*args: str, ok: bool = True) -> str:
        done = run_helm(tmp_path, *args, "--namespace", namespace, environment=cluster.environment)
        assert (done.returncode == 0) is ok, done.stdout + done.stderr
        return done.stdout + done.stderr

    return helm


def test_life_of_a_release(kubectl: Kubectl, helm: Helm, namespace: str) -> None:
    """
    A release takes over a CRD that was there when told to, upgrades it, and leaves it, with its watches, when it goes.
    """
    release = ("backupjobwatch", str(CHART))
    assert "cannot be imported into the current release" in helm("install", *release, ok=False)
    helm("install", *release, "--take-ownership")
    kubectl("patch", CRD, "--type=json", "-p", '[{"op": "remove", "path": "/spec/names/shortNames"}]')
    helm("upgrade", *release, "--set", "image.digest=sha256:" + "a" * 64, "--force-conflicts")
    assert json.loads(kubectl("get", CRD, "-o", "json").stdout)["spec"]["names"]["shortNames"] == ["bjw"]
    image = kubectl("get", "deploy", "backupjobwatch", "-n", namespace, "-o", "jsonpath={..image}").stdout
    assert image == "backupjobwatch@sha256:" + "a" * 64
    sample = str(CHART.parent / "samples" / "backupjobwatch.yaml")
    kubectl("apply", "-n", namespace, "-f", sample)
    helm("uninstall", "backupjobwatch")
    kubectl("get", "-n", namespace, "-f", sample)
    left = kubectl("get", "deploy,sa,role,clusterrole,clusterrolebinding", "-n", namespace, "-o", "name").stdout
    assert "backupjobwatch" not in left
