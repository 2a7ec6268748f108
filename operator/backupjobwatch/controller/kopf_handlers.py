"""All kopf handlers. They only pass events and timer ticks to the controller.

There are no create, update, resume or delete handlers, because kopf keeps their state in annotations on the object. Timers
and low-level events keep none. Nothing here waits for Azure: that would block kopf's queue of the object.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import kopf
from kopf._cogs.clients import watching

from backupjobwatch.clock import loop_time
from backupjobwatch.constants import GROUP, PLURAL, VERSION
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import POLL_INTERVALS
from backupjobwatch.domain.polling.schedule import jitter
from backupjobwatch.kube.client import PAGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from datetime import timedelta

    from backupjobwatch.controller.controller import Controller

RESOURCE: Final = (GROUP, VERSION, PLURAL)
REGISTRY: Final = kopf.OperatorRegistry()
RECONNECT_EVERY: Final = 1.0
"""Seconds between two requests for one watch stream, at least."""
READ_BY_KOPF: Final = ("namespace", "name", "uid", "resourceVersion", "deletionTimestamp", "finalizers")
"""The metadata of an object that kopf reads after the handlers have run."""


@dataclass(slots=True)
class Memo:
    """What kopf passes to the handlers: a copy for each object, by uid."""

    controller: Controller
    interval: timedelta | None = None
    """How often the watch is polled, as of the latest event; None if it is not."""


@kopf.on.login(registry=REGISTRY)
async def log_in(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Connect as the kubernetes library does: with the pod's ServiceAccount, or with KUBECONFIG."""
    # Use a thread of the event loop, which ends with the loop. kopf would leave its own thread behind.
    return await asyncio.to_thread(kopf.login_via_client, **kwargs)


@kopf.on.event(*RESOURCE, registry=REGISTRY)
async def on_event(event: kopf.RawEvent, uid: str, memo: Memo, **_: Any) -> None:
    """Pass each change of an object to the controller."""
    if event["type"] == "DELETED":
        memo.interval = None
        memo.controller.remove(uid)
    else:
        body = cast("dict[str, Any]", event["object"])
        memo.interval = memo.controller.on_event(Watch.from_body(body, earlier=memo.controller.snapshot(uid)))
        # kopf keeps the last event of each object in memory. Nothing reads the rest of it again.
        body["metadata"] = {name: body["metadata"][name] for name in READ_BY_KOPF if name in body["metadata"]}
        for part in body.keys() & {"spec", "status"}:
            del body[part]


def _declare_timer(name: str, interval: timedelta) -> None:
    """Declare the timer of one ``pollInterval``. The interval of a kopf timer is fixed, so a filter selects its watches."""

    @kopf.timer(
        *RESOURCE,
        id=f"poll-{name}",
        interval=interval.total_seconds(),
        sharp=True,
        initial_delay=lambda uid, **_: jitter(uid, interval).total_seconds(),
        when=lambda memo, **_: memo.interval == interval,
        registry=REGISTRY,
    )
    async def poll(uid: str, memo: Memo, patch: kopf.Patch, **_: Any) -> None:
        """Poll the queries of the watch, if their results are old."""
        _break_cycles(patch)
        if not memo.controller.tick(uid):
            # The object is gone, and kopf has not received its deletion. End the timer.
            raise asyncio.CancelledError


def _break_cycles(patch: kopf.Patch) -> None:
    """Break the reference cycles of a tick's empty patch.

    Without this, the garbage of many ticks waits for the garbage collector: 10,000 watches need 390 MB instead of 330 MB.
    """
    vars(patch.meta).clear()
    for view in ("_meta", "_spec", "_status"):
        vars(patch).pop(view, None)


for _name, _interval in POLL_INTERVALS.items():
    _declare_timer(_name, _interval)


def _without_finalizers(registry: kopf.OperatorRegistry) -> None:
    """Remove the finalizer that kopf's timers require.

    It would block ``kubectl delete`` while the operator is down. There is nothing to clean up: the DELETED event or the resync
    ends the timer. This changes kopf's registry, because kopf has no option for it (issue 833). The minor version of kopf is
    pinned, and tests assert that no object ever has a finalizer.
    """
    handlers = registry._spawning._handlers  # noqa: SLF001
    handlers[:] = [dataclasses.replace(handler, requires_finalizer=False) for handler in handlers]


_without_finalizers(REGISTRY)


def _pace_streams() -> None:
    """Make kopf pause before it requests a watch stream again.

    kopf requests the next stream as soon as the last one has ended. If an API server, or a proxy in front of it, closes
    each stream at once, kopf sends thousands of requests per second.
    """
    watch_objs = watching.watch_objs

    async def paced(**arguments: Any) -> AsyncIterator[Any]:
        earliest = loop_time() + RECONNECT_EVERY
        async with contextlib.aclosing(cast("Any", watch_objs(**arguments))) as events:
            async for event in events:
                yield event
        await asyncio.sleep(max(earliest - loop_time(), 0.0))

    watching.watch_objs = paced


_pace_streams()


class NoDiffBaseStorage(kopf.MultiDiffBaseStorage):
    """Computes no differences, because kopf would copy each object at each event, for handlers that do not exist."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Return nothing."""
        return cast("kopf.BodyEssence", {})


class _Backoffs:
    """Seconds between kopf's attempts to reach the API server. They never end: a restart does not fix an API server."""

    def __iter__(self) -> Iterator[float]:
        yield from (1, 1, 2, 3, 5, 8)
        while True:
            yield 10


def kopf_settings() -> kopf.OperatorSettings:
    """Configure kopf: no annotations on objects, no Events of its own, and no watch stream that hangs."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    # Store no progress. kopf would write an annotation when a timer's filter changes during a tick.
    settings.persistence.progress_storage = kopf.MultiProgressStorage([])
    settings.persistence.diffbase_storage = NoDiffBaseStorage([])
    settings.peering.standalone = True
    settings.scanning.disabled = True
    # End kopf's task of an idle object soon: it needs as much memory as all other data of the object.
    settings.queueing.idle_timeout = 0.1
    # List the objects in pages.
    settings.watching.chunk_size = PAGE
    # kopf would kill the process ten minutes after its first failure, although app.py restarts kopf.
    settings.process.ultimate_exiting_timeout = None
    settings.networking.connect_timeout = 10
    settings.networking.request_timeout = 60
    settings.networking.error_backoffs = _Backoffs()
    # These timeouts end a connection that a NAT or a load balancer dropped silently.
    settings.watching.reconnect_backoff = RECONNECT_EVERY
    settings.watching.connect_timeout = 10
    settings.watching.server_timeout = 240
    settings.watching.client_timeout = 300
    return settings
