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
class _Rate:
    bucket: TokenBucket = field(default_factory=lambda: TokenBucket(rate=WRITES_PER_SECOND, burst=WRITE_BURST))
    paused_until: float = 0.0
    refusal: str = ""
    """The text of the 429 that caused the pause."""


class BackupRates:
    """The tokens and the pauses of all principals."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rates: OrderedDict[tuple[str, str], _Rate] = OrderedDict()

    def reserve(self, namespace: str, identity: Identity, request: BackupRequest) -> float:
        """Take the next token for *request*. Return the seconds until it is valid."""
        return self._rate(namespace, identity, request).bucket.reserve(loop_time())

    def put_back(self, namespace: str, identity: Identity, request: BackupRequest) -> None:
        """Put back the token of *request*, which was not sent."""
        self._rate(namespace, identity, request).bucket.put_back()

    def pause(self, namespace: str, identity: Identity, request: BackupRequest, error: Throttled) -> None:
        """Pause the principal of *request* until the Retry-After of *error* is over."""
        rate, wait = self._rate(namespace, identity, request), error.retry_after or timedelta()
        rate.paused_until, rate.refusal = max(rate.paused_until, loop_time() + wait.total_seconds()), str(error)
        _log.warning("Paused requests for backups for %s: %s", format_duration(wait), error)

    def pause_of(self, namespace: str, identity: Identity, request: BackupRequest) -> PollDeferred | None:
        """Return why *request* must wait, with ``retry_after``. None without a pause."""
        rate = self._rate(namespace, identity, request)
        left = timedelta(seconds=rate.paused_until - loop_time())
        if left <= timedelta():
            return None
        message = f"Azure throttles requests for backups. The operator sends the next one in {format_duration(left)}."
        error = PollDeferred(f"{message} {rate.refusal}", stale=True)
        error.retry_after = left
        return error

    def _rate(self, namespace: str, identity: Identity, request: BackupRequest) -> _Rate:
        key = (principal_of(namespace, identity, self._settings), fold_case(request.item.vault.subscription_id))
        rate = self._rates.setdefault(key, _Rate())
        self._rates.move_to_end(key)
        while len(self._rates) > REMEMBERED:
            self._rates.popitem(last=False)
        return rate
