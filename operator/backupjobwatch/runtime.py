"""What a running operator holds: opened once, closed once."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from backupjobwatch.access import Accesses
from backupjobwatch.arm.client import ArmClient
from backupjobwatch.expiries import Expiries
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

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Self]:
        """Connect to the API server and get ready to ask Azure. StoreError where there is no way to the former."""
        async with contextlib.AsyncExitStack() as stack:
            store = await Store.connect()
            stack.push_async_callback(store.close)
            metrics = Metrics()
            client = ArmClient(settings, metrics)
            stack.callback(client.close)
            poller = Poller(settings, client, metrics)
            stepper = Stepper(settings, store, Observer(Accesses(settings, store), poller), metrics)
            webhooks = Webhooks(settings)
            stack.push_async_callback(webhooks.close)
            courier = Courier(Receivers(store, webhooks, Triggers(store)), metrics)
            expiries = Expiries(store, stepper)
            roster = Roster(stepper, courier, expiries, metrics)
            stack.push_async_callback(roster.close, PATIENCE)
            stack.push_async_callback(courier.close)
            stack.push_async_callback(expiries.close)
            metrics.registry.register(StateCollector(roster, poller, watch_limit=settings.metrics_watch_limit))
            sweep = Sweep(settings, store, roster, metrics)
            yield cls(settings=settings, store=store, roster=roster, sweep=sweep, metrics=metrics)
