"""The operator as a separate process that is killed, stopped by a signal, or fails at its start."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.observability.listener import open_port
from tests.support.builders import JOB_NAME, job_payload
from tests.support.canary import TOKEN
from tests.support.kubernetes import EVENT_POSTS
from tests.support.operator_command import log_of, running_command

if TYPE_CHECKING:
    import contextlib

    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.commands import Command
    from tests.support.kubernetes import KubernetesApi

LISTS = "^GET .*/backupjobwatches$"


async def test_killed_between_the_write_and_its_event(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """After SIGKILL between the status write and its Event, the next process emits the Event exactly once."""
    hold = api.traffic.hold(EVENT_POSTS)
    async with _process(sim) as process:
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
        await hold.arrived()
        process.send_signal(signal.SIGKILL)
        await log_of(process)
    hold.release()
    await asyncio.sleep(0.1)
    assert ((await api.status())["phase"], api.events()) == ("Succeeded", [])
    async with start():
        await api.until(api.events)
    assert (len(api.events()), len(api.writes()), len(sim.requests)) == (1, 1, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("crd_installed", [True, False])
async def test_a_signal_ends_it_gracefully(
    *, api: KubernetesApi, sim: AzureSimulator, number: signal.Signals, crd_installed: bool
) -> None:
    """`backupjobwatch run` ends immediately on SIGTERM and SIGINT, with exit code 0."""
    api.crd_installed = crd_installed
    async with _process(sim) as process:
        await api.until(lambda: api.watched if crd_installed else api.traffic.matching(LISTS))
        await asyncio.sleep(0.1)
        process.send_signal(number)
        started = time.monotonic()
        log = await log_of(process)
    assert process.returncode == 0, log
    assert time.monotonic() - started < 30
    assert "Traceback" not in log


async def test_wrong_settings_end_it_at_once() -> None:
    """`backupjobwatch run` with an invalid setting exits with code 2 and names the setting."""
    async with _process(None, BACKUPJOBWATCH_HEARTBEAT="soon") as process:
        log = await log_of(process)
    assert process.returncode == 2
    assert "BACKUPJOBWATCH_HEARTBEAT: must be a duration such as 30s" in log


@pytest.mark.parametrize("setting", ["PROBE_PORT", "METRICS_PORT"])
async def test_a_taken_port_ends_it_with_the_setting(api: KubernetesApi, sim: AzureSimulator, setting: str) -> None:
    """`backupjobwatch run` exits with code 2 and names the setting if another process listens on the port."""
    with open_port(0) as taken:
        port = taken.getsockname()[1]
        async with _process(sim, **{f"BACKUPJOBWATCH_{setting}": str(port)}) as process:
            log = await log_of(process)
    assert process.returncode == 2
    assert f"BACKUPJOBWATCH_{setting}: port {port} is not available" in log
    assert "Traceback" not in log


async def test_no_api_server_is_a_startup_error() -> None:
    """`backupjobwatch run` without access to an API server exits with code 1 and without a traceback."""
    async with _process(None) as process:
        log = await log_of(process)
    assert process.returncode == 1
    assert "no access to a Kubernetes API server" in log
    assert "Traceback" not in log


def _process(sim: AzureSimulator | None, **variables: str) -> contextlib.AbstractAsyncContextManager[Command]:
    azure = (
        {
            "BACKUPJOBWATCH_AZURE_ENDPOINT": sim.url,
            "BACKUPJOBWATCH_DEVELOPMENT": "true",
            "BACKUPJOBWATCH_DEVELOPMENT_TOKEN": TOKEN,
            "BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES": "*",
        }
        if sim is not None
        else {}
    )
    return running_command(**azure, **variables)
