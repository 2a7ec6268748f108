"""Durations: parsing Azure's two formats, and writing Go's format."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backupjobwatch.domain.jobs.durations import format_duration, parse_duration, parse_go_duration, whole_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT20M23.0896697S", 1223.089669),
        ("PT1H9M58.9495507S", 4198.949550),
        ("PT9.8782791S", 9.878279),
        ("PT5.65455S", 5.65455),
        ("PT0S", 0),
        ("PT5M", 300),
        ("P1DT2H3M4.5678901S", 93784.567890),
        ("PT26H3M4S", 93784),
        ("P2D", 172800),
        ("P1W", 604800),
        ("-PT5S", 0),
        ("-P1DT1S", 0),
        ("-PT4M20.8890416S", 0),
        (" PT5S ", 5),
    ],
)
def test_iso_8601(text: str, seconds: float) -> None:
    """ISO 8601 durations have up to seven decimals and may exceed a day. Negative ones become zero."""
    duration = parse_duration(text)

    assert duration is not None
    assert duration.total_seconds() == pytest.approx(seconds, abs=2e-6)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:20:23.0896697", 1223.089669),
        ("00:00:00", 0),
        ("01:31:05", 5465),
        ("1.02:03:04.5678901", 93784.567890),
        ("26:03:04", 93784),
        ("10.00:00:00", 864000),
        ("-00:00:05", 0),
        ("-1.00:00:01.5", 0),
        ("\t00:00:01\n", 1),
    ],
)
def test_dotnet(text: str, seconds: float) -> None:
    """.NET durations have up to seven decimals and may exceed a day. Negative ones become zero."""
    duration = parse_duration(text)

    assert duration is not None
    assert duration.total_seconds() == pytest.approx(seconds, abs=2e-6)


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, 1223, 1.5, [], {}, ["PT5S"], "", " ", "P", "PT5", "5S", "PT-5S", "pt5s ago", "20m23s", "20:23",
        "00:20", "1:2:3", "00:20:23:00", "00:20:23.", "a:b:c", "--00:00:01", "1.1.00:00:00", "P1Y", "P1M", "P1Y2DT1S",
        "P0003-06-04T12:30:05", "\ud800", "\u0000",
    ],
)  # fmt: skip
def test_malformed(value: object) -> None:
    """Text in any other format is not a duration. Years and months are rejected because their length varies."""
    assert parse_duration(value) is None


@pytest.mark.parametrize(
    "text",
    [
        f"PT{'9' * 400}S",
        f"P{'9' * 30}D",
        f"PT{'9' * 5000}S",
        f"{'9' * 400}:00:00",
        f"{'9' * 12}.00:00:00",
        f"-{'9' * 5000}:00:00",
        "10675199.02:48:05.4775807",  # .NET's TimeSpan.MaxValue
        "-10675199.02:48:05.4775808",
        "P36501D",
    ],
)
def test_huge(text: str) -> None:
    """A duration of more than 100 years is invalid."""
    assert parse_duration(text) is None


def test_longest() -> None:
    """A duration of 100 years is valid and fits the CRD's limit of 32 characters."""
    duration = parse_duration("P36500D")

    assert duration == timedelta(days=36500)
    assert format_duration(duration) == "876000h0m0s"


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(), "0s"),
        (timedelta(microseconds=999_999), "0s"),
        (timedelta(seconds=59), "59s"),
        (timedelta(seconds=60), "1m0s"),
        (timedelta(minutes=20, seconds=23, microseconds=89669), "20m23s"),
        (timedelta(minutes=20, seconds=23, microseconds=999_999), "20m23s"),
        (timedelta(hours=1), "1h0m0s"),
        (timedelta(hours=26, minutes=3, seconds=4), "26h3m4s"),
        (timedelta(days=2), "48h0m0s"),
        (timedelta(seconds=-5), "-5s"),
        (timedelta(microseconds=-1), "0s"),
        (timedelta(seconds=-90, microseconds=-5), "-1m30s"),
        (timedelta(hours=-25), "-25h0m0s"),
    ],
)
def test_go_style(duration: timedelta, text: str) -> None:
    """Durations are written in Go's format, in whole seconds rounded toward zero. Hours are the largest unit."""
    assert format_duration(duration) == text


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        (timedelta(seconds=1.9), 1),
        (timedelta(seconds=-1.9), -1),
        (timedelta(microseconds=-1), 0),
        (timedelta(days=1), 86400),
    ],
)
def test_whole_seconds(duration: timedelta, seconds: int) -> None:
    """Fractions of seconds are dropped: 20m23.9s becomes 20m23s."""
    assert whole_seconds(duration) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("1h30m", 5400), ("1.5h", 5400), ("0", 0), ("500ms", 0.5), ("2d", 172800)],
)
def test_go_durations_are_read(text: str, seconds: float) -> None:
    """Durations in Go's format are parsed."""
    assert parse_go_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "30", "half an hour", "PT5M", "99999999999999h"])
def test_invalid_go_durations(text: str) -> None:
    """Any other text is rejected, and the message shows a valid example."""
    with pytest.raises(ValueError, match="must be a duration such as 30s, 5m or 1h30m"):
        parse_go_duration(text)
