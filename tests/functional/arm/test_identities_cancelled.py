"""Lookups of identities that are cancelled while kopf restarts."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from backupjobwatch.arm.identities import ClusterCredentialProvider
from backupjobwatch.domain.api.target import Identity
from backupjobwatch.errors import CredentialsUnavailable
from backupjobwatch.observability.metrics.instruments import Metrics
from backupjobwatch.settings import Settings

IDENTITY = Identity(service_account_name="backup")


class SilentApi:
    """An API server that never answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def read_service_account(self, namespace: str, name: str) -> dict[str, Any]:
        """Wait for ever."""
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError(namespace, name)


@pytest.mark.parametrize("is_caller", [False, True])
async def test_a_cancelled_lookup(is_caller: bool) -> None:  # noqa: FBT001 -- a parameter
    """kopf cancels the lookup but not its caller, which gets an error. A caller that is cancelled itself ends."""
    api = SilentApi()
    provider = ClusterCredentialProvider(Settings(), cast("Any", api), Metrics())
    known = asyncio.all_tasks()
    caller = asyncio.create_task(provider.find("team-a", IDENTITY))
    async with asyncio.timeout(30):
        await api.asked.wait()
    for task in {caller} if is_caller else asyncio.all_tasks() - known - {caller}:
        task.cancel()

    with pytest.raises(asyncio.CancelledError if is_caller else CredentialsUnavailable):
        await caller
    provider.close()
