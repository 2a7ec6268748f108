"""Azure Resource Manager IDs of vaults and jobs: compared without regard to letter case, kept as written."""

from __future__ import annotations

import re
import string
import unicodedata
from dataclasses import dataclass, field
from urllib.parse import quote

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_VAULT_NAME = re.compile(r"[a-z][-a-z0-9]{1,49}", re.IGNORECASE | re.ASCII)
_JOB_ID = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
    r"/providers/Microsoft\.RecoveryServices/vaults/(?P<vault>[^/]+)/backupJobs/(?P<job>[^/]+)",
    re.IGNORECASE | re.ASCII,
)
_GROUP_LETTERS = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nd"})
_MAX_GROUP = 90
_SMALL = {ord(capital): ord(capital.lower()) for capital in string.ascii_uppercase}

JOB_ID_FORM = (
    "/subscriptions/{UUID}/resourceGroups/{name}/providers/Microsoft.RecoveryServices/vaults/{name}/backupJobs/{UUID}"
)


def fold_case(text: str) -> str:
    """Return *text* with ASCII's capitals made small, for comparing.

    Not ``casefold``, which makes one of names that Azure tells apart (``Maße`` and ``Masse``): two jobs must never
    share an answer, while asking twice for one harms nobody.
    """
    return text.translate(_SMALL)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultId:
    """A Recovery Services vault. Two that differ in letter case only are equal."""

    subscription_id: str = field(compare=False)
    resource_group: str = field(compare=False)
    name: str = field(compare=False)
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", fold_case(str(self)))

    def __str__(self) -> str:
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.RecoveryServices/vaults/{self.name}"
        )

    @property
    def url_path(self) -> str:
        """The ID with each segment percent-encoded, to be put behind ARM's endpoint."""
        return "/".join(quote(segment, safe="") for segment in str(self).split("/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobId:
    """A job of a vault. ``str`` gives back what was written, to the letter."""

    vault: VaultId
    name: str = field(compare=False)
    written: str = field(default="", compare=False)
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", fold_case(self.name))

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
        vault = VaultId(subscription_id=match["subscription"], resource_group=match["group"], name=match["vault"])
        return cls(vault=vault, name=match["job"], written=text)

    def __str__(self) -> str:
        return self.written or f"{self.vault}/backupJobs/{self.name}"

    @property
    def url_path(self) -> str:
        """The ID with each segment percent-encoded, to be put behind ARM's endpoint."""
        return f"{self.vault.url_path}/backupJobs/{quote(self.name, safe='')}"
