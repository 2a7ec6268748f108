"""Converts a job's identification on the command line or standard input into the spec of a watch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.api.target import parse_source
from backupjobwatch.domain.jobs.resource_ids import fold_case
from backupjobwatch.terminal.azure_output import item_of, split_jobs
from backupjobwatch.terminal.targets import InvalidTarget, digits_of, read_latest, read_on_demand, read_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backupjobwatch.terminal.latest_options import Latest
    from backupjobwatch.terminal.on_demand_options import OnDemand
    from backupjobwatch.terminal.targets import Vault

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
        words = re.sub(r"[^a-z0-9]+", "-", fold_case(self.item or source.vault.name))[:_LONGEST].strip("-")
        return f"{words or 'job'}-{digits_of(source)}"


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


def latest_source(latest: Latest, vault: Vault | None) -> Source:
    """Read the first job of an item. Raises InvalidTarget."""
    return Source(spec=read_latest(vault, latest), item=latest["item"])


def on_demand_source(on_demand: OnDemand, vault: Vault | None) -> Source:
    """Read the item that the operator backs up. Raises InvalidTarget."""
    return Source(spec=read_on_demand(vault, on_demand), item=on_demand.get("item"))
