"""Subscriptions, resource groups, and the vaults in them."""

import threading
from typing import TypeVar

from demo.simulator.any_vault import AnyVault
from demo.simulator.clock import SimulatedClock
from demo.simulator.vaults import Vault

AVault = TypeVar("AVault", bound=AnyVault)

_Group = dict[tuple[type[AnyVault], str], AnyVault]


class Directory:
    """The resources below a tenant. Lookups ignore letter case, as Azure does."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._subscriptions: dict[str, dict[str, _Group]] = {}

    def add_resource_group(self, subscription_id: str, resource_group: str) -> None:
        """Create a resource group and its subscription."""
        with self._lock:
            self._group(subscription_id, resource_group)

    def add_vault(self, kind: type[AVault], subscription_id: str, resource_group: str, name: str) -> AVault:
        """Create a vault with its subscription and resource group, or return the existing vault."""
        with self._lock:
            vaults = self._group(subscription_id, resource_group)
            found = vaults.get((kind, name.casefold()))
            if not isinstance(found, kind):
                found = kind(subscription_id, resource_group, name, clock=self._clock)
                vaults[kind, name.casefold()] = found
            return found

    def delete_vault(self, subscription_id: str, resource_group: str, name: str, kind: type[AnyVault] = Vault) -> None:
        """Delete a vault and its jobs. Raise KeyError if it does not exist."""
        with self._lock:
            del self._group(subscription_id, resource_group)[kind, name.casefold()]

    def has_subscription(self, subscription_id: str) -> bool:
        """Return whether the subscription contains a resource group."""
        with self._lock:
            return subscription_id.casefold() in self._subscriptions

    def has_resource_group(self, subscription_id: str, resource_group: str) -> bool:
        """Return whether the resource group exists."""
        with self._lock:
            return resource_group.casefold() in self._subscriptions.get(subscription_id.casefold(), {})

    def find_vault(self, kind: type[AVault], subscription_id: str, resource_group: str, name: str) -> AVault | None:
        """Look up a vault by kind and name. Vaults of different kinds can have the same name."""
        with self._lock:
            groups = self._subscriptions.get(subscription_id.casefold(), {})
            found = groups.get(resource_group.casefold(), {}).get((kind, name.casefold()))
            return found if isinstance(found, kind) else None

    def vaults(self) -> tuple[AnyVault, ...]:
        """Return all vaults."""
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
