"""The list in which the first job of an item is looked up: its filter and its time window."""

from __future__ import annotations

import contextlib
import locale
from datetime import UTC, datetime, timedelta

import pytest

from backupjobwatch.domain.jobs.latest_job import LatestJob
from backupjobwatch.domain.jobs.latest_window import (
    NOT_STORED,
    check_completed_within,
    check_reach,
    check_started_after,
    history_window,
    list_filter,
    list_window,
    listed_since,
)
from backupjobwatch.domain.jobs.resource_ids import VaultId, VaultKind
from backupjobwatch.errors import InvalidSpec
from tests.support.builders import RESOURCE_GROUP, SUBSCRIPTION, VAULT

AFTER = datetime(2026, 3, 4, 1, 0, 0, tzinfo=UTC)


RECOVERY_SERVICES, BACKUP_VAULT = VaultKind.RECOVERY_SERVICES, VaultKind.BACKUP_VAULT


def latest(
    started_after: datetime | None, kind: VaultKind = RECOVERY_SERVICES, within: timedelta | None = None
) -> LatestJob:
    vault = VaultId(subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP, name=VAULT, kind=kind)
    return LatestJob(
        vault=vault,
        item="vm1",
        operation="Backup",
        container=None,
        started_after=started_after,
        completed_within=within,
    )


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
    """The filter has times on a 12-hour clock: midnight is 12 AM and noon is 12 PM."""
    end = datetime(2026, 3, 5, hour, minute, tzinfo=UTC)

    assert list_filter(AFTER, end) == (f"startTime eq '2026-03-04 01:00:00 AM' and endTime eq '2026-03-05 {written}'")


def test_filter_in_other_locales(monkeypatch: pytest.MonkeyPatch) -> None:
    """The filter has AM and PM in every locale. Some locales have no text for them."""
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


def test_filter_is_independent_of_the_locale() -> None:
    """The filter does not use the strftime directive for AM and PM, which depends on the locale."""

    class Time(datetime):
        def strftime(self, format: str) -> str:  # noqa: A002 -- the name of datetime's parameter
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
    """The window has whole days, from the day before the time to the end of tomorrow, and 1 to 30 days in all."""
    after, asked = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (started_after, now))
    window = list_window(latest(started_after=after), created=AFTER, now=asked)

    assert [f"{time:%Y-%m-%d %H:%M:%S}" for time in window] == [f"{start} 00:00:00", f"{end} 00:00:00"]
    assert window[0] < window[1]
    assert window[1] - window[0] <= timedelta(days=30)


def test_window_of_a_clock_that_is_behind() -> None:
    """The window includes jobs that start after midnight by Azure's clock, even if the local clock is slow."""
    now = datetime(2026, 3, 4, 23, 59, 59, tzinfo=UTC)

    _, end = list_window(latest(started_after=None), created=now, now=now)

    assert now + timedelta(days=1) < end


def test_window_of_a_manifest() -> None:
    """A manifest without a creation time still has a valid window."""
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


DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(("kind", "days"), [(RECOVERY_SERVICES, 29), (BACKUP_VAULT, 13)])
def test_limit_of_started_after(kind: VaultKind, days: int) -> None:
    """The limit depends on the kind of vault. The message has the limit and the value."""
    created, limit = AFTER, AFTER - days * DAY
    for started_after in (None, created, limit, created + 400 * DAY):
        check_started_after(latest(started_after, kind), created=created)
    with pytest.raises(InvalidSpec) as caught:
        check_started_after(latest(limit - SECOND, kind), created=created)

    assert f"at most {days} days before this object's creation (2026-03-04T01:00:00Z)" in str(caught.value)
    assert f"got {limit - SECOND:%Y-%m-%dT%H:%M:%SZ}." in str(caught.value)


def test_limit_of_a_manifest() -> None:
    """A manifest has no creation time, so ``startedAfter`` is not limited."""
    check_started_after(latest(AFTER - 400 * DAY), created=NOT_STORED)


@pytest.mark.parametrize("kind", [RECOVERY_SERVICES, BACKUP_VAULT])
@pytest.mark.parametrize(
    ("started_after", "searched", "age", "within"),
    [
        # Times are in units of the list's reach. All but the age of the object count from its creation.
        (None, None, 0.0, True),
        (None, None, 0.99, True),
        (None, None, 1.2, False),
        (-1.0, None, 0.0, True),
        (-1.0, None, 0.2, False),
        (0.9, None, 1.2, True),
        (None, 1.1, 1.2, True),
        (None, 20.0, 20.1, True),
        (None, 20.0, 21.2, False),
        (-1.0, 0.2, 0.3, True),
    ],
)
def test_reach(
    *, kind: VaultKind, started_after: float | None, searched: float | None, age: float, within: bool
) -> None:
    """A watch can still resolve its job if no job has left the list since its start or its last search."""
    reach = 29 * DAY if kind is RECOVERY_SERVICES else 13 * DAY
    after = None if started_after is None else AFTER + started_after * reach
    seen = None if searched is None else AFTER + searched * reach
    expected = contextlib.nullcontext() if within else pytest.raises(InvalidSpec, match=f"lists only {reach.days} days")
    with expected:
        check_reach(latest(after, kind), created=AFTER, searched=seen, now=AFTER + age * reach)


def test_search_ends_a_day_early() -> None:
    """Azure may list a job late, so the last day of a search does not count."""
    now = AFTER + 100 * DAY
    edge = listed_since(latest(None), now=now)
    check_reach(latest(None), created=AFTER, searched=edge + DAY, now=now)
    with pytest.raises(InvalidSpec):
        check_reach(latest(None), created=AFTER, searched=edge + DAY - SECOND, now=now)


@pytest.mark.parametrize(("kind", "hours"), [(RECOVERY_SERVICES, 624), (BACKUP_VAULT, 240)])
def test_limit_of_completed_within(kind: VaultKind, hours: int) -> None:
    """The limit depends on the kind of vault, and leaves three days for the job. The message has limit and value."""
    limit = timedelta(hours=hours)
    for within in (None, SECOND, limit):
        check_completed_within(latest(None, kind, within))
    with pytest.raises(InvalidSpec, match=f"must be at most {hours}h for a .*, got {hours}h0m1s") as caught:
        check_completed_within(latest(None, kind, limit + SECOND))

    assert "Backup vault" in str(caught.value) or kind is RECOVERY_SERVICES


@pytest.mark.parametrize(
    ("hours", "is_searched", "start"),
    [
        (1, False, "2026-03-01"),
        (2, False, "2026-02-28"),
        (24, False, "2026-02-28"),
        (624, False, "2026-02-03"),
        (624, True, "2026-03-01"),
        (1, True, "2026-03-01"),
    ],
)
def test_window_of_completed_within(hours: int, is_searched: bool, start: str) -> None:  # noqa: FBT001
    """The list begins three days before the time. After a complete search, only jobs that ended later matter."""
    wanted = latest(None, within=timedelta(hours=hours))
    first, end = list_window(wanted, created=AFTER, now=AFTER + 2 * SECOND, is_searched=is_searched)

    assert f"{first:%Y-%m-%d}" == start
    assert f"{end:%Y-%m-%d}" == ("2026-03-05" if hours == 624 and not is_searched else "2026-03-06")


@pytest.mark.parametrize(("kind", "reach", "longest"), [(RECOVERY_SERVICES, 29, 26), (BACKUP_VAULT, 13, 10)])
def test_reach_of_completed_within(kind: VaultKind, reach: int, longest: int) -> None:
    """A search may begin late by three days. After that, the list may lack a job that completed in time."""
    wanted = latest(None, kind, longest * DAY)
    for days in (0, 3):
        check_reach(wanted, created=AFTER, searched=None, now=AFTER + days * DAY)
    with pytest.raises(InvalidSpec, match=r"Set spec\.latest\.completedWithin to a shorter time"):
        check_reach(wanted, created=AFTER, searched=None, now=AFTER + 4 * DAY)
    check_reach(wanted, created=AFTER, searched=AFTER, now=AFTER + (reach - 1) * DAY)
    with pytest.raises(InvalidSpec):
        check_reach(wanted, created=AFTER, searched=AFTER, now=AFTER + reach * DAY)


def test_history_window() -> None:
    """The longest list ends with today, and its filter selects workload jobs."""
    start, end = history_window(datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC))

    assert list_filter(start, end, management_type="AzureWorkload") == (
        "backupManagementType eq 'AzureWorkload' and startTime eq '2026-03-02 12:00:00 AM' "
        "and endTime eq '2026-04-01 12:00:00 AM'"
    )
