"""Every kopf decorator. Handlers decide nothing: they hand what kopf saw to the controller.

There are no handlers for creation, update, resumption and deletion: kopf keeps their state in annotations on the
object. Timers and low-level events keep none. Nothing here awaits Azure: that would hold up the object's queue, its
deletion included.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import kopf
from kopf._cogs.clients import watching

from backupjobwatch.constants import GROUP, PLURAL, VERSION
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import POLL_INTERVALS
from backupjobwatch.domain.polling.schedule import jitter
from backupjobwatch.kube.client import PAGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from datetime import timedelta

    from backupjobwatch.controller.controller import Controller

RESOURCE: Final = (GROUP, VERSION, PLURAL)
REGISTRY: Final = kopf.OperatorRegistry()
RECONNECT_EVERY: Final = 1.0
"""Least seconds between two requests for one watch stream."""
READ_BY_KOPF: Final = ("namespace", "name", "uid", "resourceVersion", "deletionTimestamp", "finalizers")
"""What it looks up in an object's metadata, of an object that it was told of."""


@dataclass(slots=True)
class Memo:
    """What kopf carries for us, a copy for each object (by uid)."""

    controller: Controller
    interval: timedelta | None = None
    """How often the object wants to be reconciled, as of the latest event; None for not at all."""


@kopf.on.login(registry=REGISTRY)
async def log_in(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Reach the API server as the kubernetes library does: the pod's ServiceAccount, else KUBECONFIG."""
    # In the event loop's threads, which end with it; kopf would leave one of its own behind.
    return await asyncio.to_thread(kopf.login_via_client, **kwargs)


@kopf.on.event(*RESOURCE, registry=REGISTRY)
async def on_event(event: kopf.RawEvent, uid: str, memo: Memo, **_: Any) -> None:
    """Notice edits, requests and deletions as they happen."""
    if event["type"] == "DELETED":
        memo.interval = None
        memo.controller.remove(uid)
    else:
        body = cast("dict[str, Any]", event["object"])
        memo.interval = memo.controller.on_event(Watch.from_body(body, earlier=memo.controller.snapshot(uid)))
        # kopf keeps the object for as long as there is one: nobody reads the rest of it again.
        body["metadata"] = {name: body["metadata"][name] for name in READ_BY_KOPF if name in body["metadata"]}
        for part in body.keys() & {"spec", "status"}:
            del body[part]


def _first_tick(interval: timedelta) -> Callable[..., float]:
    def delay(uid: str, **_: Any) -> float:
        return jitter(uid, interval).total_seconds()

    return delay


def _wanted(interval: timedelta) -> Callable[..., bool]:
    def matches(memo: Memo, **_: Any) -> bool:
        return memo.interval == interval

    return matches


def _declare_timer(name: str, interval: timedelta) -> None:
    @kopf.timer(
        *RESOURCE,
        id=f"poll-{name}",
        interval=interval.total_seconds(),
        sharp=True,
        initial_delay=_first_tick(interval),
        when=_wanted(interval),
        registry=REGISTRY,
    )
    async def poll(uid: str, memo: Memo, patch: kopf.Patch, **_: Any) -> None:
        """Reconcile the watch, in the background, because its time has come."""
        _open_circles(patch)
        if not memo.controller.tick(uid):
            # The object is gone and the stream has not told kopf, which would tick for ever.
            raise asyncio.CancelledError


def _open_circles(patch: kopf.Patch) -> None:
    """Let go of a tick's patch's views of itself, which nobody looks at: nothing is patched here.

    They and the patch refer to each other, a kilobyte at each tick, which only a search through everything would find.
    """
    vars(patch.meta).clear()
    for view in ("_meta", "_spec", "_status"):
        vars(patch).pop(view, None)


for _name, _interval in POLL_INTERVALS.items():
    _declare_timer(_name, _interval)


def _without_finalizers(registry: kopf.OperatorRegistry) -> None:
    """Have kopf's timers do without the finalizer that they ask for.

    It would hold up ``kubectl delete``, namespaces and GitOps tools whenever the operator is down, and there is
    nothing to clean up: the DELETED event ends the timer, or the resync. kopf has no switch for it (its issue 833);
    this reaches into its registry, so kopf is pinned to a minor version, and tests assert that no object ever has one.
    """
    handlers = registry._spawning._handlers  # noqa: SLF001
    handlers[:] = [dataclasses.replace(handler, requires_finalizer=False) for handler in handlers]


_without_finalizers(REGISTRY)


def _pace_streams() -> None:
    """Make kopf pause before it requests a watch stream again.

    kopf requests the next stream as soon as the last one has ended. If an API server, or a proxy in front of it, closes
    each stream at once, that is thousands of requests per second.
    """
    watch_objs = watching.watch_objs

    async def paced(**arguments: Any) -> AsyncIterator[Any]:
        clock = asyncio.get_running_loop().time
        earliest = clock() + RECONNECT_EVERY
        async with contextlib.aclosing(cast("Any", watch_objs(**arguments))) as events:
            async for event in events:
                yield event
        await asyncio.sleep(max(earliest - clock(), 0.0))

    watching.watch_objs = paced


_pace_streams()


class NoProgressStorage(kopf.ProgressStorage):
    """Stores nothing: kopf would touch an annotation when a timer's filter flips during a tick."""

    def fetch(self, **_: Any) -> None:
        """Nothing was stored."""

    def store(self, **_: Any) -> None:
        """Store nothing."""

    def purge(self, **_: Any) -> None:
        """Nothing to purge."""

    def touch(self, **_: Any) -> None:
        """Leave the object alone."""

    def clear(self, *, essence: Any) -> Any:
        """Return the essence as it is: nothing of ours is in it."""
        return essence


class NoDiffBaseStorage(kopf.DiffBaseStorage):
    """Compares nothing: kopf would copy each object whenever it is told of it, for handlers of changes that there are none of."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Take nothing of an object."""
        return cast("kopf.BodyEssence", {})

    def fetch(self, **_: Any) -> kopf.BodyEssence:
        """Nothing has changed, then."""
        return cast("kopf.BodyEssence", {})

    def store(self, **_: Any) -> None:
        """Store nothing."""


class _Backoffs:
    """Seconds between kopf's attempts to reach the API server: without end, as no restart mends that."""

    def __iter__(self) -> Iterator[float]:
        yield from (1, 1, 2, 3, 5, 8)
        while True:
            yield 10


def kopf_settings() -> kopf.OperatorSettings:
    """Configure kopf: no traces on objects, no events of its own, no watch stream that hangs."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.persistence.progress_storage = NoProgressStorage()
    settings.persistence.diffbase_storage = NoDiffBaseStorage()
    settings.peering.standalone = True
    settings.scanning.disabled = True
    # What waits for the next event of an object costs as much as all that is kept of it; that event is minutes off.
    settings.queueing.idle_timeout = 0.1
    # At first, and whenever the stream's history is lost, all objects are listed: not in one answer.
    settings.watching.chunk_size = PAGE
    # It would kill the process minutes after it has failed once, though it is started again in there.
    settings.process.ultimate_exiting_timeout = None
    settings.networking.connect_timeout = 10
    settings.networking.request_timeout = 60
    settings.networking.error_backoffs = _Backoffs()
    # A connection that died without a word (a NAT, a load balancer) is noticed by our own clock.
    settings.watching.reconnect_backoff = RECONNECT_EVERY
    settings.watching.connect_timeout = 10
    settings.watching.server_timeout = 240
    settings.watching.client_timeout = 300
    return settings
