"""Names that the cluster and its users see. They are part of the API: changing one breaks somebody's manifest."""

from typing import Final

GROUP: Final = "azurebackup.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "BackupJobWatch"
PLURAL: Final = "backupjobwatches"

CONTROLLER: Final = "backupjobwatch"
"""Field manager of the status, and the component that reports events."""

REQUESTED_AT: Final = "reconcile.fluxcd.io/requestedAt"
"""Annotation that asks for a poll at once; a new value is a new request. Flux's Receivers set it, people may.

https://fluxcd.io/flux/components/source/gitrepositories/#triggering-a-reconcile
"""

NOTIFY_LABEL: Final = f"{GROUP}/notify"
"""Label of Secrets with receivers: whoever may write a watch must not make the operator read any Secret."""

MAX_REQUESTED_AT: Final = 256
"""Characters of that annotation that are told apart and echoed: the room that the CRD gives the echo."""
