"""Follows jobs without a cluster: watches that exist in memory only, each reconciled as the operator would."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backupjobwatch.arm.client import ArmClient
from backupjobwatch.arm.credentials import personal_tokens
from backupjobwatch.arm.identities import Credential
from backupjobwatch.arm.observer import Observer
from backupjobwatch.arm.poller import Poller
from backupjobwatch.controller.reconciler import poll_watch
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import parse_spec
from backupjobwatch.domain.polling.schedule import backoff, failures_after, until
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.domain.status.verdict import ConsecutiveFailures, deadline
from backupjobwatch.errors import AzureUnavailable, PollDeferred
from backupjobwatch.observability.metrics.instruments import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backupjobwatch.arm.credentials import TokenSource
    from backupjobwatch.domain.api.target import Identity
    from backupjobwatch.settings import Settings

    Body = dict[str, Any]


class _PersonalCredentialProvider:
    """Whoever calls the command asks as himself, whatever the watch."""

    def __init__(self, tokens: TokenSource) -> None:
        self._credential = Credential(key="terminal", principal="terminal", tokens=tokens)

    async def find(self, namespace: str, identity: Identity) -> Credential:
        """Return it."""
        del namespace, identity
        return self._credential

    def drop(self, namespace: str, identity: Identity) -> None:
        """Keep it: the client has asked for another token already."""

    def close(self) -> None:
        """Nothing is looked for."""


async def follow(bodies: Sequence[Body], settings: Settings, *, on_change: Callable[[Body], None]) -> None:
    """Follow all of *bodies* to their ends, writing their ``status``; *on_change* is called after each write.

    Raises CredentialsNotFound or AuthenticationFailed where there is nothing to ask Azure with from the start.
    """
    metrics = Metrics()
    with contextlib.closing(ArmClient(settings, metrics)) as client:
        tokens = personal_tokens(settings)
        await _prove(client, tokens)
        observer = Observer(_PersonalCredentialProvider(tokens), Poller(settings, client, metrics))
        await asyncio.gather(*(_follow_one(body, observer, on_change) for body in bodies))


async def _prove(client: ArmClient, tokens: TokenSource) -> None:
    """Have a token before anything else: who is not signed in need not wait for grace to be over to hear it."""
    with contextlib.suppress(AzureUnavailable):  # which may pass, and is borne as the core bears it
        await client.get_token(tokens)


async def _follow_one(body: Body, observer: Observer, on_change: Callable[[Body], None]) -> None:
    watch, consecutive_failures, failures = Watch.from_body(body), ConsecutiveFailures(), 0
    spec = parse_spec(watch.spec)
    while not watch.finished:
        result = await poll_watch(watch, observer, consecutive_failures=consecutive_failures)
        consecutive_failures, observation, now = (
            result.consecutive_failures,
            result.observed.observation,
            datetime.now(UTC),
        )
        body["status"] = next_status(
            watch, observation, consecutive_failures=consecutive_failures.count, now=now, pinned=result.observed.pinned
        )
        on_change(body)
        watch = Watch.from_body(body)
        if not isinstance(observation, PollDeferred):
            failures = failures_after(observation, failures)
        wait = max(spec.poll_interval, backoff(failures, spec.poll_interval, seed=watch.name))
        if not watch.finished:
            await asyncio.sleep(until(deadline(watch, spec), now=now, at_most=wait).total_seconds())
