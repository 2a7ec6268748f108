"""Exit codes and output of ``backupjobwatch watch`` as a process, against the simulator."""

from __future__ import annotations

import json
import os
import re
import time
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml

from demo.simulator import Fault, ManualClock, running_simulator
from tests.contract.schema import crd_schema
from tests.support.az import Az
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT
from tests.support.builders import (
    CANCELLED_AFTER_SNAPSHOT,
    JOB_NAME,
    OPERATION,
    OTHER_JOB_NAME,
    dp_job_payload,
    job_payload,
    running_payload,
)
from tests.support.canary import TOKEN, WORD
from tests.support.watching import Done, Watching, watch_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from demo.simulator import AzureSimulator, Vault

    Watch = Callable[..., Done]

BASE64 = "ODk5NDc5ODY2MTgyNDU2ODI5MjtpZA=="
OF_VAULT = ("-s", SUBSCRIPTION_ID, "-g", RESOURCE_GROUP, "-v", VAULT)
NOT_THERE = "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.RecoveryServices/vaults/{}/backupJobs/{}".format(
    SUBSCRIPTION_ID, RESOURCE_GROUP, VAULT, "00000000-0000-4000-8000-000000000000"
)


@pytest.fixture
def sim() -> Iterator[AzureSimulator]:
    with running_simulator(clock=ManualClock(), tokens={TOKEN: "somebody"}) as simulator:
        yield simulator


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    return sim.add_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, VAULT)


@pytest.fixture
def watch(sim: AzureSimulator) -> Watch:
    """Run the command until it exits."""

    def run(*arguments: str, words: str | None = None, **settings: str) -> Done:
        return Watching(watch_settings(sim.url, **settings), *arguments, words=words).wait()

    return run


# ── exit codes ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("Completed", 0),
        ("CompletedWithWarnings", 2),
        ("CompletedWithWarnings --warnings-as-errors", 2),
        ("CompletedWithWarnings --accept-warnings", 0),
        ("Failed", 1),
        ("Cancelled", 1),
    ],
)
def test_a_job_that_has_ended(sim: AzureSimulator, vault: Vault, watch: Watch, ending: str, code: int) -> None:
    """The command exits with the code of an ended job after one request."""
    begun, (status, *flags) = time.monotonic(), ending.split()
    done = watch(vault.set_job(JOB_NAME, job_payload(status=status)), *flags, "--interval", "5m")
    assert (done.code, done.err, len(sim.requests)) == (code, "", 1)
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize("flags", [(), ("--accept-warnings",)])
def test_cancelled_after_its_snapshot(vault: Vault, watch: Watch, flags: tuple[str, ...]) -> None:
    """If Azure ends a cancelled job as CompletedWithWarnings, --accept-warnings still exits with 1."""
    done = watch(vault.set_job(JOB_NAME, job_payload(**CANCELLED_AFTER_SNAPSHOT)), *flags, "--output", "json")
    assert done.code == 1
    assert json.loads(done.out)["status"]["reason"] == "JobCancelled"


def test_a_timeout(vault: Vault, watch: Watch) -> None:
    """After --timeout, the command exits with 124 at once. The last line is TimedOut, the object has DeadlineExceeded."""
    begun = time.monotonic()
    going = vault.set_job(JOB_NAME, running_payload())
    done = watch(going, "--timeout", "2s", "--interval", "5m", "--output", "json")
    assert done.code == 124
    assert time.monotonic() - begun < 60
    body = json.loads(done.out)
    assert (body["status"]["phase"], body["status"]["reason"]) == ("Failed", "DeadlineExceeded")
    assert body["spec"]["activeDeadlineSeconds"] == 2
    assert re.search(r"  TimedOut  .*--timeout[^\n]*$", done.err.rstrip()), done.err


def test_no_credentials(sim: AzureSimulator, vault: Vault, watch: Watch, tmp_path: Path) -> None:
    """Without credentials, the command explains the fix and exits with 3 at once, without a request."""
    done = Watching(
        {**watch_settings(sim.url, DEVELOPMENT_TOKEN=""), "PATH": str(tmp_path)}, vault.set_job(JOB_NAME, job_payload())
    ).wait()
    assert (done.code, done.out, sim.requests) == (3, "", ())
    assert done.err.startswith("CredentialsNotFound: There are no credentials for you (`az login`, or ")


def test_uses_the_account_of_az_login(sim: AzureSimulator, vault: Vault, tmp_path: Path) -> None:
    """The command uses the account of `az login` and runs az once for all jobs."""
    az = Az(tmp_path)
    az.answer(json.dumps({"accessToken": TOKEN, "expires_on": int(time.time()) + 3600, "tokenType": "Bearer"}))
    jobs = (vault.set_job(JOB_NAME, job_payload()), vault.set_job(OTHER_JOB_NAME, job_payload()))
    environment = {**watch_settings(sim.url, DEVELOPMENT_TOKEN=""), "PATH": az.path(os.environ["PATH"])}
    assert Watching(environment, *jobs).wait().code == 0
    (call,) = az.calls()
    assert call[:2] == ["account", "get-access-token"]


def test_the_worst_result_of_several_jobs(vault: Vault, watch: Watch) -> None:
    """With several jobs, the worst result sets the exit code. The output is a List in argument order."""
    done = watch(
        vault.set_job(OTHER_JOB_NAME, job_payload()),
        vault.set_job(JOB_NAME, job_payload(status="Failed")),
        "--output=json",
    )
    assert done.code == 1
    whole = json.loads(done.out)
    assert (whole["apiVersion"], whole["kind"]) == ("v1", "List")
    assert [item["metadata"]["name"] for item in whole["items"]] == [OTHER_JOB_NAME, JOB_NAME]
    assert [item["status"]["phase"] for item in whole["items"]] == ["Succeeded", "Failed"]


# ── job selection ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_by_its_guid(vault: Vault, watch: Watch) -> None:
    """A job GUID works together with the vault options that az uses."""
    vault.set_job(JOB_NAME, job_payload())
    assert watch(JOB_NAME, *OF_VAULT).code == 0


def test_a_job_of_a_backup_vault(sim: AzureSimulator, watch: Watch) -> None:
    """--vault-kind selects a Backup vault."""
    backup_vault = sim.add_backup_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, VAULT)
    backup_vault.set_job(JOB_NAME, dp_job_payload(status="Completed", endTime="2026-03-04T01:00:00Z"))
    assert watch(JOB_NAME, *OF_VAULT, "--vault-kind", "BackupVault").code == 0


def test_a_cross_region_restore(sim: AzureSimulator, vault: Vault, watch: Watch) -> None:
    """The option and the URL of the operation select the secondary region."""
    secondary = vault.secondary("westus")
    secondary.set_job(JOB_NAME, job_payload(status="Failed"))
    secondary.set_operation(BASE64, {"status": "Succeeded", "properties": {"jobId": JOB_NAME}})
    assert watch(JOB_NAME, *OF_VAULT, "--secondary-region", "West US").code == 1
    location = f"{sim.url}/subscriptions/{SUBSCRIPTION_ID}/providers/Microsoft.RecoveryServices/locations/westus"
    done = watch(f"{location}/backupCrrOperationsStatus/{BASE64}?s={WORD}", *OF_VAULT[2:], "-o", "json")
    assert (done.code, WORD in done.out + done.err) == (1, False)
    assert json.loads(done.out)["spec"]["vault"]["secondaryRegion"] == "westus"
    refused = watch("--item", "vm1", *OF_VAULT, "--secondary-region", "westus")
    assert refused.code == 3
    assert "--item must not be set with --secondary-region" in refused.err


def test_an_operation_is_resolved(vault: Vault, watch: Watch) -> None:
    """The command finds the job of an operation and exits with that job's code."""
    vault.set_job(JOB_NAME, job_payload(status="Failed"))
    vault.set_operation(OPERATION, {"status": "Succeeded", "properties": {"jobId": JOB_NAME}})
    done = watch("--operation-id", OPERATION, *OF_VAULT, "--output", "json")
    assert done.code == 1
    body = json.loads(done.out)
    assert (body["spec"]["operationId"], body["status"]["job"]["name"]) == (OPERATION, JOB_NAME)


def test_a_signed_url(sim: AzureSimulator, vault: Vault, watch: Watch) -> None:
    """The command accepts a signed operation URL, and neither prints nor sends its signature."""
    vault.set_job(JOB_NAME, job_payload())
    path = vault.set_operation(OPERATION, {"status": "Succeeded", "properties": {"jobId": JOB_NAME}})
    done = watch(f"{sim.url}{path}?api-version=2025-02-01&t=1&c={WORD}&s={WORD}", "-o", "yaml")
    assert (done.code, WORD in done.out + done.err) == (0, False)
    assert not any(WORD in str(request) for request in sim.requests)


def test_jobs_from_standard_input(vault: Vault, watch: Watch) -> None:
    """`-` reads one ID per line from standard input, quoted or not, without duplicates."""
    job = vault.set_job(JOB_NAME, job_payload())
    words = f'{job}\n\n"{job.upper()}"\r\n{vault.set_job(OTHER_JOB_NAME, job_payload())}\n'
    done = watch("-", "-o", "json", words=words)
    assert done.code == 0
    assert len(json.loads(done.out)["items"]) == 2


# ── output ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("output", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_standard_output_is_the_object(vault: Vault, watch: Watch, output: str, load: Callable[[str], Any]) -> None:
    """Standard output is only the object, valid against the CRD. Progress goes to standard error."""
    done = watch(vault.set_job(JOB_NAME, job_payload(entityFriendlyName="vm-häfen")), "--output", output)
    body = load(done.out)
    jsonschema.validate(body, crd_schema())
    assert body["kind"] == "BackupJobWatch"
    assert (body["status"]["phase"], body["status"]["job"]["entityFriendlyName"]) == ("Succeeded", "vm-häfen")
    assert done.err.splitlines()[-1].endswith(f"  {JOB_NAME}  Succeeded  Backup of vm-häfen  20m23s")


def test_a_pipe_gets_plain_lines(vault: Vault, watch: Watch) -> None:
    """If standard output is not a terminal, it gets plain lines without color. The verdict is the last line."""
    done = watch(vault.set_job(JOB_NAME, job_payload()))
    assert [line.split("  ", 2)[2] for line in done.out.splitlines()] == [
        "  Take Snapshot: Completed",
        "  Transfer data to vault: Completed",
        "Succeeded  Backup of uttestvmub1  20m23s",
    ]
    assert "\x1b" not in done.out


# ── slow commands, all at the same time ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def slow() -> Iterator[dict[str, Watching]]:
    """Commands that need several polls at an interval of 10 s."""
    with running_simulator(clock=ManualClock(), tokens={TOKEN: "somebody"}) as simulator:
        vault = simulator.add_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, VAULT)
        going, refused = vault.set_job(JOB_NAME, running_payload()), vault.set_job(OTHER_JOB_NAME, running_payload())
        simulator.faults.add(Fault.unauthorized(), path=OTHER_JOB_NAME, times=None)
        options = ("--interval", "10s", "--grace", "0s", "--output", "json")
        with simulator.hold(JOB_NAME, state_as_of="arrival") as hold:
            watching = {
                name: Watching(watch_settings(simulator.url), job, *options)
                for name, job in (("going", going), ("refused", refused), ("not there", NOT_THERE))
            }
            hold.wait_arrived()
            vault.set_job(JOB_NAME, job_payload())
        yield watching
        for each in watching.values():
            each.end()


def test_a_job_that_runs_first(slow: dict[str, Watching]) -> None:
    """The command polls a running job until it ends."""
    done = slow["going"].wait()
    assert done.code == 0
    told = [line.split("  ")[2] for line in done.err.splitlines()]
    assert (told.index("Running") < told.index("Succeeded"), told[-1]) == (True, "Succeeded")


@pytest.mark.parametrize(("name", "reason"), [("refused", "AuthenticationFailed"), ("not there", "JobNotFound")])
def test_the_result_is_unknown(slow: dict[str, Watching], name: str, reason: str) -> None:
    """After the grace period, the command exits with 3, because the job's result is unknown."""
    done = slow[name].wait()
    assert (done.code, json.loads(done.out)["status"]["reason"]) == (3, reason)
