"""The CRD chart upgrades and keeps the CRD. Releases of the older chart, which contained it, can be upgraded."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Final

import pytest

from demo.controlplane import Kubectl, running_control_plane
from tests.contract.project import ROOT, read
from tests.support.helm import CHART, CRD_CHART
from tests.support.installations import CRD, KEPT, OF_THE_CLUSTER, SYSTEM, block, left, run, watch, watches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.controlplane import ControlPlane

UNINSTALL: Final = read("docs/uninstall.md")
UPGRADING: Final = read("docs/upgrading.md")
INSTALL: Final = read("docs/install.md")
OLD_CHART: Final = ROOT / "tests" / "data" / "chart-0.1.0"
VALUES: Final = "replicaCount: 2\noperatorIdentityNamespaces: [team-a]\n"


@pytest.fixture(scope="module")
def kubectl(control_plane: ControlPlane) -> Iterator[Kubectl]:
    """kubectl, on a separate control plane because these tests delete the CRD."""
    del control_plane  # skips these tests if there is no embedded control plane
    with running_control_plane() as own:
        kubectl = Kubectl(own)
        kubectl("create", "namespace", "team-a")
        yield kubectl


@pytest.fixture(autouse=True)
def _clean(kubectl: Kubectl) -> Iterator[None]:
    """Delete everything that a test created."""
    yield
    for kind in (CRD, f"namespace/{SYSTEM}"):
        kubectl("delete", kind, "--ignore-not-found")
    kubectl("delete", OF_THE_CLUSTER, "-l", "app.kubernetes.io/part-of=backupjobwatch")


def local(script: str) -> str:
    """Replace the charts of the registry with the charts of this checkout."""
    pattern = r"oci://ghcr\.io/OWNER/charts/backupjobwatch(-crds)?( --version \S+)"
    script, count = re.subn(pattern, lambda each: str(CRD_CHART if each[1] else CHART), script)
    assert count
    return script


def install(kubectl: Kubectl, folder: Path) -> None:
    """Install both charts with the documented commands."""
    commands = block(INSTALL, "charts/backupjobwatch-crds --version")
    run(kubectl, folder, local(commands))


def crd_of(kubectl: Kubectl) -> dict[str, dict[str, object]]:
    """Return the CRD of the cluster."""
    found: dict[str, dict[str, object]] = json.loads(kubectl("get", CRD, "-o", "json").stdout)
    return found


def test_uninstall_keeps_the_watches(kubectl: Kubectl, tmp_path: Path) -> None:
    """The documented commands remove both releases and keep the CRD and all watches. Then the install works again."""
    for _ in range(2):
        install(kubectl, tmp_path)
        watch(kubectl)
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "backupjobwatch"}}
        kubectl("create", "-n", SYSTEM, "-f", "-", stdin=json.dumps({**lease, "spec": {}}))
        run(kubectl, tmp_path, block(UNINSTALL, "helm uninstall backupjobwatch "))
        assert watches(kubectl) == KEPT
        assert left(kubectl) == []
    run(kubectl, tmp_path, block(UNINSTALL, "kubectl delete customresourcedefinition"))
    assert watches(kubectl) == []


def test_uninstall_without_keep(kubectl: Kubectl, tmp_path: Path) -> None:
    """Uninstalling the CRD chart deletes the CRD only after the documented commands with ``keep=false``."""
    install(kubectl, tmp_path)
    watch(kubectl)
    run(kubectl, tmp_path, f"helm uninstall backupjobwatch-crds --namespace {SYSTEM}")
    assert watches(kubectl) == KEPT
    install(kubectl, tmp_path)
    kubectl("annotate", CRD, "helm.sh/resource-policy-")
    run(kubectl, tmp_path, f"helm uninstall backupjobwatch-crds --namespace {SYSTEM}")
    assert watches(kubectl) == KEPT  # Helm reads the annotation in the release, not on the object
    install(kubectl, tmp_path)
    run(kubectl, tmp_path, local(block(UNINSTALL, "keep=false")))
    assert watches(kubectl) == []
    assert kubectl("get", CRD, ok=False).returncode == 1


def test_crd_is_upgraded(kubectl: Kubectl, tmp_path: Path) -> None:
    """An upgrade of the CRD chart restores a changed CRD and keeps the watches."""
    install(kubectl, tmp_path)
    watch(kubectl)
    kubectl("patch", CRD, "--type=json", "-p", '[{"op": "remove", "path": "/spec/names/shortNames"}]')
    run(kubectl, tmp_path, f"helm upgrade backupjobwatch-crds {CRD_CHART} --namespace {SYSTEM} --force-conflicts")
    assert crd_of(kubectl)["spec"]["names"]["shortNames"] == ["bjw"]  # type: ignore[index]
    assert watches(kubectl) == KEPT


def test_crd_of_kubectl(kubectl: Kubectl, tmp_path: Path) -> None:
    """Helm refuses a CRD applied by kubectl, and takes it over with the documented option."""
    kubectl("apply", "--server-side", "-k", str(ROOT / "crds"))
    watch(kubectl)
    release = f"backupjobwatch-crds {CRD_CHART} --namespace {SYSTEM} --create-namespace"
    refused = run(kubectl, tmp_path, f"helm upgrade --install {release} 2>&1 || true")
    assert "cannot be imported into the current release" in refused
    run(kubectl, tmp_path, f"helm upgrade --install {release} --take-ownership")
    assert watches(kubectl) == KEPT


def old_release(kubectl: Kubectl, folder: Path, name: str = "backupjobwatch") -> None:
    """Install the older chart, which contained the CRD."""
    chart = folder / "old"
    shutil.copytree(OLD_CHART, chart)
    crd = (ROOT / "crds" / "backupjobwatches.azurebackup.dev.yaml").read_text("utf-8")
    (chart / "crd.yaml").write_text(
        crd.replace("  annotations:\n", "  annotations:\n    helm.sh/resource-policy: keep\n", 1), "utf-8"
    )
    run(kubectl, folder, f"helm install {name} {chart} --namespace {SYSTEM} --create-namespace")
    watch(kubectl)
    (folder / "values.yaml").write_text(VALUES, encoding="utf-8")


@pytest.mark.parametrize("take_over", ["--take-ownership", "kubectl annotate"])
def test_upgrade_from_the_older_chart(kubectl: Kubectl, tmp_path: Path, take_over: str) -> None:
    """The documented commands upgrade a release of the older chart, and keep the CRD and all watches."""
    old_release(kubectl, tmp_path)
    commands = local(block(UPGRADING, "--take-ownership"))
    if take_over not in commands:
        run(kubectl, tmp_path, block(UPGRADING, take_over))
        commands = commands.replace("--take-ownership", "")
    before = crd_of(kubectl)["metadata"]["uid"]
    run(kubectl, tmp_path, commands)
    assert watches(kubectl) == KEPT
    metadata = crd_of(kubectl)["metadata"]
    assert metadata["uid"] == before
    assert metadata["annotations"]["meta.helm.sh/release-name"] == "backupjobwatch-crds"  # type: ignore[index]
    deployment = json.loads(kubectl("get", "deploy", "backupjobwatch", "-n", SYSTEM, "-o", "json").stdout)
    assert deployment["spec"]["replicas"] == 2
    assert deployment["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"] == "backupjobwatch"
    run(kubectl, tmp_path, block(UNINSTALL, "helm uninstall backupjobwatch "))
    assert (watches(kubectl), left(kubectl)) == (KEPT, [])


def test_upgrade_says_what_to_do(kubectl: Kubectl, tmp_path: Path) -> None:
    """Without the documented steps, an upgrade changes nothing and prints the missing command."""
    old_release(kubectl, tmp_path)
    failed = run(kubectl, tmp_path, f"helm upgrade backupjobwatch {CHART} --namespace {SYSTEM} 2>&1 || true")
    assert f"kubectl delete deployment backupjobwatch --namespace {SYSTEM}" in failed
    old_values = run(
        kubectl, tmp_path, f"helm upgrade backupjobwatch {CHART} --namespace {SYSTEM} --set replicas=2 2>&1 || true"
    )
    assert "'replicas' not allowed" in old_values
    assert watches(kubectl) == KEPT
    assert crd_of(kubectl)["metadata"]["annotations"]["meta.helm.sh/release-name"] == "backupjobwatch"  # type: ignore[index]


def test_upgrade_of_a_release_with_another_name(kubectl: Kubectl, tmp_path: Path) -> None:
    """An upgrade renames the objects of a release with another name, unless fullnameOverride is set."""
    old_release(kubectl, tmp_path, "bjw")
    take_over = f"helm upgrade --install backupjobwatch-crds {CRD_CHART} --namespace {SYSTEM} --take-ownership"
    run(kubectl, tmp_path, take_over)
    assert "fullnameOverride: backupjobwatch" in UPGRADING
    run(kubectl, tmp_path, f"kubectl delete deployment backupjobwatch --namespace {SYSTEM}")
    keep = f"helm upgrade bjw {CHART} --namespace {SYSTEM} --set fullnameOverride=backupjobwatch"
    run(kubectl, tmp_path, keep)
    assert "serviceaccount/backupjobwatch" in left(kubectl)
    run(kubectl, tmp_path, f"helm upgrade bjw {CHART} --namespace {SYSTEM} --reset-values")
    assert "deployment.apps/bjw-backupjobwatch" in left(kubectl)
    assert "serviceaccount/backupjobwatch" not in left(kubectl)
    assert watches(kubectl) == KEPT
