"""Times: parsing Azure's formats, and writing Kubernetes' format."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from backupjobwatch.domain.jobs.times import format_time, parse_time

SECOND = datetime(2018, 5, 21, 8, 35, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fraction", "microseconds"),
    [
        ("", 0),
        (".9", 900000),
        (".94", 940000),
        (".948", 948000),
        (".9488", 948800),
        (".94889", 948890),
        (".948896", 948896),
        (".9488967", 948896),
    ],
)
@pytest.mark.parametrize("zone", ["Z", "z", "", "+00:00"])
def test_fractions(fraction: str, microseconds: int, zone: str) -> None:
    """Azure trims trailing zeros: times have 0 to 7 fractional digits. Without a time zone they are in UTC."""
    assert parse_time(f"2018-05-21T08:35:40{fraction}{zone}") == SECOND + timedelta(microseconds=microseconds)


@pytest.mark.parametrize("text", ["2018-05-21T14:05:40+05:30", "2018-05-21T01:35:40-07:00"])
def test_zones(text: str) -> None:
    """A time in another time zone is converted to UTC."""
    time = parse_time(text)

    assert time == SECOND
    assert time.tzinfo is UTC


@pytest.mark.parametrize("year", ["0001", "2001"])
@pytest.mark.parametrize("zone", ["", "Z"])
@pytest.mark.parametrize("fraction", ["", ".0000000"])
def test_sentinels(year: str, zone: str, fraction: str) -> None:
    """The years 1 and 2001 mean "no time", with and without a time zone."""
    assert parse_time(f"{year}-01-01T00:00:00{fraction}{zone}") is None


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_ends_of_the_calendar(text: str) -> None:
    """A time that leaves the calendar's range when it is converted to UTC is ignored and does not raise."""
    assert parse_time(text) is None


@pytest.mark.parametrize(
    "value",
    [None, True, 0, 1526891740, 1.5, [], {}, "", " ", "now", "21/05/2018", "2018-13-01T00:00:00Z", "/Date(1526891740)/",
     "2018-05-21T08:35:40ZZ", "2018-05-21T25:00:00Z", "\ud800", "\u0000"],
)  # fmt: skip
def test_malformed(value: object) -> None:
    """Invalid text is not a time."""
    assert parse_time(value) is None


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (SECOND, "2018-05-21T08:35:40Z"),
        (SECOND + timedelta(microseconds=999_999), "2018-05-21T08:35:40Z"),
        (SECOND.astimezone(timezone(timedelta(hours=9))), "2018-05-21T08:35:40Z"),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "9999-12-31T23:59:59Z"),
    ],
)
def test_format(time: datetime, text: str) -> None:
    """Times are written in UTC with whole seconds and a Z."""
    assert format_time(time) == text
    assert parse_time(text) == time.replace(microsecond=0)
