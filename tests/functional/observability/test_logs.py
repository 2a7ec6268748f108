"""The operator's log as a process: JSON on every line, and no traceback for failures."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from demo.simulator import Fault
from demo.simulator.tokens import TENANT_ID
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload, running_payload
from tests.support.canary import TOKEN, WORD
from tests.support.operator_command import log_of, running_command

if TYPE_CHECKING:
    import contextlib

    from demo.simulator import AzureSimulator, Vault
    from tests.functional.tenants import Tenants
    from tests.support.commands import Command
    from tests.support.kubernetes import KubernetesApi

LISTS = "^GET .*/backupjobwatches$"


async def test_every_line_is_json(api: KubernetesApi, sim: AzureSimulator, vault: Vault) -> None:
    """The log lines about objects, API server errors and shutdown are all JSON objects."""
    variables = {
        "BACKUPJOBWATCH_DEVELOPMENT": "true",
        "BACKUPJOBWATCH_DEVELOPMENT_TOKEN": TOKEN,
        "BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES": "*",
    }
    async with _operator(sim, **variables) as process:
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload(status="Failed")), "pollInterval": "10s"})
        api.create({"jobResourceId": vault.set_job(OTHER_JOB_NAME, running_payload()), "pollInterval": "10s"}, "other")
        status = await api.status(phase="Failed")
        await api.status("other", phase="Running")
        fault = api.traffic.fail(LISTS, status=503, times=2)
        api.cut_streams()
        await api.until(lambda: fault.used == 2)
        process.send_signal(signal.SIGTERM)
        lines = await _lines_of(process)
    assert process.returncode == 0
    told = [json.loads(line) for line in lines]
    (failure,) = (line for line in told if line.get("reason") == "JobFailed")
    uid = api.get()["metadata"]["uid"]
    assert failure["level"] == "WARNING"
    assert {name: failure[name] for name in ("namespace", "name", "uid", "phase")} == {
        "namespace": "team-a", "name": "nightly", "uid": uid, "phase": "Failed",
    }  # fmt: skip
    assert status["message"] in failure["message"]
    (running,) = (line for line in told if line.get("reason") == "JobInProgress")
    assert running["level"] == "INFO"
    kopfs = [line["message"] for line in told if line["logger"].startswith("kopf")]
    assert any(message.startswith("Request to the API server failed (attempt 1, will retry): GET") for message in kopfs)
    assert not any("escalate" in message or "Timer" in message for message in kopfs)


async def test_no_traceback_of_a_refused_identity(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, tenants: Tenants
) -> None:
    """A token failure is logged in one line, without the output of azure-identity and msal."""
    tenants.entra.faults.add(Fault.html(status=403), path="openid-configuration", times=None)
    variables = {
        "AZURE_TENANT_ID": TENANT_ID,
        "AZURE_CLIENT_ID": "c11e0000-5e1f-4000-8000-000000000000",
        "AZURE_CLIENT_SECRET": f"client-secret-{WORD}",
        "BACKUPJOBWATCH_DEVELOPMENT": "true",
        "BACKUPJOBWATCH_AZURE_AUTHORITY": tenants.entra.url,
        "BACKUPJOBWATCH_AZURE_AUTHORITY_CA_FILE": str(tenants.options["azure_authority_ca_file"]),
        "BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES": "*",
    }
    async with _operator(sim, **variables) as process:
        api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload())})
        await api.until(lambda: api.get()["status"].get("reason") not in {None, "Progressing"})
        process.send_signal(signal.SIGTERM)
        lines = await _lines_of(process)
    told = [json.loads(line) for line in lines]
    assert not any("exc_info" in line or "\n" in line["message"] for line in told)
    assert [line for line in told if line["logger"].startswith(("azure", "msal"))] == []
    (failure,) = (line for line in told if line["logger"].endswith("credentials"))
    assert (failure["level"], failure["reason"]) == ("WARNING", api.get()["status"]["reason"])
    assert sim.requests == ()


async def test_the_reason_of_the_end_is_json(api: KubernetesApi, sim: AzureSimulator) -> None:
    """A setting that fails at startup is logged as one line of JSON, with exit code 2."""
    del api
    async with _operator(sim, BACKUPJOBWATCH_LEADER_ELECTION="true", BACKUPJOBWATCH_DEVELOPMENT="true") as process:
        (line,) = await _lines_of(process)
    assert process.returncode == 2
    assert json.loads(line)["level"] == "CRITICAL"
    assert "BACKUPJOBWATCH_LEASE_NAMESPACE" in json.loads(line)["message"]


@pytest.mark.parametrize(
    "wrong",
    [{"RESYNC_INTERVAL": "1 minute", "CLOUD": "moon"}, {"LOG_LEVEL": "loud"}, {"LOG_FORMATT": "json"}],
    ids=" ".join,
)
@pytest.mark.parametrize("log_format", ["json", "JSON"])
async def test_wrong_settings(sim: AzureSimulator, wrong: dict[str, str], log_format: str) -> None:
    """Wrong settings are also logged as one line of JSON."""
    variables = {f"BACKUPJOBWATCH_{name}": value for name, value in wrong.items()}
    async with _operator(sim, **variables, BACKUPJOBWATCH_LOG_FORMAT=log_format) as process:
        (line,) = await _lines_of(process)
    assert process.returncode == 2
    assert json.loads(line)["level"] == "CRITICAL"
    assert all(f"{variable}: " in json.loads(line)["message"] for variable in variables)


async def test_the_old_name_of_a_setting_is_logged(api: KubernetesApi, sim: AzureSimulator) -> None:
    """The operator starts with the old name of a setting, and logs the new one."""
    del api
    async with _operator(sim, BACKUPJOBWATCH_SWEEP_INTERVAL="1m", BACKUPJOBWATCH_PROBE_PORT="0",
                         BACKUPJOBWATCH_LEADER_ELECTION="true", BACKUPJOBWATCH_DEVELOPMENT="true") as process:  # fmt: skip
        first, *_ = await _lines_of(process)
    assert json.loads(first)["level"] == "WARNING"
    assert "set BACKUPJOBWATCH_RESYNC_INTERVAL instead" in json.loads(first)["message"]


def _operator(sim: AzureSimulator, **variables: str) -> contextlib.AbstractAsyncContextManager[Command]:
    azure = {"BACKUPJOBWATCH_AZURE_ENDPOINT": sim.url, "BACKUPJOBWATCH_LOG_FORMAT": "json"}
    return running_command(**(azure | variables))


async def _lines_of(process: Command) -> list[str]:
    return (await log_of(process)).splitlines()
