"""The rate of requests for backups: one token bucket for each principal and subscription, separate from reads."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from backupjobwatch.arm.identities import principal_of
from backupjobwatch.clock import loop_time
from backupjobwatch.domain.jobs.durations import format_duration
from backupjobwatch.domain.jobs.resource_ids import fold_case
from backupjobwatch.domain.polling.token_bucket import TokenBucket
from backupjobwatch.errors import PollDeferred

if TYPE_CHECKING:
    from backupjobwatch.domain.api.target import Identity
    from backupjobwatch.domain.jobs.backup_requests import BackupRequest
    from backupjobwatch.errors import Throttled
    from backupjobwatch.settings import Settings

_log = logging.getLogger(__name__)

WRITES_PER_SECOND: Final = 1.0
"""Per principal and subscription. Azure refills its bucket for writes with ten tokens per second."""
WRITE_BURST: Final = 5.0
REMEMBERED: Final = 1000
"""The number of principals and subscriptions whose rate is remembered."""


@dataclass(slots=True)
class BackupRate:
    """The tokens and the pause of one principal in one subscription."""

    bucket: TokenBucket = field(default_factory=lambda: TokenBucket(rate=WRITES_PER_SECOND, burst=WRITE_BURST))
    _paused_until: float = 0.0
    _refusal: str = ""
    """The text of the 429 that caused the pause."""

    def pause(self, error: Throttled) -> None:
        """Pause until the Retry-After of *error* is over."""
        wait = error.retry_after or timedelta()
        self._paused_until, self._refusal = max(self._paused_until, loop_time() + wait.total_seconds()), str(error)
        _log.warning("Paused requests for backups for %s: %s", format_duration(wait), error)

    def pause_error(self) -> PollDeferred | None:
        """Return why requests must wait, with ``retry_after``. None without a pause."""
        left = timedelta(seconds=self._paused_until - loop_time())
        if left <= timedelta():
            return None
        message = f"Azure throttles requests for backups. The operator sends the next one in {format_duration(left)}."
        error = PollDeferred(f"{message} {self._refusal}", stale=True)
        error.retry_after = left
        return error


class BackupRates:
    """The rates of all principals and subscriptions."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rates: OrderedDict[tuple[str, str], BackupRate] = OrderedDict()

    def rate_of(self, namespace: str, identity: Identity, request: BackupRequest) -> BackupRate:
        """Return the rate that applies to *request*."""
        key = (principal_of(namespace, identity, self._settings), fold_case(request.item.vault.subscription_id))
        rate = self._rates.setdefault(key, BackupRate())
        self._rates.move_to_end(key)
        while len(self._rates) > REMEMBERED:
            self._rates.popitem(last=False)
        return rate
