"""The list in which the first job of an item after a time is looked up: its filter, and the time that it spans."""

from __future__ import annotations

import locale
from datetime import UTC, datetime, timedelta

import pytest

from backupjobwatch.core.arm_ids import VaultId
from backupjobwatch.core.latest import list_filter, list_window
from backupjobwatch.core.target import LatestJob
from tests.support.builders import RESOURCE_GROUP, SUBSCRIPTION, VAULT

AFTER = datetime(2026, 3, 4, 1, 0, 0, tzinfo=UTC)
VAULT_ID = VaultId(subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP, name=VAULT)


def latest(started_after: datetime | None) -> LatestJob:
    return LatestJob(vault=VAULT_ID, item="vm1", operation="Backup", container=None, started_after=started_after)


@pytest.mark.parametrize(
    ("hour", "minute", "written"),
    [
        (0, 0, "12:00:00 AM"),
        (0, 59, "12:59:00 AM"),
        (1, 5, "01:05:00 AM"),
        (11, 59, "11:59:00 AM"),
        (12, 0, "12:00:00 PM"),
        (12, 30, "12:30:00 PM"),
        (13, 5, "01:05:00 PM"),
        (23, 59, "11:59:00 PM"),
    ],
)
def test_filter(hour: int, minute: int, written: str) -> None:
    """Times in the filter are on a 12-hour clock: midnight is 12 AM and noon is 12 PM."""
    end = datetime(2026, 3, 5, hour, minute, tzinfo=UTC)

    assert list_filter(AFTER, end) == (f"startTime eq '2026-03-04 01:00:00 AM' and endTime eq '2026-03-05 {written}'")


def test_filter_in_other_locales(monkeypatch: pytest.MonkeyPatch) -> None:
    """No locale translates AM and PM, which in some are nothing at all."""
    wanted = list_filter(AFTER, AFTER + timedelta(hours=12))
    before = locale.setlocale(locale.LC_TIME)
    try:
        for name in ("de_DE.UTF-8", "ja_JP.UTF-8", "C.UTF-8", "C"):
            try:
                locale.setlocale(locale.LC_TIME, name)
            except locale.Error:
                continue
            assert list_filter(AFTER, AFTER + timedelta(hours=12)) == wanted
    finally:
        locale.setlocale(locale.LC_TIME, before)
    assert wanted.endswith("01:00:00 PM'")


def test_filter_does_not_ask_the_locale() -> None:
    """Not even the directive for AM and PM is used: most images have one locale, users' machines have others."""

    class Time(datetime):
        def strftime(self, format: str) -> str:  # noqa: A002 - datetime's name
            assert "%p" not in format
            return super().strftime(format)

        def __format__(self, spec: str) -> str:
            return self.strftime(spec)

    list_filter(Time(2026, 3, 4, tzinfo=UTC), Time(2026, 3, 5, 13, tzinfo=UTC))


@pytest.mark.parametrize(
    ("started_after", "now", "start", "end"),
    [
        ("2026-03-04T01:00:00", "2026-03-04T15:30:00", "2026-03-03", "2026-03-06"),
        ("2026-03-04T01:00:00", "2026-03-06T00:00:00", "2026-03-03", "2026-03-08"),
        ("2026-03-01T00:00:00", "2026-03-04T23:59:59", "2026-02-28", "2026-03-06"),
        ("2026-03-04T01:00:00", "2026-03-31T23:59:59", "2026-03-03", "2026-04-02"),
        ("2025-01-01T00:00:00", "2026-03-31T23:59:59", "2026-03-02", "2026-04-01"),
        ("2026-03-04T16:00:00", "2026-03-04T15:30:00", "2026-03-03", "2026-03-06"),
        ("2026-06-01T00:00:00", "2026-03-04T15:30:00", "2026-03-04", "2026-03-06"),
    ],
)
def test_window(started_after: str, now: str, start: str, end: str) -> None:
    """Whole days are listed, from the one before the time to tomorrow's end; never more than 30, never none."""
    after, asked = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (started_after, now))
    window = list_window(latest(started_after=after), created=AFTER, now=asked)

    assert [f"{time:%Y-%m-%d %H:%M:%S}" for time in window] == [f"{start} 00:00:00", f"{end} 00:00:00"]
    assert window[0] < window[1]
    assert window[1] - window[0] <= timedelta(days=30)


def test_window_of_a_clock_that_is_behind() -> None:
    """A job that starts after Azure's midnight is listed, though it is not midnight here: the clock is behind by a day."""
    now = datetime(2026, 3, 4, 23, 59, 59, tzinfo=UTC)

    _, end = list_window(latest(started_after=None), created=now, now=now)

    assert now + timedelta(days=1) < end


def test_window_of_a_manifest() -> None:
    """An object that was never stored has no creation time, and still a window that can be asked for."""
    start, end = list_window(latest(started_after=None), created=datetime.max.replace(tzinfo=UTC), now=AFTER)

    assert start < end


def test_shared_windows() -> None:
    """Watches of one vault whose times differ by hours share one list."""
    windows = {
        list_window(
            latest(started_after=AFTER + timedelta(hours=hours)), created=AFTER, now=AFTER + timedelta(hours=20, seconds=hours)
        )
        for hours in range(20)
    }  # fmt: skip

    assert len(windows) == 1
