"""Has Flux reconcile and Argo CD refresh, as they themselves want to be asked: by an annotation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from backupjobwatch.constants import REQUESTED_AT
from backupjobwatch.core.notify_spec import FLUX_GROUPS
from backupjobwatch.errors import DeliveryFailed, Forbidden, ObjectGone, StoreError

if TYPE_CHECKING:
    from backupjobwatch.core.notify_spec import ArgocdTrigger, FluxTrigger
    from backupjobwatch.store import Store

ARGOCD_GROUP: Final = "argoproj.io"
REFRESH: Final = "argocd.argoproj.io/refresh"
"""https://argo-cd.readthedocs.io/en/stable/user-guide/annotations-and-labels/"""


class Triggers:
    """Annotates objects of a watch's own namespace."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def reconcile(self, namespace: str, trigger: FluxTrigger, token: str) -> None:
        """Ask for a reconciliation. *token* tells requests apart: what was asked already is not asked again."""
        plural = f"{trigger.kind.lower()}s".replace("repositorys", "repositories")
        place = (FLUX_GROUPS[trigger.kind], plural, trigger.name)
        await self._annotate(namespace, place, {REQUESTED_AT: token}, component="flux-triggers")

    async def refresh(self, namespace: str, trigger: ArgocdTrigger) -> None:
        """Ask for a refresh. Argo CD takes the annotation away, so that a second request is a second refresh."""
        place = (ARGOCD_GROUP, "applications", trigger.application)
        await self._annotate(namespace, place, {REFRESH: trigger.refresh}, component="argocd-triggers")

    async def _annotate(
        self, namespace: str, place: tuple[str, str, str], annotations: dict[str, str], *, component: str
    ) -> None:
        group, plural, name = place
        what = f"{plural}.{group} {name}"
        try:
            version = await self._store.preferred_version(group)
        except ObjectGone:
            raise DeliveryFailed(f"The cluster knows no {plural}.{group}: is it installed?") from None
        except StoreError:
            raise DeliveryFailed("The API server did not say what it knows.") from None
        try:
            await self._store.annotate(f"/apis/{group}/{version}", namespace, plural, name, annotations)
        except ObjectGone:
            raise DeliveryFailed(f"There is no {what} in this namespace.") from None
        except Forbidden:
            raise DeliveryFailed(
                f"The operator may not annotate {what}: allow it by a Role (manifests/components/{component})."
            ) from None
        except StoreError:
            raise DeliveryFailed(f"{what} could not be annotated: the API server refused or failed.") from None
