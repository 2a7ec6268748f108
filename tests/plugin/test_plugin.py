"""The single file works on a machine that has no Python."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Final

import pytest

from backupjobwatch import __version__
from tests.plugin.conftest import BUILT
from tests.support.builders import VAULT_ID

if TYPE_CHECKING:
    from tests.plugin.conftest import BareMachine
    from tests.support.plugin import Written

JOB: Final = f"{VAULT_ID}/backupJobs/41f3e94b-ae6b-4a20-b422-65abfcaf03e5"


def test_machine_without_python(machine: BareMachine) -> None:
    """Without the file, the machine can run neither Python nor a shell."""
    assert machine.run("python3", "--version").returncode == 127
    assert machine.run("sh", "-c", "true").returncode == 127


def test_version(machine: BareMachine) -> None:
    """It starts, and has the version of the package."""
    done = machine.run("kubectl-bjw", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"kubectl bjw, version {__version__}\n", "")


def test_completes(machine: BareMachine, written: Written) -> None:
    """By its other name it completes commands and the names of watches."""
    written.create("nightly-backup")
    assert machine.run("kubectl_complete-bjw", "l").stdout.split("\t")[0] == "list"
    named = machine.run("kubectl_complete-bjw", "wait", "-n", written.namespace, "")
    assert named.stdout.splitlines() == ["nightly-backup", ":4"], named.stderr


def test_creates_and_lists(machine: BareMachine, written: Written) -> None:
    """It creates a watch from what the Azure CLI prints, and lists it."""
    created = machine.run("kubectl-bjw", "create", "-n", written.namespace, "--name", "new", stdin=JOB)
    assert created.returncode == 0, created.stderr
    assert written.get("new")["spec"]["jobResourceId"] == JOB
    listed = machine.run("kubectl-bjw", "list", "-n", written.namespace)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["NAME", "new"], listed.stderr


@pytest.mark.parametrize(("example", "code"), [("job-iaasvm-completed", 0), ("job-iaasvm-failed", 1)])
def test_waits(machine: BareMachine, written: Written, example: str, code: int) -> None:
    """It waits for the end of a job, and its exit code is the verdict."""
    written.create("ended")
    written.become("ended", example)
    done = machine.run("kubectl-bjw", "wait", "ended", "-n", written.namespace)
    assert done.returncode == code, done.stderr


def test_archive() -> None:
    """The archive for krew contains only the executable and LICENSE."""
    (archive,) = BUILT.parent.glob("*.tar.gz")
    assert archive.name.startswith(f"kubectl-bjw_v{__version__}_linux_")
    with tarfile.open(archive) as opened:
        members = {member.name: member.mode & 0o777 for member in opened}
    assert members.keys() == {"kubectl-bjw", "LICENSE"}
    assert members["kubectl-bjw"] & 0o111
