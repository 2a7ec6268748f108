"""The CRD chart upgrades and keeps the CRD. Releases of the older chart, which contained it, can be upgraded."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Final

import pytest

from tests.contract.project import ROOT, read
from tests.support.helm import CHART, CRD_CHART
from tests.support.installations import CRD, KEPT, SYSTEM, Site, block
from tests.support.watches import until

if TYPE_CHECKING:
    from pathlib import Path

UNINSTALL: Final = read("docs/uninstall.md")
UPGRADING: Final = read("docs/upgrading.md")
INSTALL: Final = read("docs/install.md")
OLD_CHART: Final = ROOT / "tests" / "data" / "chart-0.1.0"
VALUES: Final = "replicaCount: 2\noperatorIdentityNamespaces: [team-a]\n"


def local(script: str) -> str:
    """Replace the charts of the registry with the charts of this checkout."""
    pattern = r"oci://ghcr\.io/OWNER/charts/backupjobwatch(-crds)?( --version \S+)"
    script, count = re.subn(pattern, lambda each: str(CRD_CHART if each[1] else CHART), script)
    assert count
    return script


def install(site: Site, folder: Path) -> None:
    """Install both charts with the documented commands."""
    commands = block(INSTALL, "charts/backupjobwatch-crds --version")
    site.run(folder, local(commands))


def test_uninstall_keeps_the_watches(site: Site, tmp_path: Path) -> None:
    """The documented commands remove both releases and keep the CRD and all watches. Then the install works again."""
    for _ in range(2):
        install(site, tmp_path)
        site.create_watch()
        lease = {"metadata": {"name": "backupjobwatch"}, "spec": {}}
        site.create(f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases", lease)
        site.run(tmp_path, block(UNINSTALL, "helm uninstall backupjobwatch "))
        assert site.watches() == KEPT
        assert site.left() == []
    site.run(tmp_path, block(UNINSTALL, "kubectl delete customresourcedefinition"))
    assert site.watches() == []


def test_uninstall_without_keep(site: Site, tmp_path: Path) -> None:
    """Uninstalling the CRD chart deletes the CRD only after the documented commands with ``keep=false``."""
    install(site, tmp_path)
    site.create_watch()
    site.run(tmp_path, f"helm uninstall backupjobwatch-crds --namespace {SYSTEM}")
    assert site.watches() == KEPT
    install(site, tmp_path)
    site.kubectl("annotate", CRD, "helm.sh/resource-policy-")
    site.run(tmp_path, f"helm uninstall backupjobwatch-crds --namespace {SYSTEM}")
    assert site.watches() == KEPT  # Helm reads the annotation in the release, not on the object
    install(site, tmp_path)
    site.run(tmp_path, local(block(UNINSTALL, "keep=false")))
    until(lambda: not site.has_crd(), "the CRD is deleted")  # Helm does not wait for this


def test_crd_is_upgraded(site: Site, tmp_path: Path) -> None:
    """An upgrade of the CRD chart restores a changed CRD and keeps the watches."""
    install(site, tmp_path)
    site.create_watch()
    site.kubectl("patch", CRD, "--type=json", "-p", '[{"op": "remove", "path": "/spec/names/shortNames"}]')
    site.run(tmp_path, f"helm upgrade backupjobwatch-crds {CRD_CHART} --namespace {SYSTEM} --force-conflicts")
    assert site.crd()["spec"]["names"]["shortNames"] == ["bjw"]
    assert site.watches() == KEPT


def test_crd_of_kubectl(site: Site, tmp_path: Path) -> None:
    """Helm refuses a CRD applied by kubectl, and takes it over with the documented option."""
    site.kubectl("apply", "--server-side", "-k", str(ROOT / "crds"))
    site.create_watch()
    release = f"backupjobwatch-crds {CRD_CHART} --namespace {SYSTEM} --create-namespace"
    refused = site.run(tmp_path, f"helm upgrade --install {release} 2>&1 || true")
    assert "cannot be imported into the current release" in refused
    site.run(tmp_path, f"helm upgrade --install {release} --take-ownership")
    assert site.watches() == KEPT


def old_release(site: Site, folder: Path, name: str = "backupjobwatch") -> None:
    """Install the older chart, which contained the CRD."""
    chart = folder / "old"
    shutil.copytree(OLD_CHART, chart)
    crd = (ROOT / "crds" / "backupjobwatches.azurebackup.dev.yaml").read_text("utf-8")
    (chart / "crd.yaml").write_text(
        crd.replace("  annotations:\n", "  annotations:\n    helm.sh/resource-policy: keep\n", 1), "utf-8"
    )
    site.run(folder, f"helm install {name} {chart} --namespace {SYSTEM} --create-namespace")
    site.create_watch()
    (folder / "values.yaml").write_text(VALUES, encoding="utf-8")


@pytest.mark.parametrize("take_over", ["--take-ownership", "kubectl annotate"])
def test_upgrade_from_the_older_chart(site: Site, tmp_path: Path, take_over: str) -> None:
    """The documented commands upgrade a release of the older chart, and keep the CRD and all watches."""
    old_release(site, tmp_path)
    commands = local(block(UPGRADING, "--take-ownership"))
    if take_over not in commands:
        site.run(tmp_path, block(UPGRADING, take_over))
        commands = commands.replace("--take-ownership", "")
    before = site.crd()["metadata"]["uid"]
    site.run(tmp_path, commands)
    assert site.watches() == KEPT
    metadata = site.crd()["metadata"]
    assert metadata["uid"] == before
    assert metadata["annotations"]["meta.helm.sh/release-name"] == "backupjobwatch-crds"
    deployment = site.get(f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/backupjobwatch")
    assert deployment["spec"]["replicas"] == 2
    assert deployment["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"] == "backupjobwatch"
    site.run(tmp_path, block(UNINSTALL, "helm uninstall backupjobwatch "))
    assert (site.watches(), site.left()) == (KEPT, [])


def test_upgrade_prints_the_missing_command(site: Site, tmp_path: Path) -> None:
    """Without the documented steps, an upgrade changes nothing and prints the missing command."""
    old_release(site, tmp_path)
    failed = site.run(tmp_path, f"helm upgrade backupjobwatch {CHART} --namespace {SYSTEM} 2>&1 || true")
    assert f"kubectl delete deployment backupjobwatch --namespace {SYSTEM}" in failed
    old_values = site.run(
        tmp_path, f"helm upgrade backupjobwatch {CHART} --namespace {SYSTEM} --set replicas=2 2>&1 || true"
    )
    assert "'replicas' not allowed" in old_values
    assert site.watches() == KEPT
    assert site.crd()["metadata"]["annotations"]["meta.helm.sh/release-name"] == "backupjobwatch"


def test_upgrade_of_a_release_with_another_name(site: Site, tmp_path: Path) -> None:
    """An upgrade renames the objects of a release with another name, unless fullnameOverride is set."""
    old_release(site, tmp_path, "bjw")
    take_over = f"helm upgrade --install backupjobwatch-crds {CRD_CHART} --namespace {SYSTEM} --take-ownership"
    site.run(tmp_path, take_over)
    assert "fullnameOverride: backupjobwatch" in UPGRADING
    site.run(tmp_path, f"kubectl delete deployment backupjobwatch --namespace {SYSTEM}")
    keep = f"helm upgrade bjw {CHART} --namespace {SYSTEM} --set fullnameOverride=backupjobwatch"
    site.run(tmp_path, keep)
    assert "serviceaccounts/backupjobwatch" in site.left()
    site.run(tmp_path, f"helm upgrade bjw {CHART} --namespace {SYSTEM} --reset-values")
    assert "deployments/bjw-backupjobwatch" in site.left()
    assert "serviceaccounts/backupjobwatch" not in site.left()
    assert site.watches() == KEPT
