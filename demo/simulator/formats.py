"""
Format times and durations as Azure Backup does.

Azure uses .NET ticks of 100 ns, which are too precise for ``datetime``. Times are therefore an ``int`` of ticks since
the Unix epoch, and durations an ``int`` of ticks.
"""

import re
from datetime import UTC, datetime, timedelta

TICKS = 10_000_000
"""The number of ticks in a second."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?Z")


def ticks_of(seconds: float) -> int:
    """Round *seconds* to ticks."""
    return round(seconds * TICKS)


def ticks_at(moment: datetime) -> int:
    """Return the ticks from the Unix epoch to *moment*."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 10


def moment_at(ticks: int) -> datetime:
    """Return the time of *ticks*, truncated to microseconds."""
    return _EPOCH + timedelta(microseconds=ticks // 10)


def parse_timestamp(text: str) -> int:
    """Parse a timestamp with 0 to 7 fractional digits and ``Z``."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise ValueError(f"not one of Azure's timestamps: {text!r}")
    whole = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    return ticks_at(whole) + int((match[2] or "").ljust(7, "0"))


def timestamp(ticks: int) -> str:
    """Format a time in UTC with up to 7 fractional digits, without trailing zeros."""
    seconds, fraction = divmod(ticks, TICKS)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}{_fraction(fraction)}Z"


def iso8601_duration(ticks: int) -> str:
    """Format a duration as Recovery Services does: ``PT41M17.9270278S``, ``P1DT2H3M4.5S``, ``PT0S``."""
    days, hours, minutes, seconds, fraction = _parts(ticks)
    date = f"{days}D" if days else ""
    time = "".join(f"{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M")) if number)
    if seconds or fraction or not (date or time):
        time += f"{seconds}{_fraction(fraction)}S"
    return f"P{date}{'T' if time else ''}{time}"


def timespan(ticks: int) -> str:
    """Format a duration in .NET's constant format, such as ``00:20:23.0896697`` or ``1.02:03:04``."""
    days, hours, minutes, seconds, fraction = _parts(ticks)
    return (
        (f"{days}." if days else "")
        + f"{hours:02}:{minutes:02}:{seconds:02}"
        + (f".{fraction:07}" if fraction else "")  # the constant format keeps trailing zeros
    )


def _parts(ticks: int) -> tuple[int, int, int, int, int]:
    if ticks < 0:
        raise ValueError(f"a job's duration is not negative: {ticks}")
    seconds, fraction = divmod(ticks, TICKS)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return days, hours, minutes, seconds, fraction


def _fraction(fraction: int) -> str:
    return f".{fraction:07}".rstrip("0") if fraction else ""
