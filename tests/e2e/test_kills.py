"""SIGKILL at random moments while fifty jobs run: five kills here, a hundred in ``make soak``."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.status.transitions import describe
from tests.support.jobs import name_of
from tests.support.receiver import running_receiver
from tests.support.scale import at_scale
from tests.support.watches import phase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.jobs import Jobs
    from tests.support.operator_process import Operators
    from tests.support.receiver import Delivery
    from tests.support.watches import Body, Watches

KILLS: Final = at_scale(5, 100)
WATCHES: Final = 50
UNREADY: Final = 1 / 4
"""The fraction of operators that are killed without waiting until they are ready."""
LIVES: Final = (0.0, 4.0)
"""Seconds from the start, or from readiness, to the kill. The watches are polled every ten seconds."""
ENDS: Final = ("Succeeded", "Failed")
SEED: Final = 20260304


@dataclass(slots=True)
class Course:
    """Random changes between the kills, and the phases expected at the end."""

    watches: Watches
    jobs: Jobs
    hook: str
    chance: random.Random
    expected: dict[str, str] = field(default_factory=dict)
    """The expected phase of each watch."""
    job_of: dict[str, str] = field(default_factory=dict)
    completed: set[str] = field(default_factory=set)

    def begin(self) -> None:
        """Start the jobs and create a watch for each."""
        for number in range(WATCHES):
            self._make(f"w-{number}", self.jobs.start())

    def go_on(self, rounds: int) -> None:
        """End some jobs, and edit, recreate or poll one watch. Keep jobs for the remaining *rounds*."""
        running = sorted(name for name, expected in self.expected.items() if expected == "Running")
        for name in self.chance.sample(running, len(running) // (rounds + 2)):
            self._end(name)
        name = self.chance.choice(sorted(self.expected))
        match self.chance.randrange(3):
            case 0:  # another job, which may already have ended
                self.job_of[name], self.expected[name] = self.jobs.start(), "Running"
                if self.chance.random() < 1 / 2:
                    self._end(name)
                self.watches.edit(name, jobResourceId=self.job_of[name])
            case 1:
                self.watches.delete(name)
                self._make(name, self.jobs.start())
            case _:
                self.watches.request(name, f"{rounds}")

    def _make(self, name: str, job: str) -> None:
        self.job_of[name], self.expected[name] = job, "Running"
        notify = [{"name": "hook", "webhook": {"url": self.hook}}]
        self.watches.create(name, jobResourceId=job, notify=notify)

    def _end(self, name: str) -> None:
        job = self.job_of[name]
        self.expected[name] = self.chance.choice(ENDS)
        if self.expected[name] == "Succeeded":
            self.completed.add(name_of(self.jobs.complete(job)))
        else:
            self.jobs.fail(job)


@pytest.mark.timeout(at_scale(300, 3600))
def test_killed_at_random(own_operators: Operators, watches: Watches, jobs: Jobs) -> None:
    """Every watch ends in the right phase, with one Event. Repeated webhook deliveries share one ID."""
    chance = random.Random(SEED)
    settings = {"NAMESPACES": watches.namespace, "NOTIFY_HTTP_HOSTS": "127.0.0.1"}
    ready = 0
    with running_receiver() as receiver:
        course = Course(watches, jobs, receiver.url, chance)
        course.begin()
        for left in reversed(range(KILLS)):
            operator = own_operators.start(**settings)
            if chance.random() > UNREADY:
                operator.wait_ready()
            half = chance.uniform(*LIVES) / 2
            time.sleep(half)
            course.go_on(left)
            time.sleep(half)
            ready += operator.probe("readyz") == 200
            operator.kill()
        own_operators.start(**settings).wait_ready()
        bodies = {name: watches.until_phase(name, expected) for name, expected in course.expected.items()}
        ended = {name: body for name, body in bodies.items() if phase(body) in ENDS}
        for name in ended:
            watches.until(name, is_delivered)
        own_operators.current.stop()
        deliveries = list(receiver.deliveries)
    for name, body in bodies.items():
        assert body["status"]["job"]["name"] == name_of(course.job_of[name])
        watches.prove_honest(name, completed=course.completed)
        prove_ended_once(watches, name)
    prove_events_are_unique(watches, bodies)
    twice = prove_same(deliveries)
    assert {notification_id(watches.get(name)) for name in ended} <= {delivery.id for delivery in deliveries}
    sys.stdout.write(
        f"{KILLS} kills, {ready} of a ready operator; {len(ended)} of {WATCHES} ended; {twice} told twice\n"
    )


def is_delivered(body: Body) -> bool:
    """Return whether the status records a delivered notification."""
    return [entry["state"] for entry in body["status"].get("notifications", ())] == ["Delivered"]


def notification_id(body: Body) -> str:
    return str(body["status"]["notifications"][0]["id"])


def prove_ended_once(watches: Watches, name: str) -> None:
    """Prove that each target has one final phase with one completion time, and keeps it."""
    ends: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for moment in watches.history(name):
        status = moment.body["status"]
        if status.get("phase") in ENDS:
            key = (moment.body["metadata"]["uid"], status["target"])
            ends.setdefault(key, set()).add((status["phase"], status["completionTime"]))
        elif "target" in status:
            assert (moment.body["metadata"]["uid"], status["target"]) not in ends, moment
    assert {len(times) for times in ends.values()} <= {1}


def prove_events_are_unique(watches: Watches, names: Iterable[str]) -> None:
    """Prove that each finished watch has its Event, and that no Event is a duplicate or wrong."""
    told = Counter(event["metadata"]["name"] for event in watches.events())
    worth_telling = set()
    for name in names:
        starts: dict[tuple[str, str], set[str]] = {}
        for moment in watches.history(name):
            watch = Watch.from_body(moment.body)
            if "target" in watch.status:
                starts.setdefault((watch.uid, str(watch.status["target"])), set()).add(
                    str(watch.status["watchStartTime"])
                )
                worth_telling.add(describe(watch, watch.status).name)
        # The start time is part of the Event's name, so a second one would duplicate the Event.
        assert {len(times) for times in starts.values()} == {1}
        if watch.finished:
            assert told[describe(watch, watch.status).name] == 1
    assert told.keys() <= worth_telling
    assert {event["count"] for event in watches.events()} == {1}


def prove_same(deliveries: list[Delivery]) -> int:
    """Prove that repeated deliveries are identical, and return the number of repetitions."""
    first: dict[str, Delivery] = {}
    for delivery in deliveries:
        known = first.setdefault(delivery.id, delivery)
        assert delivery.body == known.body
    return len(deliveries) - len(first)
