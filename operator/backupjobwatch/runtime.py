"""What a running operator holds: opened once, closed once."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from backupjobwatch.access import Accesses
from backupjobwatch.arm.client import ArmClient
from backupjobwatch.expiries import Expiries
from backupjobwatch.leader import Elector
from backupjobwatch.metrics.instruments import Metrics
from backupjobwatch.metrics.state import StateCollector
from backupjobwatch.notify.courier import Courier
from backupjobwatch.notify.gitops import Triggers
from backupjobwatch.notify.receivers import Receivers
from backupjobwatch.notify.webhook import Webhooks
from backupjobwatch.observer import Observer
from backupjobwatch.poller import Poller
from backupjobwatch.roster import Roster
from backupjobwatch.step import Stepper
from backupjobwatch.store import Store
from backupjobwatch.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backupjobwatch.settings import Settings

PATIENCE: Final = 5.0
"""Seconds that steps under way are given at the end. Kubernetes gives a pod 30."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The parts of one operator."""

    settings: Settings
    store: Store
    roster: Roster
    sweep: Sweep
    metrics: Metrics
    elector: Elector | None
    """None where this operator acts without asking whether others do."""

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Self]:
        """Connect to the API server and get ready to ask Azure. StoreError where there is no way to the former.

        SettingsError where an operator that is to stand for election does not know where its Lease is.
        """
        async with contextlib.AsyncExitStack() as stack:
            store = await Store.connect()
            stack.push_async_callback(store.close)
            elector = None
            if settings.leader_election:
                own = (
                    await Store.connect()
                )  # where all the other's connections wait for a slow answer, the Lease does not
                stack.push_async_callback(own.close)
                elector = Elector(settings, own)
                stack.push_async_callback(elector.close)  # after all below: others act once nothing here does
            metrics = Metrics()
            client = ArmClient(settings, metrics)
            stack.callback(client.close)
            poller = Poller(settings, client, metrics)
            stepper = Stepper(store, Observer(Accesses(settings, store, metrics), poller), metrics)
            webhooks = Webhooks(settings)
            stack.push_async_callback(webhooks.close)
            courier = Courier(Receivers(store, webhooks, Triggers(store)), metrics)
            expiries = Expiries(store, stepper)
            roster = Roster(stepper, courier, expiries, metrics, heartbeat=settings.heartbeat)
            poller.on_news = roster.hear
            stack.push_async_callback(roster.close, PATIENCE)
            metrics.registry.register(StateCollector(roster, poller, watch_limit=settings.metrics_watch_limit))
            sweep = Sweep(settings, store, roster, metrics)
            yield cls(settings=settings, store=store, roster=roster, sweep=sweep, metrics=metrics, elector=elector)

    @property
    def alive(self) -> bool:
        """Whether what has to go on does."""
        return self.sweep.alive and (self.elector is None or self.elector.alive)

    @property
    def leading(self) -> bool:
        """Whether this operator is the one that acts."""
        return self.elector is None or self.elector.leading
