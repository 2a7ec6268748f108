"""Durations: parse Azure's two formats and Go's, and write Go's."""

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
"""Go's durations end at 292 years. No job takes a hundred, so a longer one is a broken text."""


def parse_duration(value: object) -> timedelta | None:
    """Parse one of Azure's durations: ISO 8601 (``PT20M23.0896697S``) or .NET (``00:20:23.0896697``).

    Returns None for any other value, and for years and months, which have no fixed length. A negative duration becomes
    zero: Azure sends one for a job whose start time is ahead of the clock of the server that answers.
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
    """Read a duration as people write it for Go's programs (``30s``, ``1h30m``). ValueError says what to write."""
    try:
        duration: timedelta = durationpy.from_str(text)
    except (durationpy.DurationError, OverflowError):
        raise ValueError("write a duration such as 30s, 5m or 1h30m") from None
    return duration


def whole_seconds(duration: timedelta) -> int:
    """Return the seconds of *duration*, cut toward zero: a job that took 20m23.9s has not yet taken 20m24s."""
    return int(duration.total_seconds())


def format_duration(duration: timedelta) -> str:
    """Write *duration* in whole seconds as Go does: ``20m23s``, ``26h3m4s``, ``1h0m0s``, ``0s``, ``-5s``."""
    total = whole_seconds(duration)
    minutes, seconds = divmod(abs(total), 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}h{minutes}m{seconds}s" if hours else f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
    return f"-{text}" if total < 0 else text
