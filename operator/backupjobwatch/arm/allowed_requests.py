"""The only requests that the operator sends to Azure Resource Manager. Pure.

A link to the next page of a list comes from Azure, and the names of an item too. Neither can lead to another request.
"""

from __future__ import annotations

import re
from typing import Final, Literal

Method = Literal["GET", "POST"]

_VAULT: Final = r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.RecoveryServices/vaults/[^/]+"
_BACKUP_VAULT: Final = (
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.DataProtection/backupVaults/[^/]+"
)
_SUBSCRIPTION: Final = r"/subscriptions/[^/]+"
_REGION: Final = rf"{_SUBSCRIPTION}/providers/Microsoft\.RecoveryServices/locations/[a-z0-9]+"
_DATA_PROTECTION_REGION: Final = r"providers/Microsoft\.DataProtection/locations/[a-z0-9]+"
_ITEM: Final = r"backupFabrics/Azure/protectionContainers/[^/]+/protectedItems/[^/]+"

ALLOWED_REQUESTS: Final[tuple[tuple[Method, str], ...]] = (
    ("GET", r"/subscriptions"),
    ("GET", rf"{_VAULT}/backupJobs(/[^/]+)?"),
    ("GET", rf"{_VAULT}/backupOperations/[^/]+"),
    ("GET", rf"{_VAULT}/backupProtectedItems"),
    ("GET", rf"{_BACKUP_VAULT}/backupJobs(/[^/]+)?"),
    ("GET", rf"{_BACKUP_VAULT}/operationStatus/[^/]+"),
    ("GET", rf"{_BACKUP_VAULT}/backupInstances"),
    ("GET", rf"{_BACKUP_VAULT}/backupPolicies/[^/]+"),
    ("GET", rf"{_REGION}/backupCrrOperationsStatus/[^/]+"),
    ("GET", rf"{_SUBSCRIPTION}/{_DATA_PROTECTION_REGION}/operationStatus/[^/]+"),
    ("POST", rf"{_REGION}/backupCrrJob"),
    ("POST", rf"{_SUBSCRIPTION}/resourceGroups/[^/]+/{_DATA_PROTECTION_REGION}/fetchCrossRegionRestoreJob"),
    ("POST", rf"{_VAULT}/{_ITEM}/backup"),
    ("POST", rf"{_BACKUP_VAULT}/backupInstances/[^/]+/backup"),
)
"""Method and path of each request. POST requests to regions only read, and the other two start backups."""
_PATTERNS: Final = tuple((method, re.compile(path, re.IGNORECASE | re.ASCII)) for method, path in ALLOWED_REQUESTS)
_SLASH: Final = r"/|\\|%2f|%5c"
"""What a server may read as a slash."""
_DOT_SEGMENT: Final = re.compile(rf"(^|{_SLASH})(\.|%2e){{1,2}}({_SLASH}|$)", re.IGNORECASE)


def is_allowed(method: str, path: str) -> bool:
    """Return whether the operator sends a request with *method* to the percent-encoded *path*."""
    if _DOT_SEGMENT.search(path):  # an HTTP library or a server would resolve it
        return False
    return any(method == allowed and pattern.fullmatch(path) for allowed, pattern in _PATTERNS)
