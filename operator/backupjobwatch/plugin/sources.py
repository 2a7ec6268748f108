"""Reads what people have in hand of a job or an operation, and makes of it what a watch's spec says."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from backupjobwatch.core.arm_ids import VaultKind, fold_case, is_guid, is_operation_id
from backupjobwatch.core.payloads import mapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WHAT_TO_WRITE: Final = (
    "write a job's resource ID (/subscriptions/…/backupJobs/{UUID}), the URL of the operation that started it"
    " (Azure-AsyncOperation), or, with the vault's options, a job's or an operation's id alone"
)

_VAULT: Final = re.compile(
    r"/subscriptions/(?P<subscriptionId>[^/]+)/resourceGroups/(?P<resourceGroup>[^/]+)/providers/"
    r"(?P<provider>Microsoft\.RecoveryServices/vaults|Microsoft\.DataProtection/backupVaults)/(?P<name>[^/]+)/(?P<rest>.+)",
    re.IGNORECASE | re.ASCII,
)
_REGION: Final = re.compile(
    r"/subscriptions/(?P<subscriptionId>[^/]+)/providers/Microsoft\.DataProtection/locations/[^/]+/"
    r"(?P<rest>operation(?:Status|Results)/[^/]+)",
    re.IGNORECASE | re.ASCII,
)
"""Backup vaults tell operations by their region too, which leaves the vault to be named."""
_JOB: Final = re.compile(r"backupJobs/(?P<job>[^/]+)", re.IGNORECASE | re.ASCII)
_OPERATION: Final = re.compile(
    r"(?:backupFabrics/.+/|backupInstances/[^/]+/)?"
    r"(?:backupOperations|backupOperationResults|operationsStatus|operationStatus|operationResults)/(?P<operation>[^/]+)",
    re.IGNORECASE | re.ASCII,
)
"""https://learn.microsoft.com/azure/backup/backup-azure-arm-userestapi-backupazurevms#tracking-the-response"""
_ITEMS: Final = ("entityFriendlyName", "dataSourceName")
_LONGEST: Final = 40
_SHORT: Final = 8


class NoSource(ValueError):
    """What was given names neither a job nor an operation. The message does not repeat it: it may be signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a watch is to follow."""

    spec: Mapping[str, Any]
    """``jobResourceId``, or ``jobName`` or ``operationId`` with ``vault``."""
    item: str | None = None
    """What is protected, where that was told too."""

    @property
    def name(self) -> str:
        """A name for the watch: the item's or the vault's, and the beginning of the id; the same for the same source."""
        vault = mapping(self.spec.get("vault")).get("name") or str(self.spec.get("jobResourceId", "")).split("/")[-3]
        source = str(self.spec.get("operationId") or self.spec.get("jobName") or self.spec["jobResourceId"])
        source = fold_case(source.rsplit("/", 1)[-1]) if "operationId" not in self.spec else source
        short = source[:_SHORT].lower() if is_guid(source) else hashlib.sha256(source.encode()).hexdigest()[:_SHORT]
        words = re.sub(r"[^a-z0-9]+", "-", fold_case(self.item or vault))[:_LONGEST].strip("-")
        return f"{words or 'job'}-{short}"


def read_source(text: str, vault: Mapping[str, str | None], *, operation: bool = False) -> Source:
    """Read *text*: a resource ID, an operation's URL, a short id, or JSON that has one of them as the CLI prints it.

    *vault* has what was said of the vault beside it, by the names of ``spec.vault``; *operation*: a short id that could
    be either's is an operation's. NoSource says what to write instead.
    """
    given = {name: value for name, value in vault.items() if value}
    problems = []
    for identifier, item in _candidates(text.strip()):
        try:
            return Source(spec=_spec(identifier, given, operation=operation), item=item)
        except NoSource as error:
            problems.append(error)
    raise problems[0] if problems else NoSource(WHAT_TO_WRITE)


def _candidates(text: str) -> Iterator[tuple[str, str | None]]:
    """What may name a job or an operation, the job first, each with the item that it is about."""
    if text[:1] not in ("{", "[", '"'):
        yield text, None
        return
    try:
        value = json.loads(text)
    except ValueError:
        raise NoSource("this begins like JSON and is none: pass what `az … --output json` prints, as a whole") from None
    if isinstance(value, list):
        if len(value) != 1:
            raise NoSource(f"this is a list of {len(value)}: pass one job, such as with --query '[0]'")
        (value,) = value
    if isinstance(value, str):
        yield value.strip(), None
    properties = mapping(mapping(value).get("properties"))
    item = next((str(properties[name]) for name in _ITEMS if properties.get(name)), None)
    for holder, key in ((properties, "jobId"), (mapping(value), "jobId"), (mapping(value), "id")):
        if isinstance(holder.get(key), str):
            yield holder[key].strip(), item


def _spec(text: str, given: Mapping[str, str], *, operation: bool) -> dict[str, Any]:
    if not text or len(text.split()) != 1:
        raise NoSource(WHAT_TO_WRITE)
    if "/" not in text:
        return _short(text, given, operation=operation)
    path = _path(text)
    if match := _VAULT.fullmatch(path):
        if given:
            raise NoSource("this names the vault already: remove the options that say which vault")
        if job := _JOB.fullmatch(match["rest"]):
            return {"jobResourceId": path[: match.end("rest")]} if is_guid(job["job"]) else _refuse()
        kind = VaultKind.RECOVERY_SERVICES if "recovery" in match["provider"].lower() else VaultKind.BACKUP_VAULT
        vault = {name: match[name] for name in ("subscriptionId", "resourceGroup", "name")}
    elif match := _REGION.fullmatch(path):
        if not {"resourceGroup", "name"} <= given.keys():
            raise NoSource(
                "this names an operation of a region: say of which vault, with --resource-group and --vault-name"
            )
        kind, vault = VaultKind.BACKUP_VAULT, {**given, "subscriptionId": match["subscriptionId"]}
    else:
        raise NoSource(WHAT_TO_WRITE)
    found = _OPERATION.fullmatch(match["rest"])
    if found is None:
        raise NoSource(WHAT_TO_WRITE)
    return {"operationId": found["operation"], "vault": {**vault, "kind": kind.value}}


def _short(text: str, given: Mapping[str, str], *, operation: bool) -> dict[str, Any]:
    if not is_operation_id(text):
        raise NoSource(WHAT_TO_WRITE)
    if not {"subscriptionId", "resourceGroup", "name"} <= given.keys():
        raise NoSource(
            "an id alone does not say of which vault: add --subscription, --resource-group and --vault-name, or pass "
            "the whole resource ID"
        )
    field = "jobName" if is_guid(text) and not operation else "operationId"
    return {field: text, "vault": dict(given)}


def _path(text: str) -> str:
    """The path of a URL, or of an ID: without what signs it."""
    if text.startswith("/"):
        return text.partition("?")[0].rstrip("/")
    try:
        url = urlsplit(text)
    except ValueError:
        raise NoSource(WHAT_TO_WRITE) from None
    if url.scheme != "https":
        raise NoSource(WHAT_TO_WRITE)
    return unquote(url.path).rstrip("/")


def _refuse() -> dict[str, Any]:
    raise NoSource(WHAT_TO_WRITE)
