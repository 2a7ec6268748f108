"""Names that are part of the API. Changing a name breaks manifests of users."""

from typing import Final

GROUP: Final = "azurebackup.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "BackupJobWatch"
PLURAL: Final = "backupjobwatches"

CONTROLLER: Final = "backupjobwatch"
"""Field manager of the status, and the reporting component of Events."""

REQUESTED_AT: Final = "reconcile.fluxcd.io/requestedAt"
"""Annotation that requests a poll. Each new value is a new request. Flux Receivers set it, and users can set it.

https://fluxcd.io/flux/components/source/gitrepositories/#triggering-a-reconcile
"""

NOTIFY_LABEL: Final = f"{GROUP}/notify"
"""Label of Secrets with receivers. Without it, write access to watches would allow the use of any Secret."""

MAX_REQUESTED_AT: Final = 256
"""Maximum characters of that annotation. The CRD limits its echo in the status to the same length."""
