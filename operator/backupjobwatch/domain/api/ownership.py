"""Find the GitOps tool or controller that owns an object and would recreate it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.jobs.payloads import mapping, mappings

if TYPE_CHECKING:
    from collections.abc import Mapping

MARKERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "kustomize.toolkit.fluxcd.io/name": "a Flux Kustomization",
        "helm.toolkit.fluxcd.io/name": "a Flux HelmRelease",
        "resourceset.fluxcd.controlplane.io/name": "a flux-operator ResourceSet",
        "argocd.argoproj.io/tracking-id": "an Argo CD Application",
        "argocd.argoproj.io/instance": "an Argo CD Application",
        "argocd.argoproj.io/hook": "an Argo CD Application",
        "meta.helm.sh/release-name": "a Helm release",
    }
)
"""Labels and annotations that identify an owner.

``app.kubernetes.io/instance`` is not one of them, because every tool sets it.
https://fluxcd.io/flux/components/kustomize/kustomizations/#garbage-collection,
https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
"""


def find_owner(metadata: Mapping[str, Any]) -> str | None:
    """Return the owner of an object and the label, annotation or reference that shows it. None without an owner."""
    for kind in ("labels", "annotations"):
        values = mapping(metadata.get(kind))
        for name, owner in MARKERS.items():
            if name in values:
                return f"{owner} ({kind.removesuffix('s')} {name})"
    for reference in mappings(metadata.get("ownerReferences")):
        if reference.get("controller") is True:
            return f"{str(reference.get('kind'))[:63]} {str(reference.get('name'))[:253]} (controller)"
    return None
