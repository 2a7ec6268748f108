"""Parse Azure's time formats, and format times like Kubernetes (RFC 3339, UTC, whole seconds)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_NO_TIME = 2001
"""Year of Azure's placeholders for no time: 0001-01-01 and 2001-01-01."""


def parse_time(value: object) -> datetime | None:
    """Parse a time with up to 7 fractional digits. Without a zone it is UTC. None if malformed or a placeholder."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value.upper())  # RFC 3339 and the API server allow a lowercase z.
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):  # OverflowError: year 1 in another zone.
        return None
    return None if time.year <= _NO_TIME else time


def parse_retry_after(value: str | None, *, now: datetime, limit: timedelta) -> timedelta | None:
    """Parse a Retry-After in seconds or as a date, limited to *limit*. None if missing or malformed."""
    if value is None:
        return None
    try:
        wait = timedelta(seconds=float(value))
    except (ValueError, OverflowError):
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        wait = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    return min(max(wait, timedelta()), limit)


def format_time(time: datetime) -> str:
    """Format *time* like Kubernetes: ``2018-05-21T08:35:40Z``."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
