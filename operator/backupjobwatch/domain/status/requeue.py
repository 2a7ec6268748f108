"""Compute when to reconcile a watch again if no poll triggers it earlier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backupjobwatch.domain.status.assessment import DEADLINE_WAIT, DETAIL_WAIT
from backupjobwatch.domain.status.verdict import STALE, deadline

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.api.spec import WatchSpec
    from backupjobwatch.domain.status.assessment import Assessment, Times


def requeue_after(
    watch: Watch,
    spec: WatchSpec,
    assessed: Assessment,
    *,
    times: Times,
    now: datetime,
    heartbeat: timedelta,
    last_poll: datetime | None,
    request_at: float,
    recheck_at: datetime | None = None,
    deadline_wait: timedelta = DEADLINE_WAIT,
) -> float:
    """Return the seconds until an unfinished *watch* must be reconciled without a new observation.

    This is when the status becomes stale, or the *heartbeat* or the deadline is due. It is also when the wait after the
    deadline or for the detail ends, or when a requested poll may be sent.

    - *last_poll*: ``status.lastPollTime``
    - *request_at*: when a requested poll may be sent, on the monotonic clock
    - *recheck_at*: when the requirements of the watch change
    """
    interval = spec.poll_interval.total_seconds()
    delays = [STALE.total_seconds() + max(assessed.sent, times.since) - times.now]
    if assessed.finding is not None and not assessed.accept_list_entry:
        delays.append(DETAIL_WAIT)
    end = deadline(watch, spec)
    if end is None and assessed.finding is not None:  # The first write starts the deadline.
        end = now + spec.active_deadline
    if times.deadline_since is not None:
        delays.append(times.deadline_since + deadline_wait.total_seconds() + 2 * interval - times.now)
    elif end is not None:
        delays.append((end - now).total_seconds())
    if last_poll is not None and last_poll <= now:
        delays.append((last_poll + heartbeat - now).total_seconds())
    if recheck_at is not None:
        delays.append((recheck_at - now).total_seconds())
    if request_at > times.now:
        delays.append(request_at - times.now)
    # An event that is already due waits for a poll, so check again after the next one.
    return min(delay if delay > 0 else interval for delay in delays)
