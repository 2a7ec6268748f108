"""The watches that are followed: when each was last stepped, and one step at a time for each.

Timers, watch events and the sweep all end here. None of them is relied upon: whatever the one misses, another brings,
and a step that has nothing to do writes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from backupjobwatch.core.schedule import backoff
from backupjobwatch.core.spec import poll_interval
from backupjobwatch.core.transitions import describe, worth_repeating
from backupjobwatch.errors import AzureError, NotAsked

if TYPE_CHECKING:
    from backupjobwatch.core.transitions import Transition
    from backupjobwatch.core.watch import Watch
    from backupjobwatch.step import Step, Stepper

_log = logging.getLogger(__name__)

REQUEST_EVERY: Final = 10.0
"""Seconds between two polls that an annotation asks for: it is anybody's who may edit the object."""
REPEAT_WITHIN: Final = timedelta(hours=1)
"""How long ago a watch may have finished for its end to be told again at start. Kubernetes keeps Events that long."""


@dataclass(slots=True, kw_only=True)
class Entry:
    """What is remembered of one watch, by uid. All of it may be lost: the object has what matters."""

    watch_key: tuple[str, str]
    """Namespace and name."""
    seen: tuple[int, str | None] = (0, None)
    """Generation and requested_at of the object as last seen."""
    observed: int = 0
    """The generation that the status was about, as last seen."""
    handled: str | None = None
    """The request that the status has acknowledged, as last seen."""
    polled: int = 0
    """The generation that was last polled for, whatever came of it."""
    interval: timedelta | None = None
    """How often it wants to be stepped; None for finished and suspended watches."""
    last_step: float
    """On the event loop's clock, like the next two."""
    last_poll: float = float("-inf")
    not_before: float = float("-inf")
    """Until then, Azure is left alone for this watch."""
    failures: int = 0
    """Observations in a row that were trouble with Azure."""
    run: int = 0
    """Observations in a row whose trouble grace counts."""
    untold: dict[str, tuple[Watch, Transition]] = field(default_factory=dict)
    """Transitions, by Event name, that could not be told yet."""
    task: asyncio.Task[None] | None = None
    """The one step that is under way."""
    wanted: Watch | None = None
    """A snapshot to step from next."""
    alarm: asyncio.TimerHandle | None = None
    """Set where a step that is wanted has to wait for its turn."""
    unsure: bool = False
    """Whether a status was perhaps written without our knowing, and so without an Event."""

    def take_note(self, watch: Watch) -> None:
        """Remember what *watch* says of itself."""
        self.seen = (watch.generation, watch.requested_at)
        self.observed = watch.generation if watch.observed else 0
        self.handled = watch.handled
        self.interval = None if watch.settled else poll_interval(watch.spec)

    def wants(self, watch: Watch) -> bool:
        """Tell whether *watch*, perhaps no longer the latest, asks for something that was not done yet."""
        requested = watch.requested_at is not None and watch.requested_at != self.handled
        return watch.generation != self.observed or requested

    def overdue(self, now: float) -> bool:
        """Tell whether ticks that should have come did not: for two intervals, times of backoff apart."""
        if self.interval is None or self.task is not None:
            return False
        interval = self.interval.total_seconds()
        return now > max(self.last_step + 2 * interval, self.not_before + interval)


class Roster:
    """All watches that are followed."""

    def __init__(self, stepper: Stepper) -> None:
        self._stepper = stepper
        self._entries: dict[str, Entry] = {}
        self._closed = False

    @property
    def uids(self) -> frozenset[str]:
        """The uids of all watches that are followed."""
        return frozenset(self._entries)

    def notice(self, watch: Watch) -> timedelta | None:
        """Take note of an object as the cluster has it, and step at once where it asks for something new.

        Returns how often it wants to be stepped; None for not at all.
        """
        entry = self._entries.get(watch.uid)
        if entry is None:
            entry = Entry(watch_key=(watch.namespace, watch.name), last_step=_clock())
            self._entries[watch.uid] = entry
            ending = worth_repeating(watch, now=datetime.now(UTC), within=REPEAT_WITHIN)
            if ending is not None:
                entry.untold[ending.name] = (watch, ending)
        entry.take_note(watch)
        if watch.deleting:
            return None
        if entry.unsure and watch.observed:
            transition = describe(watch, watch.status)
            entry.untold[transition.name] = (watch, transition)
            entry.unsure = False
        if entry.wants(watch):
            self._want(entry, watch)
        elif entry.untold:
            self._work_on(entry)
        return entry.interval

    def tick(self, watch: Watch) -> bool:
        """Step a watch because its time has come. False where no such watch is followed any more."""
        entry = self._entries.get(watch.uid)
        if entry is None:
            return False
        now = _clock()
        half = (entry.interval or timedelta()).total_seconds() / 2
        # An event may have brought a poll just now.
        if entry.task is None and now >= entry.not_before and now - entry.last_poll >= half:
            self._step_from(entry, watch)
        return True

    def forget(self, uid: str) -> None:
        """Stop following a watch that is no more."""
        entry = self._entries.pop(uid, None)
        if entry is None:
            return
        if entry.alarm is not None:
            entry.alarm.cancel()
        if entry.task is not None:
            entry.task.cancel()

    def needs_a_look(self, metadata: Watch) -> bool:
        """Tell from an object's *metadata* alone whether something about it was missed."""
        entry = self._entries.get(metadata.uid)
        if entry is None or entry.overdue(_clock()):
            return True
        changed = entry.seen != (metadata.generation, metadata.requested_at)
        return entry.task is None and (changed or entry.unsure or bool(entry.untold))

    async def look(self, namespace: str, name: str) -> None:
        """Read an object anew, and make up for what was missed about it. StoreError where it can't be read."""
        watch = await self._stepper.read(namespace, name)
        if watch is None:
            return
        entry = self._entries.get(watch.uid)
        overdue = entry is not None and entry.overdue(_clock())
        self.notice(watch)
        entry = self._entries[watch.uid]
        if overdue and entry.interval is not None:
            self._step_from(entry, watch)
        elif entry.untold:
            self._work_on(entry)

    async def close(self, patience: float) -> None:
        """Begin no more steps; let those under way finish for *patience* seconds, then end them.

        Nothing is lost: see the objects.
        """
        self._closed = True
        tasks = [entry.task for entry in self._entries.values() if entry.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for uid in self.uids:
            self.forget(uid)

    def _want(self, entry: Entry, watch: Watch) -> None:
        """Step from *watch* out of the timer's rhythm: at once for an edit, else not too often.

        Anybody who may annotate the object can ask for it, at any rate.
        """
        wait = entry.last_poll + REQUEST_EVERY - _clock()
        if entry.task is not None:
            entry.wanted = watch  # and is looked at when the step that is under way has ended
        elif wait <= 0 or watch.finished or entry.polled != watch.generation:
            self._step_from(entry, watch)
        elif entry.alarm is None:
            entry.alarm = asyncio.get_running_loop().call_later(wait, self._ring, entry, watch)

    def _ring(self, entry: Entry, watch: Watch) -> None:
        entry.alarm = None
        if entry.wants(watch):  # else a tick has come first
            self._want(entry, watch)

    def _step_from(self, entry: Entry, watch: Watch) -> None:
        entry.wanted = watch
        self._work_on(entry)

    def _work_on(self, entry: Entry) -> None:
        if entry.task is None and not self._closed:
            entry.task = asyncio.create_task(self._work(entry))

    async def _work(self, entry: Entry) -> None:
        """Take the step that is wanted, if any, and tell what is untold."""
        try:
            watch, entry.wanted = entry.wanted, None
            if watch is not None:
                await self._step(entry, watch)
            for name, (told, transition) in list(entry.untold.items()):
                if await self._stepper.tell(told, transition):
                    del entry.untold[name]
        finally:
            entry.task = None
        watch, entry.wanted = entry.wanted, None
        if watch is not None and entry.wants(watch):
            self._want(entry, watch)

    async def _step(self, entry: Entry, watch: Watch) -> None:
        try:
            step = await self._stepper.take(watch, run=entry.run)
        except Exception:  # noqa: BLE001 -- a defect: one watch must not take the others with it
            _log.exception("%s/%s: a step failed", watch.namespace, watch.name)
            return
        finally:
            entry.last_step = _clock()
        entry.run = step.run
        if not isinstance(step.observation, NotAsked):
            entry.last_poll, entry.polled = entry.last_step, watch.generation
            self._back_off(entry, step)
        if step.failure is not None:
            _log.warning("%s/%s: the status was not written: %s", watch.namespace, watch.name, step.failure)
            entry.unsure = True
        elif step.watch is not None:  # else it is gone: the event or the sweep will say so
            entry.take_note(step.watch)
            if step.dropped:
                entry.wanted = entry.wanted or step.watch
            if step.untold is not None:
                entry.untold[step.untold.name] = (step.watch, step.untold)

    def _back_off(self, entry: Entry, step: Step) -> None:
        trouble = isinstance(step.observation, AzureError) and not step.observation.answered
        entry.failures = entry.failures + 1 if trouble else 0
        delay = backoff(entry.failures, entry.interval or timedelta(), seed=":".join(entry.watch_key))
        if step.deadline is not None:  # which is judged in time, whatever Azure does
            delay = min(delay, max(step.deadline - datetime.now(UTC), timedelta()))
        entry.not_before = entry.last_step + delay.total_seconds()


def _clock() -> float:
    return asyncio.get_running_loop().time()
