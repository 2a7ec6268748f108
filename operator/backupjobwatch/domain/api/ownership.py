"""Who would make an object anew if it were deleted: GitOps tools and controllers leave their marks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

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
"""Labels and annotations, with whom they name.

Flux and Argo CD apply again what they miss; ``app.kubernetes.io/instance`` is everybody's, and so tells nothing.
https://fluxcd.io/flux/components/kustomize/kustomizations/#garbage-collection,
https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
"""


def find_owner(metadata: Mapping[str, Any]) -> str | None:
    """Say who owns an object by its *metadata*, and by which mark that is known; None where nobody does."""
    for kind in ("labels", "annotations"):
        marks = metadata.get(kind)
        if isinstance(marks, Mapping):
            for name, owner in MARKERS.items():
                if name in marks:
                    return f"{owner} ({kind.removesuffix('s')} {name})"
    references = metadata.get("ownerReferences")
    for reference in references if isinstance(references, list) else ():
        if isinstance(reference, Mapping) and reference.get("controller") is True:
            return f"{str(reference.get('kind'))[:63]} {str(reference.get('name'))[:253]} (controller)"
    return None
