"""A BackupSender of the simulator's vault, with a virtual machine in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from backupjobwatch.arm.backup_rates import BackupRates
from backupjobwatch.arm.backup_sender import BackupSender
from backupjobwatch.arm.credentials import StaticToken
from backupjobwatch.domain.jobs.backup_requests import item_backup
from backupjobwatch.domain.jobs.protected_items import parse_protected_items
from backupjobwatch.domain.jobs.resource_ids import OperationId, VaultId
from backupjobwatch.errors import (
    AzureError,
)
from backupjobwatch.settings import Settings
from demo.simulator import AzureSimulator, Vault, virtual_machine
from tests.functional.polling import IDENTITY, TOKEN_A, TOKEN_B, A, Credentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from backupjobwatch.domain.jobs.backup_requests import BackupRequest
    from tests.functional.conftest import OpenClient

REQUEST_ID: Final = "0e900001-5e1f-4000-8000-000000000001"
ITEM: Final = virtual_machine("vm-harbour-01")
INSTANCE: Final = "disk-harbour-01-d15c0001-5e1f-4000-8000-000000000001"


class Sending:
    """A sender, the credentials it uses, and the client that reads what it started."""

    def __init__(self, open_client: OpenClient, sim: AzureSimulator, vault: Vault, **options: Any) -> None:
        sim.tokens.add(TOKEN_A, "principal-a")
        sim.tokens.add(TOKEN_B, "principal-b")
        vault.protection.add(ITEM)
        self.sim, self.vault = sim, vault
        self.client = open_client(tokens=StaticToken(TOKEN_A), **options)
        self.credentials = Credentials()
        self.rates = BackupRates(Settings(operator_identity_namespaces=("*",)))
        self.sender = BackupSender(self.client.arm.session, self.credentials, self.rates)

    @property
    def request(self) -> BackupRequest:
        """The request for the virtual machine."""
        vault = VaultId(
            subscription_id=self.vault.subscription_id,
            resource_group=self.vault.resource_group,
            name=self.vault.name,
        )
        entry = {"id": f"{self.vault.id}/{ITEM.path}", "properties": ITEM.properties}
        return item_backup(parse_protected_items({"value": [entry]}, vault)[0])

    @property
    def posts(self) -> int:
        """How often the backup of the virtual machine was requested."""
        return self.sim.backup_requests().get(f"{self.vault.id}/{ITEM.path}", 0)

    async def send(self, namespace: str = A, *, may_send: Callable[[], bool] = lambda: True) -> OperationId:
        return await self.sender.request_backup(
            namespace, IDENTITY, self.request, request_id=REQUEST_ID, may_send=may_send
        )

    async def error(self, namespace: str = A, **options: Any) -> AzureError:
        with pytest.raises(AzureError) as caught:
            await self.send(namespace, **options)
        return caught.value
