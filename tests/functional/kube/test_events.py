"""The event recorder queues Events, retries failed writes, and never repeats an Event."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.status.transitions import Transition
from backupjobwatch.kube.client import KubeClient
from backupjobwatch.kube.events import WORKERS, EventRecorder
from backupjobwatch.observability.metrics.instruments import Metrics
from tests.support.kubernetes import EVENT_POSTS, NAMESPACE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.kubernetes import KubernetesApi
    from tests.support.kubernetes_traffic import Rule
    from tests.support.movable_loop import MovableLoop

WATCH = Watch.from_body({"metadata": {"namespace": NAMESPACE, "name": "nightly", "uid": "u-1"}})


def used(rule: Rule, times: int) -> bool:
    return rule.used == times


async def condition(holds: Callable[[], bool], *, passing: float = 0) -> None:
    """Wait until a condition holds. Advance the loop's clock by *passing* seconds after each check."""
    loop, end = cast("MovableLoop", asyncio.get_running_loop()), time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        loop.advance(passing)
        await asyncio.sleep(0.01)


async def all_written(recorder: EventRecorder) -> None:
    await condition(lambda: not recorder.has_pending(WATCH.uid))


def transition(name: str) -> Transition:
    return Transition(name=f"nightly.{name}", type="Normal", reason="JobInProgress", message="The job is in progress.")


@pytest.fixture
def emitted() -> list[Transition]:
    """The transitions that the recorder reported as new."""
    return []


@pytest.fixture
async def recorder(api: KubernetesApi, emitted: list[Transition]) -> AsyncIterator[EventRecorder]:
    kube = await KubeClient.connect()
    recorder = EventRecorder(kube, Metrics().queue("events"), on_emitted=emitted.append)
    recorder.start()
    yield recorder
    await recorder.close(0)
    await kube.close()


async def test_each_transition_is_one_event(
    api: KubernetesApi, recorder: EventRecorder, emitted: list[Transition]
) -> None:
    """Recording a transition again creates no second Event."""
    recorder.record(WATCH, [transition("a"), transition("b")])
    assert recorder.has_pending(WATCH.uid)
    await all_written(recorder)
    recorder.record(WATCH, [transition("a")])
    await all_written(recorder)
    assert len(api.events()) == 2
    assert {each.name for each in emitted} == {"nightly.a", "nightly.b"}
    assert len(emitted) == 2


async def test_an_event_that_is_refused_is_retried(
    api: KubernetesApi, recorder: EventRecorder, emitted: list[Transition]
) -> None:
    """API server errors delay an Event, with a growing backoff. No Event is lost."""
    refusal = api.traffic.fail(EVENT_POSTS, status=500, times=3)
    recorder.record(WATCH, [transition("a")])
    await condition(partial(used, refusal, 3), passing=1)
    assert recorder.has_pending(WATCH.uid)
    await condition(lambda: not recorder.has_pending(WATCH.uid), passing=1)
    assert [each.name for each in emitted] == ["nightly.a"]


async def test_a_watch_that_is_gone_has_no_events_left(api: KubernetesApi, recorder: EventRecorder) -> None:
    """The recorder drops Events that wait for a retry when their watch is removed."""
    refusal = api.traffic.fail(EVENT_POSTS, status=500, times=None)
    recorder.record(WATCH, [transition("a")])
    await condition(lambda: bool(refusal.used))
    recorder.remove(WATCH.uid)
    assert not recorder.has_pending(WATCH.uid)
    refusal.end()
    recorder.record(WATCH, [transition("b")])
    await all_written(recorder)
    assert [event["metadata"]["name"] for event in api.events()] == ["nightly.b"]


async def test_a_namespace_that_is_gone_gets_no_events(
    api: KubernetesApi, recorder: EventRecorder, emitted: list[Transition]
) -> None:
    """A 404 ends the retries: the namespace of the Event no longer exists."""
    api.traffic.fail(EVENT_POSTS, status=404, times=1)
    recorder.record(WATCH, [transition("a")])
    await all_written(recorder)
    assert emitted == []
    assert api.events() == []


async def test_few_events_are_written_at_the_same_time(api: KubernetesApi, recorder: EventRecorder) -> None:
    """The recorder writes as many Events at the same time as it has workers."""
    with api.traffic.hold(EVENT_POSTS) as hold:
        recorder.record(WATCH, [transition(str(number)) for number in range(5 * WORKERS)])
        await hold.all_arrived(WORKERS)
    await all_written(recorder)
    assert len(api.events()) == 5 * WORKERS


async def test_close_waits_for_pending_events(api: KubernetesApi, emitted: list[Transition]) -> None:
    """``close`` writes queued Events within its timeout."""
    kube = await KubeClient.connect()
    recorder = EventRecorder(kube, Metrics().queue("events"), on_emitted=emitted.append)
    recorder.start()
    recorder.record(WATCH, [transition(str(number)) for number in range(3 * WORKERS)])
    await recorder.close(30)
    await kube.close()
    assert len(api.events()) == len(emitted) == 3 * WORKERS


async def test_close_does_not_wait_for_ever(api: KubernetesApi, recorder: EventRecorder) -> None:
    """``close`` times out if the API server refuses an Event. The Event stays pending for the next start."""
    api.traffic.fail(EVENT_POSTS, status=500, times=None)
    recorder.record(WATCH, [transition("a")])
    closing = asyncio.create_task(recorder.close(5))
    await condition(closing.done, passing=1)
    assert recorder.has_pending(WATCH.uid)


async def test_a_watch_that_is_deleted_while_its_event_is_refused(api: KubernetesApi, recorder: EventRecorder) -> None:
    """A refused Event is not retried if its watch was deleted during the write."""
    refusal = api.traffic.fail(EVENT_POSTS, status=500, times=None)
    with api.traffic.hold(EVENT_POSTS) as hold:
        recorder.record(WATCH, [transition("a")])
        await hold.all_arrived(1)
        recorder.remove(WATCH.uid)
    await condition(lambda: bool(refusal.used))
    refusal.end()
    recorder.record(WATCH, [transition("b")])
    await all_written(recorder)
    assert [event["metadata"]["name"] for event in api.events()] == ["nightly.b"]


async def test_an_event_that_is_recorded_again_during_its_write(
    api: KubernetesApi, recorder: EventRecorder, emitted: list[Transition]
) -> None:
    """An Event that is recorded again during its write is written again."""
    with api.traffic.hold(EVENT_POSTS) as hold:
        recorder.record(WATCH, [transition("a")])
        await hold.all_arrived(1)
        recorder.record(WATCH, [replace(transition("a"), message="Later.")])
    await all_written(recorder)
    assert [each.name for each in emitted][:1] == ["nightly.a"]
    assert len(api.traffic.matching(EVENT_POSTS)) >= 2


async def test_a_defect_does_not_end_the_workers(api: KubernetesApi, caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected failure loses only the Event that caused it."""
    kube, emitted = await KubeClient.connect(), list[str]()

    def fail_at_first(change: Transition) -> None:
        if len(emitted) < 2 * WORKERS:
            emitted.append("")
            raise RuntimeError
        emitted.append(change.name)

    recorder = EventRecorder(kube, Metrics().queue("events"), on_emitted=fail_at_first)
    recorder.start()
    recorder.record(WATCH, [transition(str(number)) for number in range(3 * WORKERS)])
    await all_written(recorder)
    await condition(lambda: len(emitted) == 3 * WORKERS)
    await recorder.close(0)
    await kube.close()
    assert "Failed to write an Event" in caplog.text
