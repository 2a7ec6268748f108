"""What is remembered of one watch that is followed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from backupjobwatch.domain.api.spec import poll_interval
from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.domain.polling.schedule import RAREST, backoff, failures_after, until
from backupjobwatch.domain.status.summary import summarize
from backupjobwatch.domain.status.verdict import STALE, ConsecutiveFailures

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from backupjobwatch.controller.reconciler import Calm
    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.jobs.observations import Observation
    from backupjobwatch.domain.status.notifications import DeliveryResult
    from backupjobwatch.domain.status.summary import Summary
    from backupjobwatch.domain.status.transitions import Transition


@dataclass(slots=True, kw_only=True)
class WatchState:
    """One watch, by uid. All of this may be lost: the object has what matters."""

    watch: Watch
    """The latest snapshot that was seen."""
    seen: tuple[int, str | None] = (0, None)
    """Generation and requested_at of the object as last seen."""
    observed: int = 0
    """The generation that the status was about, as last seen."""
    handled: str | None = None
    """The request that the status has acknowledged, as last seen."""
    polled: int = 0
    """The generation that was last polled for, whatever came of it."""
    interval: timedelta | None = None
    """How often it wants to be reconciled; None for finished and suspended watches."""
    since: float
    """When it began to want just that, on the event loop's clock, like the next four."""
    last_reconcile: float
    """When its last step ended, or it was first seen."""
    last_poll: float = float("-inf")
    asked: datetime | None = None
    """When Azure was last asked for it, if that is known better than by its status."""
    last_request: float = float("-inf")
    """When a request for a poll was last granted."""
    not_before: float = float("-inf")
    """Until then, Azure is left alone for this watch."""
    failures: int = 0
    """Observations in a row that were trouble with Azure."""
    consecutive_failures: ConsecutiveFailures = field(default_factory=ConsecutiveFailures)
    """Observations in a row whose trouble grace counts."""
    pending_events: dict[str, Transition] = field(default_factory=dict)
    """Transitions, by Event name, that were not told yet."""
    deliveries: tuple[Watch, tuple[DeliveryResult, ...]] | None = None
    """What became of notifications, and a snapshot of the object to write that from."""
    task: asyncio.Task[None] | None = None
    """The one step that is under way."""
    wanted: Watch | None = None
    """A snapshot to step from next."""
    calm: Calm | None = None
    """What the last step said of the next."""
    alarm: asyncio.TimerHandle | None = None
    """Set where a step that is wanted has to wait for its turn."""
    turn: asyncio.TimerHandle | None = None
    """Set where Azure is to be asked before the next tick: the budget did not cover the last one, or there is news."""
    write_outcome_unknown: bool = False
    """Whether a status was perhaps written without our knowing, and so without an Event."""
    _summary: Summary | None = None

    def presume_asked(self, now: datetime) -> None:
        """Take a watch that is seen for the first time for asked about till now, where its status is as old as it may be.

        The process before this one wrote it the last time so long before it ended, and did not write down what it saw
        since. A status that is older has not been looked after meanwhile.
        """
        polled = parse_time(self.watch.status_for_target.get("lastPollTime"))
        self.asked = now if polled is not None and now - polled < RAREST + STALE else None

    def take_note(self, watch: Watch, now: float) -> bool:
        """Remember what *watch* says of itself; False where a later snapshot was seen: streams lag behind steps."""
        self.seen = (watch.generation, watch.requested_at)
        self.observed = watch.generation if watch.observed else 0
        self.handled = watch.handled
        interval = None if watch.is_idle else poll_interval(watch.spec)
        if interval != self.interval:
            self.interval, self.since = interval, now
        if watch.version < self.watch.version:
            return False
        self.watch, self._summary = watch, None
        return True

    def back_off(self, observation: Observation, deadline: datetime | None) -> None:
        """Leave Azure alone for a while after trouble with it, but not beyond a deadline."""
        self.failures = failures_after(observation, self.failures)
        if self.failures <= 1:
            self.not_before = self.last_reconcile
            return
        delay = backoff(self.failures, self.interval or timedelta(), seed=f"{self.watch.namespace}:{self.watch.name}")
        delay = until(deadline, now=datetime.now(UTC), at_most=delay)
        self.not_before = self.last_reconcile + delay.total_seconds()

    @property
    def summary(self) -> Summary:
        """What its metrics say."""
        if self._summary is None:
            self._summary = summarize(self.watch)
        return self._summary

    @property
    def unwritten(self) -> bool:
        """Whether there is something settled that no tick will write down."""
        return self.deliveries is not None and self.interval is None

    def cancel_turn(self) -> None:
        """Cancel the poll that is planned before the next tick."""
        if self.turn is not None:
            self.turn.cancel()
            self.turn = None

    def end(self) -> None:
        """Let go of all that is under way or planned."""
        for each in (self.alarm, self.turn, self.task):
            if each is not None:
                each.cancel()

    def take_wanted(self) -> Watch | None:
        """Return what a step is to be taken from, if one is wanted; it is wanted no more then."""
        watch, self.wanted = self.wanted, None
        return watch

    def remember(self, pending_events: Iterable[Transition]) -> None:
        """Remember what is to be told of the watch."""
        self.pending_events.update({each.name: each for each in pending_events})

    def told(self, name: str) -> None:
        """Remember no more what has been told, nor keep the room of a dictionary that is empty most of the time."""
        self.pending_events = {each: transition for each, transition in self.pending_events.items() if each != name}

    def wants(self, watch: Watch) -> bool:
        """Tell whether *watch*, perhaps no longer the latest, asks for something that was not done yet."""
        requested = watch.requested_at is not None and watch.requested_at != self.handled
        return watch.generation != self.observed or requested

    @property
    def due(self) -> float:
        """When the next poll is due; never, for a watch that is not polled."""
        if self.interval is None:
            return float("inf")
        return max(max(self.since, self.last_poll) + self.interval.total_seconds(), self.not_before)

    def missed(self, metadata: Watch, now: float, *, steps: bool, tells: bool) -> bool:
        """Tell from the object's *metadata* whether something was missed about it that nothing under way makes up for.

        It *steps*, or *tells* what is pending_events, as soon as it is its turn, if that is so.
        """
        if self.task is not None:
            return False
        changed = self.seen != (metadata.generation, metadata.requested_at)
        undone = (
            self.write_outcome_unknown or (self.pending_events and not tells) or self.unwritten or self.overdue(now)
        )
        return changed or (not steps and bool(undone))

    def overdue(self, now: float) -> bool:
        """Tell whether ticks that should have come did not: for two intervals, times of backoff apart."""
        if self.interval is None or self.task is not None:
            return False
        interval = self.interval.total_seconds()
        return now > max(self.last_reconcile + 2 * interval, self.not_before + interval)
