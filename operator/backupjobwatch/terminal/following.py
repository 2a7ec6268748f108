"""Follows jobs without a cluster: watches that exist in memory only, reconciled as the operator reconciles them."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.arm.client import ArmClient
from backupjobwatch.arm.credentials import personal_tokens
from backupjobwatch.arm.identities import Credential
from backupjobwatch.arm.poller import Poller
from backupjobwatch.controller.reconciler import Reconciler
from backupjobwatch.controller.watch_state import WatchState
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import poll_interval
from backupjobwatch.errors import AzureError, CredentialsNotFound
from backupjobwatch.observability.metrics.instruments import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from backupjobwatch.arm.credentials import TokenSource
    from backupjobwatch.domain.api.target import Identity
    from backupjobwatch.domain.status.transitions import Transition
    from backupjobwatch.settings import Settings

    Body = dict[str, Any]

DEADLINE_WAIT: Final = timedelta(seconds=30)
"""How long a watch waits for a poll after its deadline. It is short, because a user waits for the command."""
DETAIL_WAIT: Final = 20.0
"""Seconds for which a watch that has finished waits for the detail of its job (``status.detailPending``)."""


class _PersonalCredentialProvider:
    """Uses the credential of the user who runs the command, for every watch."""

    def __init__(self, tokens: TokenSource) -> None:
        self._credential = Credential(key="terminal", principal="terminal", tokens=tokens)

    async def find(self, namespace: str, identity: Identity) -> Credential:
        """Return the credential of the user."""
        del namespace, identity
        return self._credential

    def drop(self, namespace: str, identity: Identity) -> None:
        """Keep the credential: the client has already requested another token."""

    def close(self) -> None:
        """Do nothing, because no request is in flight."""


class _Memory:
    """Holds watches in place of the API server."""

    def __init__(self, bodies: Mapping[str, Body], on_change: Callable[[Body], None]) -> None:
        self._bodies = bodies
        self._on_change = on_change
        self._versions = 1

    def snapshot(self, uid: str) -> Watch:
        """Return the current snapshot of a watch."""
        return Watch.from_body(self._stored(uid))

    async def read(self, namespace: str, name: str) -> Body:
        """Raise, because no other program writes these watches, so a conflict is impossible."""
        raise NotImplementedError(namespace, name)

    async def write_status(self, watch: Watch, status: Mapping[str, Any]) -> Body:
        """Store *status*."""
        body = self._bodies[watch.uid]
        body["status"] = dict(status)
        self._versions += 1
        self._on_change(body)
        return self._stored(watch.uid)

    def _stored(self, uid: str) -> Body:
        body = self._bodies[uid]
        return {**body, "metadata": {**body["metadata"], "uid": uid, "resourceVersion": str(self._versions)}}


class _NoEvents:
    """Records no Events, because the views show transitions."""

    def record(self, watch: Watch, transitions: Iterable[Transition]) -> None:
        """Do nothing."""


async def follow(bodies: Sequence[Body], settings: Settings, *, on_change: Callable[[Body], None]) -> None:
    """Follow all *bodies* until they finish, and write their ``status``. Call *on_change* after each write.

    Raises CredentialsNotFound if there is no credential at the start.
    """
    metrics = Metrics()
    by_uid = {str(number): body for number, body in enumerate(bodies)}
    with contextlib.closing(ArmClient(settings, metrics)) as client:
        tokens = personal_tokens(settings)
        await _require_credential(client, tokens)
        poller = Poller(settings, client, _PersonalCredentialProvider(tokens), metrics)
        memory = _Memory(by_uid, on_change)
        reconciler = Reconciler(memory, poller, _NoEvents(), metrics, deadline_wait=DEADLINE_WAIT)
        wake_ups = {uid: asyncio.Event() for uid in by_uid}
        poller.on_observation = lambda uid: wake_ups[uid].set()
        tasks = [
            asyncio.create_task(_follow_one(memory.snapshot(uid), reconciler, poller, wake_up))
            for uid, wake_up in wake_ups.items()
        ]
        try:
            await asyncio.gather(*tasks)  # not a TaskGroup: callers expect the error itself, not an ExceptionGroup
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await poller.close()


async def _require_credential(client: ArmClient, tokens: TokenSource) -> None:
    """Fail at once if there is no credential. Any other failure may be temporary, and counts toward the grace."""
    try:
        await client.get_token(tokens)
    except CredentialsNotFound:
        raise
    except AzureError:
        return


async def _follow_one(watch: Watch, reconciler: Reconciler, poller: Poller, wake_up: asyncio.Event) -> None:
    clock = asyncio.get_running_loop().time
    state = WatchState(watch=watch, stored_at=clock(), since=clock())
    interval = poll_interval(watch.spec).total_seconds()
    tick = clock() + interval
    end: float | None = None
    while end is None or clock() < end:
        wake_up.clear()
        after = await reconciler.reconcile(state, heartbeat=timedelta())  # every poll is shown
        if state.watch.finished:
            if not state.watch.detail_pending:
                break
            end = end or clock() + DETAIL_WAIT
        poller.waiting.add(watch.uid)
        with contextlib.suppress(TimeoutError):
            until = min(tick, clock() + (interval if after is None else after), end or tick)
            await asyncio.wait_for(wake_up.wait(), max(until - clock(), 0.01))
        if clock() >= tick:
            tick += interval
            poller.mark_due(watch.uid)
    poller.release(watch.uid)
