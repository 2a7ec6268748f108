"""Follows jobs without a cluster: watches that exist in memory only, reconciled as the operator reconciles them."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.arm.backup_rates import BackupRates
from backupjobwatch.arm.backup_sender import BackupSender
from backupjobwatch.arm.client import ArmClient
from backupjobwatch.arm.credentials import personal_tokens
from backupjobwatch.arm.identities import Credential
from backupjobwatch.arm.poller import Poller
from backupjobwatch.clock import loop_time
from backupjobwatch.controller.backup_admission import BackupAdmission
from backupjobwatch.controller.backup_requester import BackupRequester
from backupjobwatch.controller.reconciler import Reconciler
from backupjobwatch.controller.watch_state import WatchState
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import poll_interval
from backupjobwatch.domain.polling.backup_limit import BackupLimit
from backupjobwatch.errors import AzureError, CredentialsNotFound
from backupjobwatch.observability.metrics.instruments import Metrics
from backupjobwatch.terminal.backup_notes import GuardedSender

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backupjobwatch.arm.credentials import TokenSource
    from backupjobwatch.domain.api.target import Identity
    from backupjobwatch.domain.polling.backup_plan import RequestResult
    from backupjobwatch.settings import Settings
    from backupjobwatch.terminal.backup_notes import RequestGuard

    Body = dict[str, Any]

DEADLINE_WAIT: Final = timedelta(seconds=30)
"""How long a watch waits for a poll after its deadline. It is short, because a user waits for the command."""
DETAIL_WAIT: Final = 20.0
"""Seconds for which a watch that has finished waits for the detail of its job (``status.detailPending``)."""


class _PersonalCredentialProvider:
    """Uses the credential of the user who runs the command, for every watch."""

    def __init__(self, tokens: TokenSource) -> None:
        self._credential = Credential(key="terminal", tokens=tokens)

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
        """Return the watch of that name. Each name is unique, and there are no namespaces."""
        del namespace
        return self._stored(next(uid for uid, body in self._bodies.items() if body["metadata"]["name"] == name))

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


async def follow(
    bodies: Sequence[Body], settings: Settings, guard: RequestGuard, *, on_change: Callable[[Body], None]
) -> None:
    """Follow all *bodies* until they finish, and write their ``status``. Call *on_change* after each write.

    The record of a backup request is written before *guard* allows the request. Raises CredentialsNotFound if there
    is no credential at the start.
    """
    metrics = Metrics()
    by_uid = {str(number): body for number, body in enumerate(bodies)}
    with contextlib.closing(ArmClient(settings, metrics)) as client:
        tokens = personal_tokens(settings)
        await _require_credential(client, tokens)
        credentials = _PersonalCredentialProvider(tokens)
        watching: dict[str, _Watching] = {}
        poller = Poller(settings, client, credentials, metrics, on_observation=lambda uid: watching[uid].wake_up.set())
        memory = _Memory(by_uid, on_change)
        rates = BackupRates(settings)
        limit = BackupLimit(len(bodies))
        admission = BackupAdmission(limit, rates, allows=lambda _: True, slots_of=poller.slots_of)
        reconciler = Reconciler(
            memory,
            poller,
            metrics,
            record_events=lambda *_: None,  # the views show transitions
            admission=admission,
            deadline_wait=DEADLINE_WAIT,
        )
        requester = BackupRequester(
            memory,
            GuardedSender(BackupSender(client.session, credentials, rates), guard),
            metrics,
            admission=admission,
            is_leading=lambda: True,
        )
        for uid in by_uid:
            watching[uid] = _Watching(memory.snapshot(uid), reconciler, poller, requester)
        requester.on_result = lambda uid, result: watching[uid].note_result(result)
        requester.snapshot = memory.snapshot
        requester.start()
        tasks = [asyncio.create_task(each.follow()) for each in watching.values()]
        try:
            await asyncio.gather(*tasks)  # not a TaskGroup: callers expect the error itself, not an ExceptionGroup
        finally:
            requester.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await poller.close()
            await requester.close(0.0)


async def _require_credential(client: ArmClient, tokens: TokenSource) -> None:
    """Fail at once if there is no credential. Any other failure may be temporary, and counts toward the grace."""
    try:
        await client.get_token(tokens)
    except CredentialsNotFound:
        raise
    except AzureError:
        return


class _Watching:
    """Follows one watch until it finishes."""

    def __init__(self, watch: Watch, reconciler: Reconciler, poller: Poller, requester: BackupRequester) -> None:
        now = loop_time()
        self._state = WatchState(watch=watch, stored_at=now, since=now)
        self._reconciler = reconciler
        self._poller = poller
        self._requester = requester
        self.wake_up = asyncio.Event()

    def note_result(self, result: RequestResult) -> None:
        """Reconcile the watch with the result of its backup request."""
        self._state.backup_result = result
        self.wake_up.set()

    async def follow(self) -> None:
        """Reconcile the watch until it finishes."""
        state, uid = self._state, self._state.watch.uid
        interval = poll_interval(state.watch.spec).total_seconds()
        tick = loop_time() + interval
        end: float | None = None
        while end is None or loop_time() < end:
            self.wake_up.clear()
            after = await self._reconciler.reconcile(state, heartbeat=timedelta())  # every poll is shown
            if state.watch.finished:
                if not state.watch.detail_pending:
                    break
                end = end or loop_time() + DETAIL_WAIT
            self._requester.sync(state.watch, state.backup_request)
            self._poller.waiting.add(uid)
            with contextlib.suppress(TimeoutError):
                until = min(tick, loop_time() + (interval if after is None else after), end or tick)
                async with asyncio.timeout(max(until - loop_time(), 0.01)):  # wait_for() may swallow a cancellation
                    await self.wake_up.wait()
            if loop_time() >= tick:
                tick += interval
                self._poller.mark_due(uid)
        self._poller.release(uid)
