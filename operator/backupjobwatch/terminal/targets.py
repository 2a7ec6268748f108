"""What somebody names at a terminal as a job: read into the fields of a BackupJobWatch's spec that say which."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from backupjobwatch.domain.api.target import parse_source
from backupjobwatch.domain.jobs.resource_ids import JOB_ID_FORM, JobId, OperationId, VaultKind, is_guid, is_operation_id
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.errors import InvalidSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backupjobwatch.domain.api.target import JobSource

Vault = dict[str, str]
"""``spec.vault``."""

_VAULT_SEGMENTS: Final = 8
_OPERATIONS: Final = frozenset(
    {"backupoperations", "backupoperationresults", "operationsstatus", "operationstatus", "operationresults"}
)
"""What stands before an operation's id in the URLs that Azure gives for it, in small letters.

https://learn.microsoft.com/azure/backup/backup-azure-arm-userestapi-backupazurevms#example-responses-for-on-demand-backup
"""
_KINDS: Final = {kind.provider.lower(): kind for kind in VaultKind}
_SHOWN: Final = 120
_DIGITS: Final = 8


class InvalidTarget(ValueError):
    """That names no job; the message says what to write instead."""


class NeedsVault(InvalidTarget):
    """That names a job only together with its vault."""


def read_target(
    text: str, *, endpoint: str | None, vault: Vault | None = None, operation: bool = False
) -> dict[str, Any]:
    """Return the fields of a spec that name the job which *text* does: an ID of Azure's, a URL, or an id alone.

    A URL has to be of *endpoint*, where that is given; what it is signed with is dropped. An id alone is a job's, or with *operation* an
    operation's, of *vault*. Raises InvalidTarget.
    """
    path = _path(text.strip().strip("\"'"), endpoint)
    segments = path.strip("/").split("/")
    is_operation = len(segments) > 1 and segments[-2].lower() in _OPERATIONS
    if path.startswith("/") and not is_operation:
        spec: dict[str, Any] = {"jobResourceId": path.rstrip("/")}
    elif "/" not in path or is_operation:
        named = _vault_of(segments)
        if named is None and vault is None:
            if not is_operation_id(segments[-1]):
                raise InvalidTarget(_advice(path))
            raise NeedsVault(
                f"{_shown(path)} does not tell its vault: add --vault-name, --resource-group, --subscription."
            )
        field = "operationId" if operation or is_operation else "jobName"
        spec = {field: segments[-1], "vault": named or vault}
    else:
        raise InvalidTarget(_advice(path))
    try:
        parse_source(spec)
    except InvalidSpec:
        raise InvalidTarget(_advice(path, operation=operation)) from None
    return spec


def name_of(spec: Mapping[str, Any]) -> str:
    """Return the name that an object of this *spec* gets: a job's own, or one like its operation's.

    Those of Backup vaults are base64, which no object can have for a name.
    """
    source = parse_source(spec)
    return source.name.lower() if isinstance(source, JobId) else f"operation-{digits_of(source)}"


def digits_of(source: JobSource) -> str:
    """Return the first digits of a job's or an operation's GUID, or of a digest where it has none."""
    assert isinstance(source, JobId | OperationId)  # noqa: S101 -- read_target makes no other
    told = source.name.lower() if is_guid(source.name) else hashlib.sha256(source.name.encode()).hexdigest()
    return told[:_DIGITS]


def _path(text: str, endpoint: str | None) -> str:
    """The path of a URL, without the query that it may be signed with; any other text as it is."""
    try:
        url, arm = urlsplit(text), urlsplit(endpoint or text)
    except ValueError:
        raise InvalidTarget(_advice("that")) from None
    if url.scheme not in ("http", "https"):
        return text.partition("?")[0]
    if url.netloc.lower() != arm.netloc.lower():
        raise InvalidTarget(
            f"{_shown(url.hostname or '')} is not asked, but {arm.netloc}: for another of Azure's clouds, set BACKUPJOBWATCH_CLOUD."
        )
    return unquote(url.path).partition("?")[0]  # a query in disguise may be a signature


def _vault_of(segments: list[str]) -> Vault | None:
    words = [segment.lower() for segment in segments]
    kind = _KINDS.get("/".join(words[5:7]))
    literals = words[:1] + words[2:3] + words[4:5]
    if kind is None or literals != ["subscriptions", "resourcegroups", "providers"] or len(words) < _VAULT_SEGMENTS:
        return None
    return {"subscriptionId": segments[1], "resourceGroup": segments[3], "name": segments[7], "kind": kind.value}


def _advice(text: str, *, operation: bool = False) -> str:
    if operation:
        return (
            f"{_shown(text)} names no operation. Write the URL that Azure gave (Azure-AsyncOperation), or of it the part "
            "after the last / and before the ?, with the vault's options."
        )
    return (
        f"{_shown(text)} names no job. Write its resource ID, {JOB_ID_FORM}; or its GUID, with the vault's options; or the "
        "URL of the operation that started it."
    )


def _shown(text: str) -> str:
    return sanitize(text, _SHOWN) or "An empty text"
