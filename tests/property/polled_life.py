"""Histories of a watch whose jobs are polled: polls, edits and the resulting statuses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

from backupjobwatch.controller.watch_state import WatchState
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import WatchSpec
from backupjobwatch.domain.jobs.findings import PinnedJob, Waiting
from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.domain.polling.observations import NEVER, Observation, observe
from backupjobwatch.domain.polling.requirements import required_queries
from backupjobwatch.domain.status.assessment import assess
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.domain.status.transitions import needs_write
from backupjobwatch.domain.status.verdict import deadline
from backupjobwatch.errors import AzureError, NotPolledYet
from tests.property.azure_model import NEVER_ENDS, ModelJob
from tests.property.oracles import check_status
from tests.support.azure_errors import KINDS, NO_REQUEST
from tests.support.builders import OPERATION, VAULT_REF, edit, watch_body
from tests.support.polling import START, wall

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backupjobwatch.domain.polling.queries import Query

INTERVAL: Final = 30.0
HEARTBEAT: Final = timedelta(minutes=5)
NAMES: Final = [f"b0b00001-5e1f-4000-8000-{number:012}" for number in range(3)]


@dataclass(frozen=True, slots=True)
class Poll:
    """A result that arrives after *wait*, of a request that was sent some time before."""

    wait: float
    sent_before: float
    query: int
    """The index of the query, modulo the number of queries."""
    is_list: bool
    error: AzureError | None


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit to the target."""

    wait: float
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A watch of some jobs, and how they end."""

    by_operation: bool
    jobs: tuple[tuple[float, str], ...]
    starts_after: float
    """When the operation starts its jobs."""
    deadline: int
    warnings: str = "Failed"
    """``spec.completedWithWarnings``."""


_waits = st.sampled_from([0.0, 1.0, 10.0, 30.0, 200.0, 700.0, 3000.0])
_errors = st.sampled_from([kind("Trouble.") for kind in KINDS if kind not in NO_REQUEST])
_polls = st.builds(
    Poll,
    wait=_waits,
    sent_before=st.sampled_from([0.0, 0.5, 20.0, 400.0]),
    query=st.integers(0, 2),
    is_list=st.booleans(),
    error=st.one_of(st.none(), st.none(), st.none(), _errors),
)
_edits = st.builds(
    Edit,
    wait=_waits,
    fields=st.sampled_from([
        {"graceSeconds": 60}, {"graceSeconds": 600}, {"completedWithWarnings": "Succeeded"}, {"activeDeadlineSeconds": 300},
    ]),
)  # fmt: skip
ACTS = st.lists(st.one_of(_polls, _polls, _polls, _polls, _edits), min_size=2, max_size=14)
CASES = st.builds(
    Case,
    by_operation=st.booleans(),
    jobs=st.lists(
        st.tuples(
            st.sampled_from([-100.0, 0.0, 50.0, 290.0, 310.0, 1000.0, NEVER_ENDS]),
            st.sampled_from(["Completed", "Completed", "CompletedWithWarnings", "Failed"]),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    starts_after=st.sampled_from([-100.0, 100.0]),
    deadline=st.sampled_from([60, 300, 3600]),
    warnings=st.sampled_from(["Failed", "Succeeded"]),
)


@dataclass(slots=True, kw_only=True)
class Life:
    """One watch that is reconciled after each act as in ``controller.reconciler``."""

    case: Case
    now: float = START
    body: dict[str, Any] = field(init=False)
    state: WatchState = field(init=False)
    observations: dict[Query, Observation] = field(default_factory=dict)
    required: tuple[Query, ...] = ()
    edited: float = NEVER
    """When the target was last edited after the watch had a status."""
    version: int = 100

    def __post_init__(self) -> None:
        source = {"operationId": OPERATION} if self.case.by_operation else {"jobName": NAMES[0]}
        self.body = watch_body(
            {
                **source,
                "vault": VAULT_REF,
                "activeDeadlineSeconds": self.case.deadline,
                "completedWithWarnings": self.case.warnings,
            }
        )
        self.state = WatchState(watch=Watch.from_body(self.body), stored_at=self.now, since=self.now)

    @property
    def models(self) -> list[ModelJob]:
        jobs = self.case.jobs if self.case.by_operation else self.case.jobs[:1]
        vault = self._spec().source.vault
        return [
            ModelJob(id=JobId(vault=vault, name=name), ends=START + ends, final=final)
            for name, (ends, final) in zip(NAMES, jobs, strict=False)
        ]

    def act(self, act: Poll | Edit) -> None:
        self.now += act.wait
        if isinstance(act, Edit):
            before = self.state.watch.target
            self._store(edit(self.body, **act.fields))
            if self.state.watch.target != before and self.state.watch.is_retargeted:
                self.edited = self.now
        elif self.required:
            self._poll(act, self.required[act.query % len(self.required)])

    def _poll(self, act: Poll, query: Query) -> None:
        known = self.observations.get(query)
        sent = self.now - act.sent_before
        if known is not None and (known.sent > sent or known.is_final):
            return
        result: Any = act.error
        if result is None and isinstance(query, JobId):
            (model,) = [each for each in self.models if each.id == query]
            result = model.at(sent, partial=act.is_list)
        elif result is None and sent < START + self.case.starts_after:
            result = Waiting(reason="Progressing", message="m")
        elif result is None:
            result = tuple(PinnedJob(name=model.id.name) for model in self.models)
        self.observations[query] = observe(known, result, sent=sent, time=wall(sent))

    def reconcile(self) -> bool:
        """Reconcile once, and write if needed. Return whether this finished the watch."""
        watch, now = self.state.watch, wall(self.now)
        if watch.finished:
            return False
        spec = self._spec()
        end = deadline(watch, spec)
        if end is None or now < end:
            self.state.deadline_since = None
        elif self.state.deadline_since is None:
            self.state.deadline_since = self.now
        required = required_queries(watch, spec, self.observations, now=now, pinned=self.state.pinned)
        self.state.pinned, self.required = required.pinned, tuple(sorted(required.queries, key=str))
        found = assess(
            watch, spec, required, self.observations, now=now, times=self.state.times(self.now), waiting_for="Wait."
        )
        if found.finding is None and not watch.is_retargeted:
            return False
        found = replace(found, finding=found.finding or NotPolledYet())
        status = next_status(watch, found, now=now, pinned=self.state.pinned)
        if not needs_write(watch.status, status, heartbeat=HEARTBEAT):
            return False
        self._store({**self.body, "status": status})
        check_status(self.body)
        return self.state.watch.finished

    def _store(self, body: dict[str, Any]) -> None:
        self.version += 1
        self.body = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}
        self.state.store(Watch.from_body(self.body), self.now)

    def _spec(self) -> WatchSpec:
        spec = self.state.watch.parsed_spec
        assert isinstance(spec, WatchSpec)
        return spec


def finishes(case: Case, acts: list[Poll | Edit]) -> Iterator[Life]:
    """Apply *acts*, and yield the life when the watch finishes."""
    life = Life(case=case)
    life.reconcile()
    for act in acts:
        life.act(act)
        for _ in range(3):
            if life.reconcile():
                yield life
