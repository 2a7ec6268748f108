"""``backupjobwatch watch`` in scripts and pipelines: standard input, messages and periodic lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.domain.jobs.times import format_time
from demo.simulator import ManualClock, running_simulator
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload, running_payload
from tests.support.canary import TOKEN
from tests.support.watching import Done, Watching, watch_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from demo.simulator import AzureSimulator, Vault

    Watch = Callable[..., Done]

OF_VAULT = ("-s", SUBSCRIPTION_ID, "-g", RESOURCE_GROUP, "-v", VAULT)


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

    def run(*arguments: str, words: str | None = None) -> Done:
        return Watching(watch_settings(sim.url), *arguments, words=words).wait()

    return run


@pytest.mark.parametrize(
    ("status", "flags", "option"),
    [("CompletedWithWarnings", (), "use --accept-warnings"), ("InProgress", ("--timeout", "1s"), "(--timeout)")],
)
def test_messages_name_options(vault: Vault, watch: Watch, status: str, flags: tuple[str, ...], option: str) -> None:
    """Messages name the option to change instead of a field of the spec."""
    done = watch(vault.set_job(JOB_NAME, job_payload(status=status)), *flags)
    assert option in done.out
    assert "spec." not in done.out + done.err


@pytest.mark.parametrize(("flags", "code"), [((), 3), (("--allow-empty",), 0)])
def test_an_empty_standard_input(watch: Watch, flags: tuple[str, ...], code: int) -> None:
    """Empty standard input is an error, because the command before the pipe may have failed."""
    done = watch("-", *flags, words="\n")
    assert (done.code, done.out) == (code, "")
    assert "Standard input names no job." in done.err
    listed = watch("-", "-o", "json", *flags, words="")
    assert (listed.code, listed.out and json.loads(listed.out)["items"]) == (code, [] if code == 0 else "")


def test_the_first_job_of_an_item(vault: Vault, watch: Watch) -> None:
    """--item follows the item's first job of the operation that starts after --started-after."""
    hours = [format_time(datetime.now(UTC) - timedelta(hours=ago)) for ago in (3, 1, 0)]
    vault.set_job(JOB_NAME, job_payload(status="Failed", startTime=hours[0], endTime=hours[1]))
    vault.set_job(OTHER_JOB_NAME, job_payload(operation="Restore", startTime=hours[1], endTime=hours[2]))
    item = ("--item", "UTTESTVMUB1", *OF_VAULT, "-o", "json")
    done = watch(*item, "--operation", "Restore", "--started-after", hours[0])
    assert (done.code, json.loads(done.out)["status"]["job"]["name"]) == (0, OTHER_JOB_NAME)
    done = watch(*item, "--started-after", "4h")
    assert (done.code, json.loads(done.out)["status"]["job"]["name"]) == (1, JOB_NAME)
    done = watch(*item[:-2], "--timeout", "1s")
    assert (done.code, "No Backup of UTTESTVMUB1 has started after" in done.out) == (124, True)


def test_a_recent_job_of_an_item(vault: Vault, watch: Watch) -> None:
    """--completed-within exits at once if a job completed in time. Otherwise it waits. The output names the option."""
    hours = [format_time(datetime.now(UTC) - timedelta(hours=ago)) for ago in (3, 2)]
    vault.set_job(JOB_NAME, job_payload(startTime=hours[0], endTime=hours[1]))
    item = ("--item", "uttestvmub1", *OF_VAULT)
    done = watch(*item, "--completed-within", "3h")
    assert (done.code, "within 3h0m0s (--completed-within) before the watch started" in done.out) == (0, True)
    done = watch(*item, "--completed-within", "1h", "--timeout", "1s")
    assert (done.code, "No Backup of uttestvmub1 completed within 1h0m0s" in done.out) == (124, True)
    assert "spec." not in done.out


def test_a_silent_job_has_a_line_every_interval(sim: AzureSimulator, vault: Vault) -> None:
    """While nothing changes, the command prints a line and the task's details every --log-interval."""
    tasks = {"taskId": "Transfer data to vault", "status": "InProgress"}
    details = {"taskExecutionDetails": "47.6 GBs / 127 GBs Transferred"}
    job = vault.set_job(JOB_NAME, running_payload(extendedInfo={"tasksList": [{**tasks, **details}]}))
    watching = Watching(watch_settings(sim.url), job, "--interval", "10s", "--log-interval", "1s")
    assert watching.process.stdout is not None
    lines = [watching.process.stdout.readline().rstrip() for _ in range(6)]
    vault.set_job(JOB_NAME, job_payload())
    assert watching.wait().code == 0
    assert [line.partition(JOB_NAME)[2].split("  ")[1:3] for line in lines] == [
        ["Running", "Backup of uttestvmub1"],
        ["", "Transfer data to vault: InProgress"],
    ] * 3
    assert all(line.endswith("  47.6 GBs / 127 GBs Transferred") for line in lines[1::2])
