"""The documented commands remove the operator and keep the watches, unless they delete the CRD."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from demo.controlplane import Kubectl, running_control_plane
from tests.contract import markdown
from tests.contract.kustomizations import MANIFESTS
from tests.contract.project import ROOT, kustomize, read
from tests.support.installations import CRD, KEPT, OF_THE_CLUSTER, SYSTEM, block, left, run, watch, watches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.controlplane import ControlPlane

UNINSTALL: Final = read("docs/uninstall.md")
UPGRADING: Final = read("docs/upgrading.md")
INSTALL: Final = read("docs/install.md")


@pytest.fixture(scope="module")
def kubectl(control_plane: ControlPlane) -> Iterator[Kubectl]:
    """kubectl, on a separate control plane because these tests delete the CRD."""
    del control_plane  # skips these tests if there is no embedded control plane
    with running_control_plane() as own:
        kubectl = Kubectl(own)
        kubectl("create", "namespace", "team-a")
        yield kubectl


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder, with the manifests for their own kustomization."""
    for name in ("crds", "manifests"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True)
    return tmp_path


@pytest.fixture(autouse=True)
def _clean(kubectl: Kubectl) -> Iterator[None]:
    """Delete everything that a test created."""
    yield
    for kind in (CRD, f"namespace/{SYSTEM}"):
        kubectl("delete", kind, "--ignore-not-found")
    kubectl("delete", OF_THE_CLUSTER, "-l", "app.kubernetes.io/part-of=backupjobwatch")


def write(folder: Path, resources: list[str], **more: Any) -> None:
    """Write the user's kustomization."""
    body = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources, **more}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(body), encoding="utf-8")


FOLDERS: Final = ("overlays/ha", "overlays/namespaced", "samples/sharded")
"""An overlay of each kind: its own namespace, the user's, several operators. A contract test covers all overlays."""


@pytest.mark.parametrize("path", FOLDERS)
def test_deleting_an_overlay_keeps_the_watches(kubectl: Kubectl, folder: Path, path: str) -> None:
    """The documented uninstall of an overlay keeps the watches, removes the rest, and allows a new install."""
    install = block(INSTALL, "-k crds")
    write(folder, [f"manifests/{path}"], **({"namespace": "team-a"} if path.endswith("/namespaced") else {}))
    run(kubectl, folder, install)
    watch(kubectl)
    assert left(kubectl)
    run(kubectl, folder, block(UNINSTALL, "kubectl delete -k ."))
    assert watches(kubectl) == KEPT
    assert left(kubectl) == []
    run(kubectl, folder, install)
    assert watches(kubectl) == KEPT
    run(kubectl, folder, "kubectl delete -k .")


def test_deleting_the_watches(kubectl: Kubectl, folder: Path) -> None:
    """The documented commands list the watches, and delete them with the CRD."""
    write(folder, ["manifests/overlays/default"])
    run(kubectl, folder, block(INSTALL, "-k crds"))
    watch(kubectl)
    run(kubectl, folder, block(UNINSTALL, "kubectl delete -k ."))
    shown = run(kubectl, folder, block(UNINSTALL, "kubectl delete customresourcedefinition"))
    assert "team-a" in shown.splitlines()[1]
    assert "deleted" in shown
    assert watches(kubectl) == []
    assert kubectl("get", CRD, ok=False).returncode == 1


def old_overlay(folder: Path) -> None:
    """Turn the `default` overlay into that of 0.1.0, which contained the CRD with the old names."""
    path = folder / "crds" / "backupjobwatches.azurebackup.dev.yaml"
    crd = yaml.safe_load(path.read_text("utf-8"))
    del crd["metadata"]["annotations"]
    crd["spec"]["names"]["categories"] = ["azure", "backup"]
    path.write_text(yaml.safe_dump(crd), "utf-8")
    write(folder / "manifests" / "overlays" / "default", ["../../../crds", "../../base"])


def test_old_overlay(kubectl: Kubectl, folder: Path) -> None:
    """Deleting an old overlay deletes the watches. The documented check shows this, and the patch prevents it."""
    old_overlay(folder)
    write(folder, ["manifests/overlays/default"])
    run(kubectl, folder, "kubectl apply -k .")
    watch(kubectl)
    check, _ = block(UNINSTALL, "kubectl delete -k .").splitlines()
    assert "kind: CustomResourceDefinition" in run(kubectl, folder, check)
    (patched,) = (each for each in markdown.blocks(UPGRADING, "yaml") if "$patch: delete" in each)
    (folder / "kustomization.yaml").write_text(patched, encoding="utf-8")
    run(kubectl, folder, block(UNINSTALL, "kubectl delete -k ."))
    assert (watches(kubectl), left(kubectl)) == (KEPT, [])
    write(folder, ["manifests/overlays/default"])
    run(kubectl, folder, "kubectl delete --ignore-not-found -k .")
    assert watches(kubectl) == []


def test_upgrade_from_an_old_overlay(kubectl: Kubectl, folder: Path) -> None:
    """The documented upgrade from an old overlay updates the CRD and keeps the watches."""
    old_overlay(folder)
    write(folder, ["manifests/overlays/default"])
    run(kubectl, folder, "kubectl apply -k .")
    watch(kubectl)
    shutil.rmtree(folder / "crds")
    shutil.rmtree(folder / "manifests")
    for name in ("crds", "manifests"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True)
    run(kubectl, folder, block(INSTALL, "-k crds"))
    crd = json.loads(kubectl("get", CRD, "-o", "json").stdout)
    assert "categories" not in crd["spec"]["names"]
    assert crd["metadata"]["annotations"]["kustomize.toolkit.fluxcd.io/prune"] == "disabled"
    assert watches(kubectl) == KEPT
    run(kubectl, folder, "kubectl delete -k .")
    assert watches(kubectl) == KEPT


@pytest.mark.parametrize("install", ["create", "apply --server-side --field-manager=kustomize-controller"])
def test_upgrade_of_a_crd_of_another_field_manager(kubectl: Kubectl, folder: Path, install: str) -> None:
    """The documented commands take over the CRD, remove its categories, and keep the watches."""
    path = folder / "crds" / "backupjobwatches.azurebackup.dev.yaml"
    new = path.read_text("utf-8")
    old = yaml.safe_load(new)
    del old["metadata"]["annotations"]
    old["spec"]["names"]["categories"] = ["azure", "backup"]
    old["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = "An older version."
    path.write_text(yaml.safe_dump(old), "utf-8")
    run(kubectl, folder, f"kubectl {install} -f crds/{path.name}")
    watch(kubectl)
    path.write_text(new, "utf-8")
    usual = ("apply", "--server-side", "-k", str(folder / "crds"))
    refused = kubectl(*usual, ok=False)
    assert (refused.returncode, "conflict" in refused.stderr) == (1, True)
    check = block(UPGRADING, "jsonpath='{.spec.names.categories}'")
    assert run(kubectl, folder, check) == '["azure","backup"]'
    take_over = block(UPGRADING, "--force-conflicts -k crds")
    run(kubectl, folder, take_over.splitlines()[0])
    assert run(kubectl, folder, check) == '["azure","backup"]'
    run(kubectl, folder, take_over.splitlines()[1])
    assert run(kubectl, folder, check) == ""
    schema = json.loads(kubectl("get", CRD, "-o", "json").stdout)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert schema["description"] != "An older version."
    kubectl(*usual)
    assert watches(kubectl) == KEPT


def test_kustomization_for_gitops_tools(folder: Path) -> None:
    """The documented kustomization for Flux and Argo CD contains the CRD."""
    (text,) = (each for each in markdown.blocks(UPGRADING, "yaml") if "resources: [crds," in each)
    (folder / "kustomization.yaml").write_text(text, encoding="utf-8")
    kinds = [each["kind"] for each in kustomize(folder)]
    assert sorted(kinds) == sorted(
        ["CustomResourceDefinition", *(each["kind"] for each in kustomize(MANIFESTS / "overlays" / "default"))]
    )


def test_entries_of_argocd_cm(kubectl: Kubectl, folder: Path) -> None:
    """The documented command removes our entries from `argocd-cm`, and no others."""
    kubectl("create", "namespace", "argocd")
    kubectl("create", "configmap", "argocd-cm", "-n", "argocd", "--from-literal=url=https://argocd.example.com")
    kubectl("apply", "--server-side", "-k", str(MANIFESTS / "argocd"))
    run(kubectl, folder, block(UNINSTALL, "argocd-cm"))
    data = json.loads(kubectl("get", "configmap", "argocd-cm", "-n", "argocd", "-o", "json").stdout)["data"]
    assert data == {"url": "https://argocd.example.com"}
