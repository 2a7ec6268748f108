"""Converts a job's identification on the command line or standard input into the spec of a watch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.api.target import parse_source
from backupjobwatch.terminal.azure_output import item_of, split_jobs
from backupjobwatch.terminal.targets import InvalidTarget, digits_of, read_item, read_target, slug

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backupjobwatch.terminal.targets import Item, Vault

_LONGEST: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The job that a watch follows."""

    spec: Mapping[str, Any]
    """``jobResourceId``; or ``jobName``, ``operationId`` or ``latest`` with ``vault``."""
    item: str | None = None
    """The protected item, if it is known."""

    @property
    def name(self) -> str:
        """A name for the watch: the item or the vault, and the first digits of the ID. Deterministic."""
        source = parse_source(self.spec)
        return f"{slug(self.item or source.vault.name, _LONGEST) or 'job'}-{digits_of(source)}"


def read_source(text: str, vault: Vault | None, *, operation: bool = False) -> Source:
    """Read one job from *text*, for all of Azure's clouds. See ``read_target``. Raises InvalidTarget."""
    try:
        jobs = split_jobs(text)
    except ValueError as error:
        raise InvalidTarget(str(error)) from None
    if len(jobs) > 1:
        raise InvalidTarget(
            f"The input names {len(jobs)} jobs. Pass one job, for example with --query '[0]' of `az`, or run the command "
            "once per job."
        )
    job = jobs[0] if jobs else text
    return Source(spec=read_target(job, endpoint=None, vault=vault, operation=operation), item=item_of(job))


def item_source(item: Item, vault: Vault | None) -> Source:
    """Read the first job of an item, or the item that the operator backs up. Raises InvalidTarget."""
    (fields,) = item.values()
    return Source(spec=read_item(item, vault), item=fields.get("item"))
