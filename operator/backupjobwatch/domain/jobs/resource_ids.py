"""Azure Resource Manager IDs of vaults, jobs and operations. They compare without letter case and keep their spelling."""

from __future__ import annotations

import re
import string
import unicodedata
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from urllib.parse import quote

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_VAULT_NAME = re.compile(r"[a-z][-a-z0-9]{1,49}", re.IGNORECASE | re.ASCII)
_JOB_ID = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
    r"/providers/(?P<kind>Microsoft\.RecoveryServices/vaults|Microsoft\.DataProtection/backupVaults)/(?P<vault>[^/]+)"
    r"/backupJobs/(?P<job>[^/]+)",
    re.IGNORECASE | re.ASCII,
)
_OPERATION_ID = re.compile(r"[-A-Za-z0-9+_=]{1,256}", re.ASCII)
_REGION = re.compile(r"[a-z][a-z0-9]{1,49}", re.ASCII)
_GROUP_LETTERS = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nd"})
_MAX_GROUP = 90
_LOWERCASE = {ord(letter): ord(letter.lower()) for letter in string.ascii_uppercase}

JOB_ID_FORM = (
    "/subscriptions/{UUID}/resourceGroups/{name}/providers/Microsoft.RecoveryServices/vaults/{name}/backupJobs/{UUID}"
    " (or, for a Backup vault, …/providers/Microsoft.DataProtection/backupVaults/{name}/backupJobs/{UUID})"
)


class VaultKind(Enum):
    """The two kinds of vault of Azure Backup, with the values of ``spec.vault.kind``. Each has its own API."""

    RECOVERY_SERVICES = "RecoveryServices"
    BACKUP_VAULT = "BackupVault"

    @property
    def provider(self) -> str:
        """The provider and type in a resource ID."""
        return _PROVIDERS[self]


_PROVIDERS = {
    VaultKind.RECOVERY_SERVICES: "Microsoft.RecoveryServices/vaults",
    VaultKind.BACKUP_VAULT: "Microsoft.DataProtection/backupVaults",
}
_KINDS = {provider.lower(): kind for kind, provider in _PROVIDERS.items()}


def fold_case(text: str) -> str:
    """Return *text* with its ASCII letters in lowercase, for comparisons.

    ``casefold`` would make names equal that Azure distinguishes (``Maße`` and ``Masse``). Two jobs must never share a
    response, while a second request for the same job does no harm.
    """
    folded = text.translate(_LOWERCASE)
    return text if folded == text else folded  # one object instead of two equal ones: thousands of IDs are kept


def is_guid(text: str) -> bool:
    """Return whether *text* is a GUID in its usual form, in upper or lower case."""
    return _GUID.fullmatch(text) is not None


def is_vault_name(text: str) -> bool:
    """Return whether Azure accepts *text* as the name of a vault."""
    return _VAULT_NAME.fullmatch(text) is not None


def is_resource_group(text: str) -> bool:
    r"""Return whether Azure accepts *text* as the name of a resource group.

    Letters and digits of any script, ``- _ ( )`` and dots are valid, but no dot at the end. So the name cannot change
    the meaning of a URL (``/ ? # % \\``, dot segments).
    """
    return (
        0 < len(text) <= _MAX_GROUP
        and not text.endswith(".")
        and all(character in "-_.()" or unicodedata.category(character) in _GROUP_LETTERS for character in text)
    )


def is_region(text: str) -> bool:
    """Return whether *text* can be the name of a region, such as ``westus``. Display names such as West US are not."""
    return _REGION.fullmatch(text) is not None


def is_operation_id(text: str) -> bool:
    """Return whether *text* can be the ID of an operation: a GUID, or base64 in a Backup vault or a secondary region."""
    return _OPERATION_ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultId:
    """A vault of either kind. Vaults that differ only in letter case are equal.

    With a secondary region, it stands for the vault's cross-region restores to that region.
    """

    subscription_id: str = field(compare=False)
    resource_group: str = field(compare=False)
    name: str = field(compare=False)
    kind: VaultKind = VaultKind.RECOVERY_SERVICES
    secondary_region: str | None = None
    primary_region: str | None = None
    """The vault's own region. Set for cross-region restores of Backup vaults, whose requests name it."""
    key: str = field(init=False, repr=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        view = str(self) if self.secondary_region is None else f"{self}@{self.secondary_region}@{self.primary_region}"
        object.__setattr__(self, "key", fold_case(view))
        object.__setattr__(self, "_hash", hash(self.key))  # used several times in each poll

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/{self.kind.provider}/{self.name}"
        )

    @property
    def url_path(self) -> str:
        """The ID with percent-encoded segments, to append to the endpoint of Azure Resource Manager."""
        return quote(str(self))

    @property
    def jobs_url_path(self) -> str:
        """The path of the list of the vault's jobs."""
        return f"{self.url_path}/backupJobs"

    @property
    def items_url_path(self) -> str:
        """The path of the list of the vault's protected items."""
        return f"{self.url_path}/{'backupInstances' if self.kind is VaultKind.BACKUP_VAULT else 'backupProtectedItems'}"

    @property
    def secondary_location(self) -> str:
        """The ID of the secondary region in the vault's subscription."""
        provider = self.kind.provider.partition("/")[0]
        return f"/subscriptions/{self.subscription_id}/providers/{provider}/locations/{self.secondary_region}"


@lru_cache(maxsize=1024)
def vault_id(subscription_id: str, resource_group: str, name: str, kind: VaultKind, **regions: str | None) -> VaultId:
    """Return the ID of a vault. Equal arguments share one object, because thousands of watches may name one vault."""
    return VaultId(subscription_id=subscription_id, resource_group=resource_group, name=name, kind=kind, **regions)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobId:
    """A job of a vault. ``str`` returns the original spelling."""

    vault: VaultId
    name: str = field(compare=False)
    written: str = field(default="", compare=False)
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", fold_case(self.name))

    @classmethod
    def parse(cls, text: str) -> JobId:
        """Parse the resource ID of a job. Raises ValueError."""
        match = _JOB_ID.fullmatch(text)
        if match is None or not (
            is_guid(match["subscription"])
            and is_resource_group(match["group"])
            and is_vault_name(match["vault"])
            and is_guid(match["job"])
        ):
            raise ValueError(f"not of the form {JOB_ID_FORM}")
        vault = vault_id(match["subscription"], match["group"], match["vault"], _KINDS[match["kind"].lower()])
        return cls(vault=vault, name=match["job"], written=text)

    def __str__(self) -> str:
        return self.written or f"{self.vault}/backupJobs/{self.name}"

    @property
    def url_path(self) -> str:
        """The ID with percent-encoded segments, to append to the endpoint of Azure Resource Manager."""
        return f"{self.vault.jobs_url_path}/{quote(self.name, safe='')}"

    @property
    def secondary_url_path(self) -> str:
        """The path of the POST that reads a job in the secondary region."""
        vault = self.vault
        if vault.kind is VaultKind.RECOVERY_SERVICES:
            return quote(f"{vault.secondary_location}/backupCrrJob")
        group = f"/subscriptions/{vault.subscription_id}/resourceGroups/{vault.resource_group}"
        location = f"{group}/providers/Microsoft.DataProtection/locations/{vault.secondary_region}"
        return quote(f"{location}/fetchCrossRegionRestoreJob")

    @property
    def secondary_body(self) -> dict[str, str]:
        """The body of that POST."""
        vault = self.vault
        if vault.kind is VaultKind.RECOVERY_SERVICES:
            return {"resourceId": str(vault), "jobName": self.name}
        region = vault.primary_region or ""
        return {"sourceRegion": region, "sourceBackupVaultId": str(vault), "jobId": self.name}


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationId:
    """An operation of a vault. Operations start backups and restores; cross-region restores in the secondary region."""

    vault: VaultId
    name: str
    """Compared with letter case, because it may be base64."""

    def __str__(self) -> str:
        if self.vault.secondary_region is None:
            return f"{self.vault}/{self._collection}/{self.name}"
        return f"{self.vault.secondary_location}/{self._collection}/{self.name}"

    @property
    def url_path(self) -> str:
        """The ID with percent-encoded segments, to append to the endpoint of Azure Resource Manager."""
        return quote(str(self))

    @property
    def _collection(self) -> str:
        if self.vault.kind is VaultKind.BACKUP_VAULT:
            return "operationStatus"
        return "backupOperations" if self.vault.secondary_region is None else "backupCrrOperationsStatus"
