"""Parse Azure's two duration formats and Go's, and format durations like Go."""

from __future__ import annotations

import re
from datetime import timedelta

import durationpy
import isodate

_DOTNET = re.compile(r"(?P<sign>-?)(?:(?P<days>\d+)\.)?(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d(?:\.\d+)?)")
"""The .NET constant format ``[-][d.]hh:mm:ss[.fffffff]``, which older api-versions and Backup vaults send.

https://learn.microsoft.com/dotnet/standard/base-types/standard-timespan-format-strings
"""
_LONGEST = timedelta(days=100 * 365)
"""Longest duration that is accepted. Go's durations end at 292 years, so clients written in Go can parse it."""


def parse_duration(value: object) -> timedelta | None:
    """Parse a duration in ISO 8601 (``PT20M23.0896697S``) or .NET format (``00:20:23.0896697``).

    Return None for any other value, and for years and months, which have no fixed length. A negative duration becomes
    zero. Azure sends one if a job's start time is ahead of the clock of the responding server.
    """
    if not isinstance(value, str):
        return None
    text = value.strip()
    try:
        duration = _parse_dotnet(text) if ":" in text else isodate.parse_duration(text)
    except (ValueError, ArithmeticError):  # isodate.ISO8601Error is a ValueError
        return None
    if not isinstance(duration, timedelta) or abs(duration) > _LONGEST:
        return None
    return max(duration, timedelta())


def _parse_dotnet(text: str) -> timedelta:
    match = _DOTNET.fullmatch(text)
    if match is None:
        raise ValueError(text)
    parts = {name: float(match[name] or 0) for name in ("days", "hours", "minutes", "seconds")}
    return timedelta(**parts) * (-1 if match["sign"] else 1)


def parse_go_duration(text: str) -> timedelta:
    """Parse a Go duration (``30s``, ``1h30m``). Raise ValueError, with an example, if it is malformed."""
    try:
        duration: timedelta = durationpy.from_str(text)
    except (durationpy.DurationError, OverflowError):
        raise ValueError("must be a duration such as 30s, 5m or 1h30m") from None
    return duration


def whole_seconds(duration: timedelta) -> int:
    """Return *duration* in seconds, truncated toward zero."""
    return int(duration.total_seconds())


def format_duration(duration: timedelta) -> str:
    """Format *duration* in whole seconds like Go: ``20m23s``, ``26h3m4s``, ``1h0m0s``, ``0s``, ``-5s``."""
    total = whole_seconds(duration)
    minutes, seconds = divmod(abs(total), 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}h{minutes}m{seconds}s" if hours else f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
    return f"-{text}" if total < 0 else text
