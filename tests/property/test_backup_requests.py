"""At most one backup for each revision, whatever crashes, and no open gate without a job of the request."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backupjobwatch.domain.api.snapshot import Watch
from tests.property.backup_world import ANSWERS, World
from tests.support.scale import at_scale

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.timeout(at_scale(300, 3600))
PROCESSES = st.integers(0, 1)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reconcile"), PROCESSES, st.booleans()),
        st.tuples(st.just("send"), PROCESSES, st.sampled_from(ANSWERS), st.sampled_from([False, False, True])),
        st.tuples(st.just("follow"), PROCESSES),
        st.tuples(st.just("refresh"), PROCESSES),
        st.tuples(st.just("restart"), PROCESSES, st.sampled_from([0, 0, 1, -1, 3, -3, 20, -20])),
        st.tuples(st.just("wait"), st.sampled_from([0, 1, 2, 15])),
        st.tuples(
            st.sampled_from(["schedule", "complete", "busy", "grace", "suspend", "revision", "clear", "restore"])
        ),
    ),
    min_size=10,
    max_size=60,
)


@settings(
    deadline=None,
    max_examples=at_scale(200, 5000),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(STEPS)
def test_histories(steps: list[tuple[object, ...]]) -> None:
    """No history requests a second backup, and a gate opens only for the job of its own request."""
    world = World()
    for step in steps:
        play(world, *step)
        check(world)


def test_happy_path() -> None:
    """The model succeeds when nothing fails, so that the property above is not empty."""
    world = World()
    play(world, "follow", 0)
    world.complete()
    play(world, "reconcile", 0, False)

    assert world.body["status"]["phase"] == "Succeeded"
    assert len(world.posts) == 1
    world.edit(revision="v1")
    play(world, "follow", 1)
    assert world.body["status"]["phase"] == "Running"
    assert len(world.posts) == 2
    check(world)


def test_lost_answer() -> None:
    """A process that was killed after its request is followed by one that finds the job."""
    world = World()
    play(world, "reconcile", 0, False)
    world.send(0, "accepted", is_killed=True)
    world.schedule()
    world.wait(2)
    play(world, "reconcile", 0, False)

    assert world.body["status"]["onDemand"]["state"] == "Recovered"
    check(world)


def test_cleared() -> None:
    """A process that knows the record restores it. After a restart, the cleared status requests another backup."""
    world = World()
    play(world, "follow", 0)
    world.clear()
    play(world, "follow", 0)
    (post,) = world.posts
    assert world.body["status"]["onDemand"]["requestID"] == post.request_id
    world.clear()
    world.restart(0)
    play(world, "follow", 0)
    assert len(world.posts) == 2
    check(world)


def test_restored() -> None:
    """An object that is restored without its status requests another backup, even from the same process."""
    world = World()
    play(world, "follow", 0)
    world.restore()
    play(world, "follow", 0)
    assert len({post.uid for post in world.posts}) == 2
    check(world)


@pytest.mark.parametrize(("skew", "posts"), [(-20, 1), (20, 0)], ids=["behind", "ahead"])
def test_skew(skew: int, posts: int) -> None:
    """A process whose clock is ahead fails the watch early, one behind fails it late. Neither sends the request."""
    world = World()
    play(world, "reconcile", 0, False)
    world.restart(1, skew)
    play(world, "follow", 1)
    world.send(0, "lost", is_killed=True)
    world.wait(30)
    play(world, "follow", 1)
    assert len(world.posts) == posts
    check(world)


def play(world: World, name: str | object, *arguments: object) -> None:
    """Make one step."""
    index = arguments[0] if arguments and isinstance(arguments[0], int) else 0
    steps: dict[object, Callable[[], None]] = {
        "reconcile": lambda: world.reconcile(index, is_answer_lost=bool(arguments[1])),
        "send": lambda: world.send(index, str(arguments[1]), is_killed=bool(arguments[2])),
        "follow": lambda: world.follow(index),
        "refresh": lambda: world.refresh(index),
        "restart": lambda: world.restart(index, int(str(arguments[1]))),
        "wait": lambda: world.wait(index),
        "schedule": world.schedule,
        "complete": world.complete,
        "busy": world.occupy,
        "clear": world.clear,
        "restore": world.restore,
        "grace": lambda: world.edit(graceSeconds=world.body["spec"]["graceSeconds"] + 1),
        "suspend": lambda: world.edit(suspend=not world.body["spec"]["suspend"]),
        "revision": lambda: world.edit(revision=f"v{world.body['metadata']['generation']}"),
    }
    steps[name]()


def check(world: World) -> None:
    """Check the promises: one request for each record, and one for each revision unless its record was cleared."""
    started = [post for post in world.posts if post.may_run]
    assert max(Counter(post.request_id for post in started).values(), default=0) <= 1
    assert max(Counter((post.process, post.uid, post.revision) for post in started).values(), default=0) <= 1
    for (uid, _), count in Counter((post.uid, post.revision) for post in started).items():
        assert count <= 1 + world.cleared[uid]
    watch = Watch.from_body(world.body)
    record = watch.backup_record
    for pin in watch.pinned:
        assert record is not None
        assert world.jobs[pin.name].activity_id == record.request_id
    if watch.status_for_target.get("phase") == "Succeeded":
        assert len(watch.pinned) == 1
        assert world.jobs[watch.pinned[0].name].ended
