"""``backupjobwatch watch --on-demand`` against the simulator: it requests a backup, at most once, and follows it."""

from __future__ import annotations

import json
import re
import shlex
import signal
import time
from typing import TYPE_CHECKING

import pytest

from demo.pictures.terminal import PATIENCE
from demo.simulator import (
    Fault,
    backup_instance,
    backup_policy,
    database,
    file_share,
    virtual_machine,
)
from tests.functional.terminal.backups import BACKUP_OF_VM, OF_VAULT, POST, add_vault, posts, running_azure, wait_for
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT
from tests.support.watching import Done, Watching, watch_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from demo.simulator import AzureSimulator, Vault


@pytest.fixture
def sim() -> Iterator[AzureSimulator]:
    with running_azure() as simulator:
        yield simulator


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    return add_vault(sim)


@pytest.fixture
def watch(sim: AzureSimulator) -> Callable[..., Done]:
    """Run the command until it exits."""
    return lambda *arguments: Watching(watch_settings(sim.url), *arguments).wait()


def next_line(watching: Watching, text: str) -> str:
    """Wait for the next line with *text* on standard error."""
    assert watching.process.stderr is not None
    return next(line for line in watching.process.stderr if text in line)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--item", "vm1", "--retain-for", "30d"),
        ("--item", "VM1", "--retain-until", "2099-01-01T00:00:00Z", "--if-running", "Follow"),
        ("--item", "data", "--container", "stharbour01"),
        ("--item", "master", "--backup-type", "CopyOnlyFull"),
    ],
)
def test_a_backup(sim: AzureSimulator, vault: Vault, watch: Callable[..., Done], arguments: tuple[str, ...]) -> None:
    """One request starts a backup, and its job sets the exit code. Both outputs name the ID of the request."""
    vault.protection.add(file_share("data"))
    vault.protection.add(database("master"))
    done = watch("--on-demand", *arguments, *OF_VAULT, "--output", "json")
    assert done.code == 0, done.err
    body = json.loads(done.out)
    (started,) = vault.protection.started()
    assert posts(sim) == [started.client_request_id] == [body["status"]["onDemand"]["requestID"]]
    assert body["status"]["job"]["name"] == started.job
    assert f"The activity ID of its job is {started.client_request_id}." in done.err
    assert f"The job is {vault.id}/backupJobs/{started.job}." in done.err


def test_an_instance_of_a_backup_vault(sim: AzureSimulator, watch: Callable[..., Done]) -> None:
    """The resource ID of the item names its vault, and the options name the rule."""
    vault = sim.add_backup_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, "bv1")
    vault.protection.names_job_after, vault.protection.duration = 0.0, 0.0
    vault.protection.add_policy("daily", backup_policy("BackupDaily", "BackupWeekly", tags=("Default", "Weekly")))
    path = vault.protection.add(backup_instance("d-1", policy_id=f"{vault.id}/backupPolicies/daily"))
    item = ("--on-demand", "--protected-item-id", f"{vault.id}/{path}")
    assert "Set --rule-name to one of: BackupDaily, BackupWeekly." in watch(*item).out
    done = watch(*item, "--rule-name", "BackupWeekly", "--retention-tag", "Weekly")
    assert (done.code, len(vault.protection.started())) == (0, 1), done.err
    assert re.search(r"  d-1-backup  Succeeded  ", done.out)


@pytest.mark.parametrize(("ending", "code"), [("Failed", 1), ("Cancelled", 1), ("CompletedWithWarnings", 2)])
def test_exit_codes(vault: Vault, watch: Callable[..., Done], ending: str, code: int) -> None:
    """The job of the backup sets the exit code. The command does not say that the backup may still run."""
    vault.protection.ends_as = ending
    done = watch(*BACKUP_OF_VM)
    assert (done.code, "does not stop" in done.err) == (code, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--item", "vm2"), 'The vault protects no item "vm2". It protects: master, master, vm1.'),
        (("--item", "master"), "Set --container to one of: "),
        (("--item", "vm1", "--backup-type", "Full"), "Remove --backup-type."),
        (
            ("--item", "vm1", "--retain-until", "2020-01-01T00:00:00Z"),
            "--retain-until (2020-01-01T00:00:00Z) has passed.",
        ),
    ],
)
def test_no_such_backup(
    sim: AzureSimulator, vault: Vault, watch: Callable[..., Done], arguments: tuple[str, ...], message: str
) -> None:
    """A wrong item or option is reported with the choices. Nothing is requested."""
    for server in ("sql-1", "sql-2"):
        vault.protection.add(database("master", server=server))
    done = watch("--on-demand", *arguments, *OF_VAULT)
    assert (done.code, posts(sim)) == (3, [])
    assert message.replace("master, master", "master") in done.out
    assert re.fullmatch(r"This command started no backup of \w+\.\n", done.err)


def test_azure_refuses(sim: AzureSimulator, vault: Vault, watch: Callable[..., Done]) -> None:
    """If Azure refuses the request, the command sends no other, and reports that it started no backup."""
    sim.faults.add(Fault.not_registered(), path=POST, times=None)
    done = watch(*BACKUP_OF_VM)
    assert (done.code, len(posts(sim))) == (3, 1)
    assert "This command started no backup of vm1." in done.err


@pytest.mark.parametrize("fault", [Fault.server_error(status=504, executed=True), Fault.hang_up(executed=True)])
def test_a_lost_answer(sim: AzureSimulator, vault: Vault, watch: Callable[..., Done], fault: Fault) -> None:
    """After a lost response, the command finds the job by the ID of the request, and sends no other request."""
    sim.faults.add(fault, path=POST, times=1)
    done = watch(*BACKUP_OF_VM, "-o", "json")
    (started,) = vault.protection.started()
    status = json.loads(done.out)["status"]
    assert (done.code, posts(sim)) == (0, [started.client_request_id])
    assert (status["onDemand"]["state"], status["job"]["name"]) == ("Recovered", started.job)


@pytest.mark.parametrize("group", [RESOURCE_GROUP, "rg-(prod)"])
def test_a_timeout(sim: AzureSimulator, watch: Callable[..., Done], group: str) -> None:
    """After --timeout, the command prints the command that follows the backup, quoted for a shell."""
    vault = sim.add_vault(SUBSCRIPTION_ID, group, VAULT)
    vault.protection.names_job_after, vault.protection.duration = 0.0, 600.0
    vault.protection.add(virtual_machine("vm1"))
    done = watch(*BACKUP_OF_VM, "-g", group, "--timeout", "2s")
    (started,) = vault.protection.started()
    assert done.code == 124
    command = shlex.join(["backupjobwatch", "watch", f"{vault.id}/backupJobs/{started.job}"])
    assert done.err.endswith(f" To follow the backup: {command}\n")


def test_a_running_backup(sim: AzureSimulator, vault: Vault) -> None:
    """With --if-running Follow, the command follows the running backup. Without it, the second backup fails with advice."""
    vault.protection.duration = 600.0
    first = Watching(watch_settings(sim.url), *BACKUP_OF_VM)
    next_line(first, "The job is")
    first.end()
    follower = Watching(watch_settings(sim.url), *BACKUP_OF_VM, "--if-running", "Follow")
    assert "is already running" in next_line(follower, "vm1")
    (started,) = vault.protection.started()
    assert started.job in next_line(follower, "The job is")
    follower.process.send_signal(signal.SIGINT)
    assert started.job in follower.wait().err
    second = Watching(watch_settings(sim.url), *BACKUP_OF_VM)
    next_line(second, "The job is")
    sim.clock.advance(5)
    done = second.wait()
    assert (done.code, len(posts(sim))) == (1, 2)
    assert "use --if-running Follow" in done.out


# ── signals ──────────────────────────────────────────────────────────────────────────────────────────────────────────

SIGNALS = pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])


@SIGNALS
def test_a_signal_before_the_request(sim: AzureSimulator, vault: Vault, number: signal.Signals, code: int) -> None:
    """After a signal before the request, the command sends none, and says so."""
    with sim.hold("/backupProtectedItems$") as hold:
        watching = Watching(watch_settings(sim.url), *BACKUP_OF_VM)
        hold.wait_arrived()
        watching.process.send_signal(number)
        done = watching.wait()
    assert (done.code, done.err) == (code, "This command started no backup of vm1.\n")
    assert (posts(sim), vault.protection.started()) == ([], ())


@SIGNALS
def test_a_signal_during_the_request(sim: AzureSimulator, vault: Vault, number: signal.Signals, code: int) -> None:
    """The command prints the ID before it sends the request. After a signal before the response, the backup is uncertain."""
    with sim.hold(POST) as hold:
        watching = Watching(watch_settings(sim.url), *BACKUP_OF_VM)
        hold.wait_arrived()
        line = next_line(watching, "Requesting a backup of vm1.")
        watching.process.send_signal(number)
        done = watching.wait()
    (request_id,) = posts(sim)
    assert request_id in line
    assert done.code == code
    assert "its response is not known. A backup may have started." in done.err
    assert f"look for a job with the activity ID {request_id} in the vault {VAULT}." in done.err


@SIGNALS
def test_repeated_signals(sim: AzureSimulator, vault: Vault, number: signal.Signals, code: int) -> None:
    """Further signals neither delay the end nor prevent the last line."""
    with sim.hold(POST) as hold:
        watching = Watching(watch_settings(sim.url), *BACKUP_OF_VM)
        hold.wait_arrived()
        end = time.monotonic() + PATIENCE
        while watching.process.poll() is None and time.monotonic() < end:
            watching.process.send_signal(number)
            time.sleep(0.002)
        done = watching.wait()
    assert (done.code, "its response is not known" in done.err) == (code, True)


@SIGNALS
def test_a_signal_before_the_job(sim: AzureSimulator, vault: Vault, number: signal.Signals, code: int) -> None:
    """After a signal after the response, the command says how to follow the operation."""
    vault.protection.names_job_after = 60.0
    watching = Watching(watch_settings(sim.url), *BACKUP_OF_VM)
    wait_for(lambda: any("/backupOperations/" in each.path for each in sim.requests))
    watching.process.send_signal(number)
    done = watching.wait()
    (started,) = vault.protection.started()
    assert done.code == code
    command = f"backupjobwatch watch --operation-id {started.operation} {' '.join(OF_VAULT)}"
    assert done.err.endswith(f"does not stop the backup of vm1. To follow the backup: {command}\n")
    sim.clock.advance(1000)
    assert Watching(watch_settings(sim.url), *shlex.split(command)[2:]).wait().code == 0


def test_a_killed_command(sim: AzureSimulator, vault: Vault) -> None:
    """After SIGKILL during the request, the line with its ID remains. The ID is the job's activity ID."""
    with sim.hold(POST) as hold:
        watching = Watching(watch_settings(sim.url), *BACKUP_OF_VM)
        hold.wait_arrived()
        line = next_line(watching, "Requesting")
        watching.end()
    assert str(wait_for(vault.protection.started)[0].client_request_id) in line
