"""Times: Azure's many shapes in, RFC 3339 in UTC with whole seconds out, as Kubernetes writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_NO_TIME = 2001
"""Azure says "no time" as 0001-01-01 or 2001-01-01, with a zone or without."""


def parse_time(value: object) -> datetime | None:
    """Read a time of Azure's (0 to 7 fractional digits, zone or none) or of ours; None for no time or no sense."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value.upper())  # RFC 3339 allows a small z, and so does the API server
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):  # the second: year 1 moved to another zone
        return None
    return None if time.year <= _NO_TIME else time


def parse_retry_after(value: str | None, *, now: datetime, limit: timedelta) -> timedelta | None:
    """Read a Retry-After, seconds or a date, as a time to wait of at most *limit*; None for none, and for no sense."""
    if value is None:
        return None
    try:
        wait = timedelta(seconds=float(value))
    except (ValueError, OverflowError):
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        wait = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    return min(max(wait, timedelta()), limit)


def format_time(time: datetime) -> str:
    """Write *time* as Kubernetes does: ``2018-05-21T08:35:40Z``."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
