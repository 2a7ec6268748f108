"""Subscriptions, resource groups, and the vaults in them."""

import threading
from typing import TypeVar

from demo.simulator.any_vault import AnyVault
from demo.simulator.clock import SimulatedClock
from demo.simulator.vaults import Vault

AVault = TypeVar("AVault", bound=AnyVault)

_Group = dict[tuple[type[AnyVault], str], AnyVault]


class Directory:
    """All that exists below a tenant. Names are found in any letter case, as Azure does."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._subscriptions: dict[str, dict[str, _Group]] = {}

    def add_resource_group(self, subscription_id: str, resource_group: str) -> None:
        """Make a resource group, and its subscription with it."""
        with self._lock:
            self._group(subscription_id, resource_group)

    def add_vault(self, kind: type[AVault], subscription_id: str, resource_group: str, name: str) -> AVault:
        """Make a vault, and what it lies in; an existing one is given back as it is."""
        with self._lock:
            vaults = self._group(subscription_id, resource_group)
            found = vaults.get((kind, name.casefold()))
            if not isinstance(found, kind):
                found = kind(subscription_id, resource_group, name, clock=self._clock)
                vaults[kind, name.casefold()] = found
            return found

    def delete_vault(self, subscription_id: str, resource_group: str, name: str, kind: type[AnyVault] = Vault) -> None:
        """Forget a vault and its jobs. KeyError when there is none."""
        with self._lock:
            del self._group(subscription_id, resource_group)[kind, name.casefold()]

    def has_subscription(self, subscription_id: str) -> bool:
        """Tell whether anything was made in the subscription."""
        with self._lock:
            return subscription_id.casefold() in self._subscriptions

    def has_resource_group(self, subscription_id: str, resource_group: str) -> bool:
        """Tell whether the resource group was made."""
        with self._lock:
            return resource_group.casefold() in self._subscriptions.get(subscription_id.casefold(), {})

    def find_vault(self, kind: type[AVault], subscription_id: str, resource_group: str, name: str) -> AVault | None:
        """Look up a vault of one kind: two of different kinds may have the same name."""
        with self._lock:
            groups = self._subscriptions.get(subscription_id.casefold(), {})
            found = groups.get(resource_group.casefold(), {}).get((kind, name.casefold()))
            return found if isinstance(found, kind) else None

    def vaults(self) -> tuple[AnyVault, ...]:
        """List every vault."""
        with self._lock:
            return tuple(
                vault
                for groups in self._subscriptions.values()
                for vaults in groups.values()
                for vault in vaults.values()
            )

    def _group(self, subscription_id: str, resource_group: str) -> _Group:
        groups = self._subscriptions.setdefault(subscription_id.casefold(), {})
        return groups.setdefault(resource_group.casefold(), {})
