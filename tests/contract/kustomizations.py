"""Overlays, components, and kustomizations as users would write them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import yaml

from tests.contract.project import ROOT, Manifest, kustomize, pick

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MANIFESTS: Final = ROOT / "manifests"
OVERLAYS: Final = sorted(path.parent.name for path in MANIFESTS.glob("overlays/*/kustomization.yaml"))
IDENTITIES: Final = ("workload-identity", "service-principal")
TENANTS: Final = sorted(path.parent for path in (MANIFESTS / "components").rglob("role.yaml"))
"""Components that grant the operator permissions in a tenant's namespace."""
COMPONENTS: Final = sorted(
    path.parent.name
    for path in MANIFESTS.glob("components/*/kustomization.yaml")
    if path.parent.name not in (*IDENTITIES, "argocd") and path.parent not in TENANTS
)
"""Components for any overlay. ``argocd`` is for Argo CD itself, and ``service-monitor`` needs ``monitoring``."""
KUBERNETES: Final = ("1.31", "1.34", "1.37")
"""Kubernetes versions to validate against: the oldest supported one and the newest in the validator."""


def build(folder: Path, overlay: str, *components: str, **more: Any) -> list[Manifest]:
    """Build a user's kustomization from an overlay and components."""
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(MANIFESTS / "overlays" / overlay, folder)],
        "components": [os.path.relpath(MANIFESTS / "components" / name, folder) for name in components],
        **more,
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
    return kustomize(folder)


def build_variants(folder: Path, overlay: str, variants: Mapping[str, tuple[str, ...]]) -> dict[str, list[Manifest]]:
    """
    Build an overlay with several sets of components in one process, because each process parses the schemas again.

    A namespace and a prefix, both with the name of the variant, keep the objects apart.
    """
    for name, components in variants.items():
        (folder / name).mkdir()
        kustomization = {
            "namespace": name,
            "namePrefix": f"{name}--",
            "resources": [os.path.relpath(MANIFESTS / "overlays" / overlay, folder / name)],
            "components": [os.path.relpath(MANIFESTS / "components" / each, folder / name) for each in components],
        }
        (folder / name / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({"resources": list(variants)}), encoding="utf-8")
    built: dict[str, list[Manifest]] = {name: [] for name in variants}
    for each in kustomize(folder):
        name = each["metadata"]["name"]
        built[name if each["kind"] == "Namespace" else name.partition("--")[0]].append(each)
    return built


def pod_of(objects: list[Manifest]) -> dict[str, Any]:
    pod: dict[str, Any] = pick(objects, "Deployment")["spec"]["template"]["spec"]
    return pod


def env_of(objects: list[Manifest]) -> dict[str, Any]:
    """Return the operator's environment variables: the value, or its source."""
    (container,) = pod_of(objects)["containers"]
    env = {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}
    assert len(env) == len(container["env"])
    return env
