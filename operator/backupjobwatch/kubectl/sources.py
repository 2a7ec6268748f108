"""Reads what people have in hand of a job or an operation, as text or as the CLI's JSON, into what a watch follows."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.api.target import parse_source
from backupjobwatch.domain.jobs.payloads import mapping
from backupjobwatch.domain.jobs.resource_ids import fold_case
from backupjobwatch.terminal.targets import InvalidTarget, NeedsVault, digits_of, read_target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from backupjobwatch.terminal.targets import Vault

_ITEMS: Final = ("entityFriendlyName", "dataSourceName")
_LONGEST: Final = 40


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
        source = parse_source(self.spec)
        words = re.sub(r"[^a-z0-9]+", "-", fold_case(self.item or source.vault.name))[:_LONGEST].strip("-")
        return f"{words or 'job'}-{digits_of(source)}"


def read_source(text: str, vault: Vault | None, *, operation: bool = False) -> Source:
    """Read *text*: what ``read_target`` reads, of any of Azure's clouds, or JSON that holds it as the CLI prints it.

    *vault* is that of an id alone; *operation*: which is an operation's. Raises InvalidTarget.
    """
    refused: InvalidTarget | None = None
    for identifier, item in _candidates(text.strip()):
        try:
            return Source(spec=read_target(identifier, endpoint=None, vault=vault, operation=operation), item=item)
        except InvalidTarget as error:
            # That a vault is missing says more than that another part of the JSON is no job.
            refused = error if refused is None or isinstance(error, NeedsVault) else refused
    raise refused or InvalidTarget("This JSON names no job: pass what has the job's id, as id or jobId.")


def _candidates(text: str) -> Iterator[tuple[str, str | None]]:
    """What may name a job or an operation, the job first, each with the item that it is about."""
    if text[:1] not in ("{", "["):
        yield text, None
        return
    try:
        value = json.loads(text)
    except ValueError:
        raise InvalidTarget("This begins like JSON and is none: pass all that `az … --output json` prints.") from None
    if isinstance(value, list):
        if len(value) != 1:
            raise InvalidTarget(f"This is a list of {len(value)}: pass one job, such as with --query '[0]'.")
        (value,) = value
    properties = mapping(mapping(value).get("properties"))
    item = next((str(properties[name]) for name in _ITEMS if properties.get(name)), None)
    for holder, key in ((properties, "jobId"), (mapping(value), "jobId"), (mapping(value), "id")):
        if isinstance(holder.get(key), str):
            yield holder[key], item
