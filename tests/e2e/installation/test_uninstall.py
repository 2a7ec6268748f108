"""The documented commands remove the operator and keep the watches, unless they delete the CRD."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from tests.contract import markdown
from tests.contract.kustomizations import MANIFESTS
from tests.contract.project import ROOT, kustomize, read
from tests.support.installations import KEPT, Site, block

if TYPE_CHECKING:
    from pathlib import Path

UNINSTALL: Final = read("docs/uninstall.md")
UPGRADING: Final = read("docs/upgrading.md")
INSTALL: Final = read("docs/install.md")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder, with the manifests for their own kustomization."""
    for name in ("crds", "manifests"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True)
    return tmp_path


def write(folder: Path, resources: list[str], **more: Any) -> None:
    """Write the user's kustomization."""
    body = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources, **more}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(body), encoding="utf-8")


FOLDERS: Final = ("overlays/ha", "overlays/namespaced", "samples/sharded")
"""An overlay of each kind: its own namespace, the user's, several operators. A contract test covers all overlays."""


@pytest.mark.parametrize("path", FOLDERS)
def test_deleting_an_overlay_keeps_the_watches(site: Site, folder: Path, path: str) -> None:
    """The documented uninstall of an overlay keeps the watches, removes the rest, and allows a new install."""
    install = block(INSTALL, "-k crds")
    write(folder, [f"manifests/{path}"], **({"namespace": "team-a"} if path.endswith("/namespaced") else {}))
    site.run(folder, install)
    site.create_watch()
    assert site.left()
    site.run(folder, block(UNINSTALL, "kubectl delete -k ."))
    assert site.watches() == KEPT
    assert site.left() == []
    site.run(folder, install)
    assert site.watches() == KEPT
    site.run(folder, "kubectl delete -k .")


def test_deleting_the_watches(site: Site, folder: Path) -> None:
    """The documented commands list the watches, and delete them with the CRD."""
    write(folder, ["manifests/overlays/default"])
    site.run(folder, block(INSTALL, "-k crds"))
    site.create_watch()
    site.run(folder, block(UNINSTALL, "kubectl delete -k ."))
    shown = site.run(folder, block(UNINSTALL, "kubectl delete customresourcedefinition"))
    assert "team-a" in shown.splitlines()[1]
    assert "deleted" in shown
    assert site.watches() == []
    assert not site.has_crd()


def old_overlay(folder: Path) -> None:
    """Turn the `default` overlay into that of 0.1.0, which contained the CRD with the old names."""
    path = folder / "crds" / "backupjobwatches.azurebackup.dev.yaml"
    crd = yaml.safe_load(path.read_text("utf-8"))
    del crd["metadata"]["annotations"]
    crd["spec"]["names"]["categories"] = ["azure", "backup"]
    path.write_text(yaml.safe_dump(crd), "utf-8")
    write(folder / "manifests" / "overlays" / "default", ["../../../crds", "../../base"])


def test_old_overlay(site: Site, folder: Path) -> None:
    """Deleting an old overlay deletes the watches. The documented check shows this, and the patch prevents it."""
    old_overlay(folder)
    write(folder, ["manifests/overlays/default"])
    site.run(folder, "kubectl apply -k .")
    site.create_watch()
    check, _ = block(UNINSTALL, "kubectl delete -k .").splitlines()
    assert "kind: CustomResourceDefinition" in site.run(folder, check)
    (patched,) = (each for each in markdown.blocks(UPGRADING, "yaml") if "$patch: delete" in each)
    (folder / "kustomization.yaml").write_text(patched, encoding="utf-8")
    site.run(folder, block(UNINSTALL, "kubectl delete -k ."))
    assert (site.watches(), site.left()) == (KEPT, [])
    write(folder, ["manifests/overlays/default"])
    site.run(folder, "kubectl delete --ignore-not-found -k .")
    assert site.watches() == []


def test_upgrade_from_an_old_overlay(site: Site, folder: Path) -> None:
    """The documented upgrade from an old overlay updates the CRD and keeps the watches."""
    old_overlay(folder)
    write(folder, ["manifests/overlays/default"])
    site.run(folder, "kubectl apply -k .")
    site.create_watch()
    shutil.rmtree(folder / "crds")
    shutil.rmtree(folder / "manifests")
    for name in ("crds", "manifests"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True)
    site.run(folder, block(INSTALL, "-k crds"))
    crd = site.crd()
    assert "categories" not in crd["spec"]["names"]
    assert crd["metadata"]["annotations"]["kustomize.toolkit.fluxcd.io/prune"] == "disabled"
    assert site.watches() == KEPT
    site.run(folder, "kubectl delete -k .")
    assert site.watches() == KEPT


@pytest.mark.parametrize("install", ["create", "apply --server-side --field-manager=kustomize-controller"])
def test_upgrade_of_a_crd_of_another_field_manager(site: Site, folder: Path, install: str) -> None:
    """The documented commands take over the CRD, remove its categories, and keep the watches."""
    path = folder / "crds" / "backupjobwatches.azurebackup.dev.yaml"
    new = path.read_text("utf-8")
    old = yaml.safe_load(new)
    del old["metadata"]["annotations"]
    old["spec"]["names"]["categories"] = ["azure", "backup"]
    old["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = "An older version."
    path.write_text(yaml.safe_dump(old), "utf-8")
    site.run(folder, f"kubectl {install} -f crds/{path.name}")
    site.create_watch()
    path.write_text(new, "utf-8")
    usual = ("apply", "--server-side", "-k", str(folder / "crds"))
    refused = site.kubectl(*usual, ok=False)
    assert (refused.returncode, "conflict" in refused.stderr) == (1, True)
    check = block(UPGRADING, "jsonpath='{.spec.names.categories}'")
    assert site.run(folder, check) == '["azure","backup"]'
    take_over = block(UPGRADING, "--force-conflicts -k crds")
    site.run(folder, take_over.splitlines()[0])
    assert site.run(folder, check) == '["azure","backup"]'
    site.run(folder, take_over.splitlines()[1])
    assert site.run(folder, check) == ""
    schema = site.crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert schema["description"] != "An older version."
    site.kubectl(*usual)
    assert site.watches() == KEPT


def test_kustomization_for_gitops_tools(folder: Path) -> None:
    """The documented kustomization for Flux and Argo CD contains the CRD."""
    (text,) = (each for each in markdown.blocks(UPGRADING, "yaml") if "resources: [crds," in each)
    (folder / "kustomization.yaml").write_text(text, encoding="utf-8")
    kinds = [each["kind"] for each in kustomize(folder)]
    assert sorted(kinds) == sorted(
        ["CustomResourceDefinition", *(each["kind"] for each in kustomize(MANIFESTS / "overlays" / "default"))]
    )


def test_entries_of_argocd_cm(site: Site, folder: Path) -> None:
    """The documented command removes our entries from `argocd-cm`, and no others."""
    site.create("/api/v1/namespaces", {"metadata": {"name": "argocd"}})
    data = {"url": "https://argocd.example.com"}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"}, "data": data}
    site.create("/api/v1/namespaces/argocd/configmaps", config)
    site.kubectl("apply", "--server-side", "-k", str(MANIFESTS / "argocd"))
    site.run(folder, block(UNINSTALL, "argocd-cm"))
    assert site.get("/api/v1/namespaces/argocd/configmaps/argocd-cm")["data"] == data
