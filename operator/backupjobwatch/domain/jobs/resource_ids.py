"""Azure Resource Manager IDs of vaults, jobs and operations: compared without regard to letter case, kept as written."""

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
_GROUP_LETTERS = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nd"})
_MAX_GROUP = 90
_SMALL = {ord(capital): ord(capital.lower()) for capital in string.ascii_uppercase}

JOB_ID_FORM = (
    "/subscriptions/{UUID}/resourceGroups/{name}/providers/Microsoft.RecoveryServices/vaults/{name}/backupJobs/{UUID}"
    " (or, for a Backup vault, …/providers/Microsoft.DataProtection/backupVaults/{name}/backupJobs/{UUID})"
)


class VaultKind(Enum):
    """Azure Backup's two kinds of vault, by the name that ``spec.vault.kind`` has. They have an API each."""

    RECOVERY_SERVICES = "RecoveryServices"
    BACKUP_VAULT = "BackupVault"

    @property
    def provider(self) -> str:
        """The part of a resource ID that names the kind."""
        return _PROVIDERS[self]


_PROVIDERS = {
    VaultKind.RECOVERY_SERVICES: "Microsoft.RecoveryServices/vaults",
    VaultKind.BACKUP_VAULT: "Microsoft.DataProtection/backupVaults",
}
_KINDS = {provider.lower(): kind for kind, provider in _PROVIDERS.items()}


def fold_case(text: str) -> str:
    """Return *text* with ASCII's capitals made small, for comparing.

    Not ``casefold``, which makes one of names that Azure tells apart (``Maße`` and ``Masse``): two jobs must never
    share an answer, while asking twice for one harms nobody.
    """
    folded = text.translate(_SMALL)
    return text if folded == text else folded  # not the same twice: thousands of IDs are kept


def is_guid(text: str) -> bool:
    """Tell whether *text* is a GUID in the usual form, of either case."""
    return _GUID.fullmatch(text) is not None


def is_vault_name(text: str) -> bool:
    """Tell whether Azure would take *text* as a vault's name."""
    return _VAULT_NAME.fullmatch(text) is not None


def is_resource_group(text: str) -> bool:
    r"""Tell whether Azure would take *text* as a resource group's name.

    Letters and digits of any script, ``- _ ( )`` and dots, but no dot at the end: what could change the meaning
    of a URL (``/ ? # % \\``, dot segments) is out.
    """
    return (
        0 < len(text) <= _MAX_GROUP
        and not text.endswith(".")
        and all(character in "-_.()" or unicodedata.category(character) in _GROUP_LETTERS for character in text)
    )


def is_operation_id(text: str) -> bool:
    """Tell whether *text* can be the id of an operation: a GUID, or for Backup vaults base64."""
    return _OPERATION_ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultId:
    """A vault of either kind. Two that differ in letter case only are equal."""

    subscription_id: str = field(compare=False)
    resource_group: str = field(compare=False)
    name: str = field(compare=False)
    kind: VaultKind = VaultKind.RECOVERY_SERVICES
    key: str = field(init=False, repr=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", fold_case(str(self)))
        object.__setattr__(self, "_hash", hash(self.key))  # asked for with each poll, several times

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/{self.kind.provider}/{self.name}"
        )

    @property
    def url_path(self) -> str:
        """The ID with each segment percent-encoded, to be put behind ARM's endpoint."""
        return _encoded(str(self))

    @property
    def jobs_url_path(self) -> str:
        """Where the vault's jobs are listed."""
        return f"{self.url_path}/backupJobs"


@lru_cache(maxsize=1024)
def vault_id(subscription_id: str, resource_group: str, name: str, kind: VaultKind) -> VaultId:
    """Return a vault's ID: of one that was written in the same way before, the same, as thousands may name it."""
    return VaultId(subscription_id=subscription_id, resource_group=resource_group, name=name, kind=kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobId:
    """A job of a vault. ``str`` gives back what was written, to the letter."""

    vault: VaultId
    name: str = field(compare=False)
    written: str = field(default="", compare=False)
    key: str = field(init=False, repr=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", fold_case(self.name))
        object.__setattr__(self, "_hash", hash((self.vault, self.key)))  # as for vaults

    def __hash__(self) -> int:
        return self._hash

    @classmethod
    def parse(cls, text: str) -> JobId:
        """Read a job's resource ID. ValueError where it is none."""
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
        """The ID with each segment percent-encoded, to be put behind ARM's endpoint."""
        return f"{self.vault.jobs_url_path}/{quote(self.name, safe='')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationId:
    """An operation that a vault carried out or carries out: what a backup or a restore is started by."""

    vault: VaultId
    name: str
    """Compared to the letter: for Backup vaults it is base64."""

    def __str__(self) -> str:
        return f"{self.vault}/{self._collection}/{self.name}"

    @property
    def url_path(self) -> str:
        """The ID with each segment percent-encoded, to be put behind ARM's endpoint."""
        return _encoded(str(self))

    @property
    def _collection(self) -> str:
        return "backupOperations" if self.vault.kind is VaultKind.RECOVERY_SERVICES else "operationStatus"


def _encoded(path: str) -> str:
    return "/".join(quote(segment, safe="") for segment in path.split("/"))
