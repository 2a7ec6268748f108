"""The limit of backup requests for each namespace and hour."""

from __future__ import annotations

from datetime import timedelta

from backupjobwatch.domain.polling.backup_limit import BackupLimit
from tests.support.builders import NOW

HOUR = timedelta(hours=1)
NONE = timedelta()


def test_limit() -> None:
    """A request waits until an hour has passed since one of the earlier requests. Other namespaces do not count."""
    limit = BackupLimit(per_hour=2)
    limit.note("a", "1", NOW, now=NOW)
    assert limit.wait("a", "3", now=NOW) == NONE
    limit.note("a", "2", NOW + HOUR / 4, now=NOW + HOUR / 4)

    assert limit.wait("a", "3", now=NOW + HOUR / 2) == HOUR / 2
    assert limit.wait("b", "3", now=NOW + HOUR / 2) == NONE
    assert limit.wait("a", "3", now=NOW + HOUR) == NONE


def test_attempts() -> None:
    """Attempts of one request count once, and a request does not wait for itself."""
    limit = BackupLimit(per_hour=1)
    limit.note("a", "1", NOW, now=NOW)
    limit.note("a", "1", NOW + HOUR / 2, now=NOW + HOUR / 2)

    assert limit.wait("a", "1", now=NOW) == NONE
    assert limit.wait("a", "2", now=NOW + HOUR) == NONE


def test_old_requests() -> None:
    """Requests of earlier hours are dropped."""
    limit = BackupLimit(per_hour=1)
    limit.note("a", "1", NOW, now=NOW + 2 * HOUR)
    assert limit.wait("a", "2", now=NOW + 2 * HOUR) == NONE

    limit.note("a", "1", NOW, now=NOW)
    limit.note("a", "2", NOW, now=NOW + 2 * HOUR)
    assert limit.wait("a", "3", now=NOW) == NONE


def test_refused_requests() -> None:
    """A request that certainly started no backup does not count."""
    limit = BackupLimit(per_hour=1)
    limit.note("a", "1", NOW, now=NOW)
    limit.forget("a", "1")
    limit.forget("b", "1")
    assert limit.wait("a", "2", now=NOW) == NONE

    limit = BackupLimit(per_hour=1)
    limit.note("a", "1", NOW, now=NOW)
    limit.note("a", "2", NOW, now=NOW)
    limit.forget("a", "1")
    assert limit.wait("a", "3", now=NOW) == HOUR
