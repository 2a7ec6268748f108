"""Helpers for tests with operators that elect a leader."""

from __future__ import annotations

import asyncio
import contextlib
import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import pytest

from backupjobwatch.errors import LeaseLost
from tests.support.canary import TOKEN
from tests.support.operator_process import OperatorProcess, clean_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from demo.simulator import AzureSimulator
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

    StartProcess = Callable[[], Awaitable[OperatorProcess]]

LEASE: Final = ("operators", "backupjobwatch")
LEASE_READS: Final = "^GET .*/leases/backupjobwatch$"
RENEWALS: Final = "^PUT .*/leases/backupjobwatch$"
DURATION, DEADLINE, RETRY = 14, 10, 2
ELECTION: Final[dict[str, Any]] = {"leader_election": True, "lease_namespace": LEASE[0]}


@contextlib.contextmanager
def processes(api: KubernetesApi, sim: AzureSimulator, folder: Path) -> Iterator[StartProcess]:
    """Yield a function that starts a leading operator as a process. Kill the processes at the end."""
    with contextlib.ExitStack() as stack:

        async def start_process() -> OperatorProcess:
            environment = clean_environment(
                KUBECONFIG=os.environ["KUBECONFIG"],
                BACKUPJOBWATCH_AZURE_ENDPOINT=sim.url,
                BACKUPJOBWATCH_DEVELOPMENT="true",
                BACKUPJOBWATCH_DEVELOPMENT_TOKEN=TOKEN,
                BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES="*",
                BACKUPJOBWATCH_LEADER_ELECTION="true",
                BACKUPJOBWATCH_LEASE_NAMESPACE=LEASE[0],
            )
            process = OperatorProcess(environment, folder / "operator.log")
            stack.callback(process.kill)
            await api.until(lambda: api.watched)
            return process

        yield start_process


@contextlib.asynccontextmanager
async def standby(start: StartOperator, **options: Any) -> AsyncIterator[Operator]:
    """Run a standby while another operator holds the Lease. It may lead later."""
    async with start(watching=False, **ELECTION, **options) as operator:
        async with asyncio.timeout(120):
            while await operator.probe("/readyz") != HTTPStatus.OK:  # noqa: ASYNC110 -- no event to await
                await asyncio.sleep(0.05)
        yield operator


@contextlib.asynccontextmanager
async def deposed(operator: contextlib.AbstractAsyncContextManager[Operator]) -> AsyncIterator[Operator]:
    """Run an operator that is expected to lose its Lease and stop."""
    with pytest.raises(LeaseLost):
        async with operator as running:
            yield running


def holder(api: KubernetesApi) -> str:
    return str(api.leases.get(LEASE)["spec"]["holderIdentity"])


async def ended(operator: Operator) -> None:
    """Wait until an operator has stopped on its own."""
    await asyncio.to_thread(operator._thread.join, 60.0)
    assert not operator._thread.is_alive()


async def ready(operator: Operator) -> bool:
    return (await operator.probe("/healthz"), await operator.probe("/readyz")) == (200, 200)


async def until_ready(operator: Operator) -> None:
    """Wait until the operator is live and ready. A busy machine takes a while after its time has moved."""
    async with asyncio.timeout(60):
        while not await ready(operator):  # noqa: ASYNC110 -- no event to await
            await asyncio.sleep(0.05)


async def take_over(api: KubernetesApi, operator: Operator) -> None:
    """Wait until the operator holds the Lease and follows the watches."""
    first = api.leases.history[0]["holderIdentity"]  # the current holder may already be the operator
    await advance_until(api, lambda: holder(api) not in ("", first) and api.watched, operator)


async def advance_until(api: KubernetesApi, condition: Callable[[], object], *operators: Operator) -> None:
    """Advance time by retry periods, with a Lease read of each operator, until *condition* returns a true value."""
    async with asyncio.timeout(120):
        while not condition():
            before = len(api.traffic.matching(LEASE_READS))
            for operator in operators:
                operator.advance(RETRY)
            # Without this wait, a stalled machine would advance too far, and a leader would miss its deadline.
            while len(api.traffic.matching(LEASE_READS)) < before + len(operators) and not condition():  # noqa: ASYNC110 -- no event to await
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.05)
