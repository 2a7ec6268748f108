"""Trigger reconciliations of Flux and refreshes of Argo CD by their documented annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from backupjobwatch.constants import REQUESTED_AT
from backupjobwatch.domain.api.notify_spec import FLUX_GROUPS
from backupjobwatch.errors import DeliveryFailed, Forbidden, KubeError, ObjectNotFound

if TYPE_CHECKING:
    from backupjobwatch.domain.api.notify_spec import ArgocdTrigger, FluxTrigger
    from backupjobwatch.kube.client import KubeClient

ARGOCD_GROUP: Final = "argoproj.io"
REFRESH: Final = "argocd.argoproj.io/refresh"
"""https://argo-cd.readthedocs.io/en/stable/user-guide/annotations-and-labels/"""


class Triggers:
    """Set annotations of objects in the namespace of a watch."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube

    async def reconcile(self, namespace: str, trigger: FluxTrigger, token: str) -> None:
        """Request a reconciliation. Flux reconciles once for each value of *token*."""
        plural = f"{trigger.kind.lower()}s".replace("repositorys", "repositories")
        place = (FLUX_GROUPS[trigger.kind], plural, trigger.name)
        await self._annotate(namespace, place, {REQUESTED_AT: token}, component="flux-triggers")

    async def refresh(self, namespace: str, trigger: ArgocdTrigger) -> None:
        """Request a refresh. Argo CD removes the annotation, so that a second request causes a second refresh."""
        place = (ARGOCD_GROUP, "applications", trigger.application)
        await self._annotate(namespace, place, {REFRESH: trigger.refresh}, component="argocd-triggers")

    async def _annotate(
        self, namespace: str, place: tuple[str, str, str], annotations: dict[str, str], *, component: str
    ) -> None:
        group, plural, name = place
        what = f"{plural}.{group}/{name}"
        try:
            version = await self._kube.find_version(group, plural)
        except KubeError:
            raise DeliveryFailed(f"API discovery of {group} failed.") from None
        if version is None:
            raise DeliveryFailed(f"The cluster does not serve {plural}.{group}. Install its CRD.")
        try:
            await self._kube.annotate(f"{group}/{version}", namespace, plural, name, annotations)
        except ObjectNotFound:
            raise DeliveryFailed(f"{what} does not exist in this namespace.") from None
        except Forbidden:
            raise DeliveryFailed(
                f"The operator is not allowed to patch {what}. Add the Role of manifests/components/{component}."
            ) from None
        except KubeError:
            raise DeliveryFailed(f"The API server failed to patch {what}.") from None
