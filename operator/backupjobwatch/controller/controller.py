"""The watches that are followed: when each was last stepped, and one step at a time for each.

Timers, watch events and the sweep all end here. None of them is relied upon: whatever the one misses, another brings,
and a step that has nothing to do writes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from backupjobwatch.controller.heartbeat import Heartbeats
from backupjobwatch.controller.job_index import Followers
from backupjobwatch.controller.watch_state import Entry
from backupjobwatch.controller.work import Work
from backupjobwatch.domain.status.transitions import describe, worth_repeating
from backupjobwatch.errors import NoRequest, NotAsked
from backupjobwatch.observability.logs import watch_fields

if TYPE_CHECKING:
    from backupjobwatch.controller.reconciler import Step, Stepper
    from backupjobwatch.controller.ttl import Expiries
    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.jobs.resource_ids import JobId
    from backupjobwatch.domain.status.notifications import Settled
    from backupjobwatch.domain.status.summary import Summary
    from backupjobwatch.notify.dispatcher import Courier
    from backupjobwatch.observability.metrics.instruments import Metrics

_log = logging.getLogger(__name__)

BUSY: Final = 1.0
"""Seconds after which a turn that came during a step comes again."""
REQUEST_EVERY: Final = 10.0
"""Seconds between two requests, by annotation, that are granted: it is anybody's who may edit the object."""


class Roster:
    """All watches that are followed."""

    def __init__(
        self, stepper: Stepper, courier: Courier, expiries: Expiries, metrics: Metrics, *, heartbeat: timedelta
    ) -> None:
        self._metrics = metrics
        self._stepper = stepper
        self._courier = courier
        self._expiries = expiries
        courier.on_settled = self.settle
        self._entries: dict[str, Entry] = {}
        self._heartbeats = Heartbeats(heartbeat, self._entries)
        self._followers = Followers()
        self._work = Work(stepper, self._do)
        expiries.is_telling = lambda uid: uid in self._entries and self._work.is_telling(self._entries[uid])
        self._closed = False

    @property
    def uids(self) -> frozenset[str]:
        """The uids of all watches that are followed."""
        return frozenset(self._entries)

    @property
    def summaries(self) -> list[Summary]:
        """What there is to tell of each watch."""
        return [entry.summary for entry in self._entries.values()]

    @property
    def overdue(self) -> float:
        """For how many seconds the most overdue poll should have been made by now."""
        now = _clock()
        return max((now - entry.due for entry in self._entries.values() if entry.due < now), default=0.0)

    def known(self, uid: str) -> Watch | None:
        """Return the latest snapshot of a watch; None for one that is not followed."""
        entry = self._entries.get(uid)
        return None if entry is None else entry.watch

    def notice(self, watch: Watch) -> timedelta | None:
        """Take note of an object as the cluster has it, and step at once where it asks for something new.

        Returns how often it wants to be stepped; None for not at all.
        """
        entry = self._entries.get(watch.uid)
        if entry is None:
            now = _clock()
            entry = Entry(watch=watch, since=now, last_step=now)
            self._entries[watch.uid] = entry
            seen = datetime.now(UTC)
            entry.presume_asked(seen)
            entry.remember(worth_repeating(watch, now=seen))
        self._take_note(entry, watch)
        if watch.deleting:
            return None
        if entry.unsure and watch.observed:
            # That it is told now is counted, unlike what is only repeated: of two by one name, the later is kept.
            entry.remember((*worth_repeating(watch, now=datetime.now(UTC)), describe(watch, watch.status)))
            entry.unsure = False
        if entry.wants(watch):
            self._want(entry, watch)
        elif entry.untold:
            self._work.begin(entry)
        return entry.interval

    def tick(self, uid: str) -> bool:
        """Step a watch because its time has come. False where no such watch is followed any more."""
        entry = self._entries.get(uid)
        if entry is None:
            return False
        now = _clock()
        half = (entry.interval or timedelta()).total_seconds() / 2
        # An event may have brought a poll just now.
        if entry.task is None and now >= entry.not_before and now - entry.last_poll >= half:
            self._step_from(entry, entry.watch)
        return True

    def hear(self, news: frozenset[JobId]) -> None:
        """Step the watches of jobs that are known to have changed, rather than with their next ticks."""
        for uid in self._followers.of(news):
            entry = self._entries.get(uid)
            if entry is not None and entry.interval is not None and entry.turn is None:
                self._take_turn(entry)

    def forget(self, uid: str) -> None:
        """Stop following a watch that is no more."""
        self._courier.forget(uid)
        self._expiries.forget(uid)
        self._followers.follow(uid, ())
        entry = self._entries.pop(uid, None)
        if entry is not None:
            self._work.drop(entry)

    def settle(self, watch: Watch, settled: tuple[Settled, ...]) -> None:
        """Have it written down what became of notifications: with the next step, or at once where there is none."""
        entry = self._entries.get(watch.uid)
        if entry is not None:
            entry.settled = (watch, settled)
            self._write_settled(entry)

    def needs_a_look(self, metadata: Watch) -> bool:
        """Tell from an object's *metadata* alone whether something about it was missed."""
        entry = self._entries.get(metadata.uid)
        if entry is None:
            return True
        steps, tells = self._work.will_step(metadata.uid), self._work.will_tell(metadata.uid)
        return entry.missed(metadata, _clock(), steps=steps, tells=tells)

    async def look(self, namespace: str, name: str) -> None:
        """Read an object anew, and make up for what was missed about it. StoreError where it can't be read."""
        watch = await self._stepper.read(namespace, name)
        if watch is None:
            return
        entry = self._entries.get(watch.uid)
        overdue = entry is not None and entry.overdue(_clock())
        self.notice(watch)
        entry = self._entries[watch.uid]
        if (overdue and entry.interval is not None) or entry.unwritten:
            self._step_from(entry, watch)
        elif entry.untold:
            self._work.begin(entry)

    async def close(self, patience: float) -> None:
        """Begin no more steps, and end deliveries and expiries; what is under way has *patience* seconds to finish.

        Nothing is lost: see the objects.
        """
        self._closed = True
        await asyncio.gather(self._courier.close(), self._expiries.close(), self._finish(patience))
        for uid in self.uids:
            self.forget(uid)

    async def _finish(self, patience: float) -> None:
        await self._work.finish(patience)
        self._stepper.close()

    def _take_note(self, entry: Entry, watch: Watch) -> None:
        """Remember a snapshot, and begin what follows on it, unless a later one was seen."""
        if entry.take_note(watch, _clock()):
            self._courier.consider(watch)
            self._expiries.consider(watch)
            self._followers.follow(watch.uid, watch.job_ids)

    def _want(self, entry: Entry, watch: Watch) -> None:
        """Step from *watch* out of the timer's rhythm: at once, but for requests that come too often.

        Anybody who may annotate the object can ask for it, at any rate. How long ago a tick was does not matter.
        """
        wait = entry.last_request + REQUEST_EVERY - _clock()
        if entry.task is not None:
            entry.wanted = watch  # and is looked at when the step that is under way has ended
        elif wait <= 0 or watch.finished or entry.polled != watch.generation:
            if watch.request_pending:
                entry.last_request = _clock()
            self._step_from(entry, watch)
        elif entry.alarm is None:
            entry.alarm = asyncio.get_running_loop().call_later(wait, self._ring, entry, watch)

    def _ring(self, entry: Entry, watch: Watch) -> None:
        entry.alarm = None
        if entry.wants(watch):  # else a tick has come first
            self._want(entry, watch)

    def _step_from(self, entry: Entry, watch: Watch) -> None:
        entry.wanted = watch
        self._work.begin(entry)

    async def _do(self, entry: Entry, tells: bool) -> None:  # noqa: FBT001 -- for Work, which calls it
        """Take the step that is wanted, if any, and tell what is untold: now, or in its turn, which has come if it *tells*."""
        before = entry.settled
        try:
            await self._step(entry)
            if entry.untold and (tells or not self._work.puts_off_telling(entry)):
                await self._tell(entry)
        finally:
            entry.task = None
        watch = entry.take_wanted()
        if watch is not None and entry.wants(watch):
            self._want(entry, watch)
        elif entry.settled is not before:
            self._write_settled(entry)

    async def _tell(self, entry: Entry) -> None:
        for name, transition in list(entry.untold.items()):
            if await self._stepper.tell(entry.watch, transition) and entry.untold.get(name) is transition:
                entry.told(name)

    def _write_settled(self, entry: Entry) -> None:
        """Write down what became of notifications, unless a poll will: no poll is made for that."""
        if entry.settled is not None and entry.unwritten and entry.task is None:
            self._step_from(entry, entry.settled[0])

    async def _step(self, entry: Entry) -> None:
        watch, settled = entry.take_wanted(), entry.settled
        if watch is None:
            return
        due, now, whose = entry.due, datetime.now(UTC), f"{watch.namespace}/{watch.name}"
        try:
            step = await self._stepper.take(
                watch,
                run=entry.run,
                heartbeat=partial(self._heartbeats.of, watch.uid),
                asked=entry.asked,
                settled=settled[1] if settled else (),
                calm=entry.calm,
            )
        except Exception:  # noqa: BLE001 -- a defect: one watch must not take the others with it
            _log.exception("%s: a step failed", whose, extra=watch_fields(watch))
            return
        finally:
            entry.last_step = _clock()
        entry.run, entry.calm = step.run, step.calm
        if isinstance(step.observation, NotAsked):
            self._await_turn(entry, step)
        else:
            self._note_poll(entry, step, due)
            entry.polled = watch.generation
            # Without a write no reader can see what was learned. Without a request nothing was learned.
            if step.failure is None and not isinstance(step.observation, NoRequest):
                entry.asked = now
        if step.failure is not None:
            _log.warning("%s: the status was not written: %s", whose, step.failure, extra=watch_fields(watch))
            entry.unsure = entry.unsure or not watch.finished  # one that had finished has no more ends to tell of
        elif step.watch is not None:  # else it is gone: the event or the sweep will say so
            if step.watch.resource_version != entry.watch.resource_version:
                self._take_note(entry, step.watch)
            if entry.settled is settled:  # and nothing else has been settled since
                entry.settled = None
            if step.dropped:
                entry.wanted = entry.wanted or step.watch
            entry.remember(step.untold)

    def _note_poll(self, entry: Entry, step: Step, due: float) -> None:
        if entry.turn is not None:
            entry.turn.cancel()
            entry.turn = None
        self._metrics.observe_poll_lag(entry.last_step - due)
        entry.last_poll = entry.last_step
        entry.back_off(step.observation, step.deadline)

    def _await_turn(self, entry: Entry, step: Step) -> None:
        """Have it asked before the next tick, once the budget may cover it: with those who wait, but not as one."""
        again = step.observation.again if isinstance(step.observation, NotAsked) else None
        if again is not None and entry.turn is None and not self._closed:
            delay = again * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret
            entry.turn = asyncio.get_running_loop().call_later(delay, self._take_turn, entry)

    def _take_turn(self, entry: Entry) -> None:
        entry.turn = None
        if entry.task is not None:  # what was seen last is still being written down or told
            entry.turn = asyncio.get_running_loop().call_later(BUSY, self._take_turn, entry)
        elif entry.wants(entry.watch) or entry.polled != entry.watch.generation:
            self._want(entry, entry.watch)
        elif entry.interval is not None and _clock() >= entry.not_before:
            self._step_from(entry, entry.watch)  # the last poll, however short ago it was, was not for this


def _clock() -> float:
    return asyncio.get_running_loop().time()
