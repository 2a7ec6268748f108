"""Converts a job's identification on a command line into the fields of a spec."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.api.target import parse_source
from backupjobwatch.domain.jobs.durations import format_duration
from backupjobwatch.domain.jobs.on_demand_backup import OnDemandBackup
from backupjobwatch.domain.jobs.resource_ids import (
    JOB_ID_FORM,
    JobId,
    OperationId,
    VaultKind,
    fold_case,
    is_guid,
    is_operation_id,
)
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.domain.jobs.times import format_time
from backupjobwatch.errors import InvalidSpec
from backupjobwatch.terminal.azure_output import candidates, vault_of
from backupjobwatch.terminal.azure_urls import WrongCloud, resource_path
from backupjobwatch.terminal.option_names import with_option_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backupjobwatch.domain.api.target import JobSource

Vault = dict[str, str]
"""``spec.vault``, or the fields of it that options or an ID provide."""
Item = dict[str, dict[str, str]]
"""``latest`` or ``onDemand``, with its fields."""

_OF_VAULT: Final = ("subscriptionId", "resourceGroup", "name")
_OPERATIONS: Final = frozenset(
    {
        "backupoperations",
        "backupoperationresults",
        "operationsstatus",
        "operationstatus",
        "operationresults",
        "backupcrroperationsstatus",
        "backupcrroperationresults",
    }
)
"""The segment before an operation's ID in Azure's URLs, in lowercase.

https://learn.microsoft.com/azure/backup/backup-azure-arm-userestapi-backupazurevms#example-responses-for-on-demand-backup
"""
_JOBS: Final = "backupjobs"
_KINDS: Final = {kind.provider.lower(): kind.value for kind in VaultKind}
_VAULT: Final = re.compile(
    r"/subscriptions/(?P<subscriptionId>[^/]+)/resourceGroups/(?P<resourceGroup>[^/]+)"
    r"/providers/(?P<provider>[^/]+/[^/]+)/(?P<name>[^/]+)(?P<rest>/.*)?",
    re.IGNORECASE,
)
_REGION: Final = re.compile(
    r"/subscriptions/(?P<subscriptionId>[^/]+)/providers/(?P<provider>[^/]+)/locations/(?P<region>[^/]+)"
    r"/(?P<collection>[^/]+)/.*",
    re.IGNORECASE,
)
_SECONDARY: Final = frozenset({"backupjobs", "backupcrroperationsstatus", "backupcrroperationresults"})
"""The segment after a region that is the secondary region of a cross-region restore, in lowercase."""
_SHOWN: Final = 120
_DIGITS: Final = 8


class InvalidTarget(ValueError):
    """The text identifies no job. The message says how to fix it."""


class NeedsVault(InvalidTarget):
    """The text identifies a job only together with its vault. The message names the missing options."""


def read_target(
    text: str, *, endpoint: str | None, vault: Vault | None = None, operation: bool = False
) -> dict[str, Any]:
    """Return the fields of a spec that identify the job in *text*: an ID, a URL, or JSON of Azure's tools.

    A URL must belong to *endpoint*, unless that is None. Its query is dropped, because it may be a signature.
    *vault* completes an ID that does not name its vault. With *operation*, an ID alone is an operation's.
    Raises InvalidTarget.
    """
    refused: InvalidTarget | None = None
    try:
        for candidate in candidates(text):
            try:
                found = vault_of(text) if "/locations/" in candidate.lower() else {}
                return _read(candidate, endpoint, {**found, **(vault or {})}, operation=operation)
            except InvalidTarget as error:
                # The error about a missing vault is the most useful one of all parts of the JSON.
                refused = error if refused is None or isinstance(error, NeedsVault) else refused
    except ValueError as error:
        raise InvalidTarget(str(error)) from None
    raise refused or InvalidTarget("This JSON names no job. Pass JSON that has the job's ID as id or jobId.")


def read_item(item: Item, vault: Vault | None) -> dict[str, Any]:
    """Return the fields of a spec that identify the first job of an item, or request a backup. Raises InvalidTarget."""
    (fields,) = item.values()
    item_id = fields.get("protectedItemId")
    what = f"The item {_shown(fields['item'])}" if item_id is None else _shown(item_id)
    spec = {**item, "vault": _completed(_vault_of(item_id or ""), vault or {}, what)}
    try:
        parse_source(spec)
    except InvalidSpec as error:
        message = str(error).replace("spec.jobName or spec.operationId", "its ID or the URL of its operation")
        raise InvalidTarget(f"{with_option_names(message)}.") from None
    return spec


def name_of(spec: Mapping[str, Any]) -> str:
    """Return the name of an object that follows a job, which is the job's GUID, or an operation.

    The operation IDs of Backup vaults are base64, which is not a valid object name.
    """
    source = parse_source(spec)
    return source.name.lower() if isinstance(source, JobId) else f"operation-{digits_of(source)}"


def digits_of(source: JobSource) -> str:
    """Return the first digits of a job's or an operation's GUID, or of a digest if it has none."""
    if isinstance(source, JobId | OperationId):
        return source.name[:_DIGITS].lower() if is_guid(source.name) else _digest(source.name)
    if isinstance(source, OnDemandBackup):
        words = [source.vault.key, source.title, source.container]
    else:
        words = [source.vault.key, source.item, source.operation, source.container]
        words.append(None if source.started_after is None else format_time(source.started_after))
        if source.completed_within is not None:
            words.append(format_duration(source.completed_within))
    return _digest("\n".join(fold_case(word or "") for word in words))


def slug(text: str, longest: int) -> str:
    """Return *text* as part of an object name, with at most *longest* characters. It may be empty."""
    return re.sub(r"[^a-z0-9]+", "-", fold_case(text))[:longest].strip("-")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:_DIGITS]


def _read(text: str, endpoint: str | None, vault: Vault, *, operation: bool) -> dict[str, Any]:
    path = _path(text, endpoint)
    segments = path.strip("/").split("/")
    is_operation = len(segments) > 1 and segments[-2].lower() in _OPERATIONS
    named = _vault_of(path)
    if len(segments) == 1:
        is_operation = operation or _is_encoded_guid(path)
        # Only Backup vaults and secondary regions encode the IDs of their operations.
        if is_operation and _is_encoded_guid(path) and "secondaryRegion" not in vault:
            named = {"kind": VaultKind.BACKUP_VAULT.value}
    elif not is_operation and (segments[-2].lower() != _JOBS or not named):
        raise InvalidTarget(_advice(path))
    field, is_valid = ("operationId", is_operation_id) if is_operation else ("jobName", is_guid)
    if not is_valid(segments[-1]):
        raise InvalidTarget(_advice(path, operation=is_operation))
    if field == "jobName" and "name" in named and "secondaryRegion" not in vault:
        _check_conflicts(named, vault, path)
        spec: dict[str, Any] = {"jobResourceId": f"/{path.strip('/')}"}
    else:
        spec = {field: segments[-1], "vault": _completed(named, vault, _shown(path))}
    try:
        parse_source(spec)
    except InvalidSpec:
        raise InvalidTarget(_advice(path, operation=is_operation)) from None
    return spec


def _path(text: str, endpoint: str | None) -> str:
    try:
        return resource_path(text, endpoint)
    except WrongCloud as error:
        raise InvalidTarget(
            f"The URL belongs to {_shown(str(error))}, but the endpoint is {endpoint}. Set BACKUPJOBWATCH_CLOUD to the "
            "URL's cloud."
        ) from None
    except ValueError:
        raise InvalidTarget(_advice("The URL")) from None


def _vault_of(path: str) -> Vault:
    """Return the fields of ``spec.vault`` in a resource ID: all, or only the subscription and the kind."""
    if (found := _VAULT.fullmatch(path)) is not None and found["provider"].lower() in _KINDS:
        named = {field: found[field] for field in _OF_VAULT}
        return {**named, "kind": _KINDS[found["provider"].lower()]}
    if (found := _REGION.fullmatch(path)) is not None:
        kinds = [kind for provider, kind in _KINDS.items() if provider.startswith(f"{found['provider'].lower()}/")]
        is_secondary = found["collection"].lower() in _SECONDARY
        return {
            "subscriptionId": found["subscriptionId"],
            **({"kind": kinds[0]} if kinds else {}),
            **({"secondaryRegion": found["region"].lower()} if is_secondary else {}),
        }
    return {}


def _completed(named: Vault, given: Vault, what: str) -> Vault:
    """Return *named*, the fields in an ID, completed by *given*, the fields in options."""
    _check_conflicts(named, given, what)
    vault = {"kind": VaultKind.RECOVERY_SERVICES.value, **given, **named}
    is_of_backup_vault = "secondaryRegion" in vault and vault["kind"] == VaultKind.BACKUP_VAULT.value
    required = (*_OF_VAULT, "primaryRegion") if is_of_backup_vault else _OF_VAULT
    if "primaryRegion" in vault and not is_of_backup_vault:
        raise InvalidTarget("--primary-region needs --secondary-region and --vault-kind BackupVault. Remove it.")
    missing = [_option(field) for field in required if field not in vault]
    if missing:
        raise NeedsVault(f"{what} does not identify its vault. Add {_listed(missing)}.")
    return vault


def _check_conflicts(named: Vault, given: Vault, what: str) -> None:
    for field in (*_OF_VAULT, "kind", "secondaryRegion"):
        if field in named and fold_case(given.get(field, named[field])) != fold_case(named[field]):
            option = _option(field)
            raise InvalidTarget(
                f"{_shown(what)} belongs to {option} {_shown(named[field])}, got {_shown(given[field])}. Remove {option}."
            )


def _option(field: str) -> str:
    return with_option_names(f"spec.vault.{field}")


def _is_encoded_guid(text: str) -> bool:
    """Return whether *text* is the ID of a Backup vault's operation: base64 of text that ends in a GUID."""
    try:
        decoded = base64.b64decode(text, validate=True).decode("ascii")
    except ValueError:
        return False
    return is_guid(decoded.rpartition(";")[2])


def _advice(text: str, *, operation: bool = False) -> str:
    if operation:
        return (
            f"{_shown(text)} names no operation. Use the URL of the Azure-AsyncOperation header, or the part of it after "
            "the last / and before the ?, with --subscription, --resource-group and --vault-name. An operation of a "
            "Backup vault also needs --vault-kind BackupVault."
        )
    vault = _VAULT.fullmatch(text)
    is_item = "/protecteditems/" in text.lower() or "/backupinstances/" in text.lower()
    if vault is not None and (is_item or (vault["rest"] or "").count("/") <= 1):
        return (
            f"{_shown(text)} names {'a protected item' if is_item else 'a vault'}, not a job. Append the job's GUID to the "
            "vault's ID as /backupJobs/{UUID}, or use --item to follow an item's next job."
        )
    return (
        f"{_shown(text)} names no job. Use its resource ID, {JOB_ID_FORM}. Or use its GUID with --subscription, "
        "--resource-group and --vault-name, the URL of its page in the portal, or the URL of the operation that started it."
    )


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _shown(text: str) -> str:
    return sanitize(text, _SHOWN) or "An empty text"
