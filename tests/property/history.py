"""Histories of a watch: user actions and results of Azure, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.status.assessment import Assessment
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.domain.status.transitions import needs_write
from backupjobwatch.domain.status.verdict import counts
from backupjobwatch.errors import AzureError, PollDeferred
from tests.support.builders import (
    JOB_ID,
    NOW,
    OTHER_JOB_NAME,
    edit,
    job,
    list_entry,
    request,
    watch_body,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backupjobwatch.domain.jobs.job import Job
from tests.property.strategies import observations

HEARTBEAT = timedelta(minutes=5)

_edits = st.one_of(
    st.fixed_dictionaries({"suspend": st.booleans()}),
    st.fixed_dictionaries({"revision": st.sampled_from(["v1", "v2", None])}),
    st.fixed_dictionaries({"pollInterval": st.sampled_from(["10s", "30s", "5m", "7s"])}),
    st.fixed_dictionaries({"jobResourceId": st.sampled_from([JOB_ID, JOB_ID.upper(), JOB_ID[:-36] + OTHER_JOB_NAME, "x"])}),
    st.fixed_dictionaries({"completedWithWarnings": st.sampled_from(["Succeeded", "Failed"])}),
    st.fixed_dictionaries({"graceSeconds": st.sampled_from([0, 60, 600])}),
    st.fixed_dictionaries({"activeDeadlineSeconds": st.sampled_from([60, 3600, 172800])}),
    st.just({}),
)  # fmt: skip
_requests = st.one_of(st.none(), st.none(), st.text(max_size=300))
_waits = st.sampled_from([0, 0, 10, 30, 30, 300, 700, 4000, 200000]).map(lambda seconds: timedelta(seconds=seconds))


@dataclass(frozen=True, slots=True)
class Act:
    """A user action on a watch, followed by a result of Azure."""

    fields: dict[str, Any]
    requested: str | None
    wait: timedelta
    observation: Job | AzureError
    accept_list_entry: bool = False


histories = st.lists(
    st.builds(Act, st.one_of(st.just({}), st.just({}), _edits), _requests, _waits, observations, st.booleans()),
    min_size=1,
    max_size=7,
)

_ends = st.sampled_from(["Completed", "Failed", "Cancelled", "CompletedWithWarnings", "InProgress"])
_calm = st.builds(Act, st.just({}), _requests, _waits, observations, st.booleans())
endings = st.builds(
    lambda before, entry, between, detail: [*before, entry, *between, detail],
    st.lists(_calm, max_size=2),
    st.builds(Act, st.just({}), _requests, _waits, st.builds(list_entry, status=_ends), st.just(True)),
    st.lists(_calm, max_size=2),
    st.builds(Act, st.just({}), _requests, _waits, st.builds(job, status=_ends), st.booleans()),
)
"""Histories in which a list shows the end of the job, and a later GET shows the same or another end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One step of a history, with the object before it and the object to write."""

    before: dict[str, Any]
    after: dict[str, Any]
    observation: Job | AzureError
    consecutive_failures: int
    now: datetime
    accept_list_entry: bool
    written: bool

    def status_again(self) -> dict[str, Any]:
        """Return the status for the same observation at the same time, based on the new status."""
        return next_status(
            Watch.from_body(self.after),
            Assessment(
                finding=self.observation,
                consecutive_failures=self.consecutive_failures,
                accept_list_entry=self.accept_list_entry,
            ),
            now=self.now,
        )


def replay(history: list[Act]) -> Iterator[Moment]:
    """Yield the moments of *history*, counting failures and skipping needless writes as the operator does."""
    body, now, consecutive_failures = watch_body(), NOW, 0
    for act in history:
        now += act.wait
        before = edit(body, **act.fields)
        if act.requested is not None:
            before = request(before, act.requested)
        watch = Watch.from_body(before)
        if not isinstance(act.observation, PollDeferred):
            consecutive_failures = consecutive_failures + 1 if counts(watch, act.observation) else 0
        status = next_status(
            watch,
            Assessment(
                finding=act.observation,
                consecutive_failures=consecutive_failures,
                accept_list_entry=act.accept_list_entry,
            ),
            now=now,
        )
        after = {**before, "status": status}
        written = needs_write(before["status"], status, heartbeat=HEARTBEAT)
        yield Moment(
            before=before,
            after=after,
            observation=act.observation,
            consecutive_failures=consecutive_failures,
            now=now,
            accept_list_entry=act.accept_list_entry,
            written=written,
        )
        body = after if written else before
