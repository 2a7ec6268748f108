"""`kubectl bjw wait` and `tasks` select watches like kubectl, on a real API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.plugin import Plugin, Waited, Written, ended

if TYPE_CHECKING:
    from demo.controlplane import ControlPlane, Faults, Kubectl

CALLED = "backupjobwatch.azurebackup.dev"
DONE = "job-iaasvm-completed"
FAILED = "job-iaasvm-failed"
RUNNING = "job-iaasvm-inprogress"


@pytest.mark.parametrize(
    "kind",
    [
        *("bjw", "backupjobwatch", "backupjobwatches", "backupjobwatch.azurebackup.dev"),
        *("backupjobwatches.azurebackup.dev", "backupjobwatches.v1alpha1.azurebackup.dev"),
    ],
)
def test_types(plugin: Plugin, written: Written, kubectl: Kubectl, kind: str) -> None:
    """The plugin accepts every TYPE/NAME that `kubectl get` accepts."""
    written.create("nightly")
    written.become("nightly", DONE)
    assert kubectl("get", f"{kind}/nightly", "-n", written.namespace, "-o", "name").stdout == f"{CALLED}/nightly\n"
    assert plugin("wait", f"{kind}/nightly", "nightly").stdout.startswith(f"{CALLED}/nightly: Succeeded: ")


@pytest.fixture
def team(written: Written) -> Written:
    """Two watches of one team, one of which failed, and a running watch of another team."""
    for name, labels, example in (
        ("db", {"team": "payroll", "stage": "prod"}, DONE),
        ("files", {"team": "payroll", "stage": "test"}, FAILED),
        ("other", {"team": "other"}, RUNNING),
    ):
        written.create(name, labels)
        written.become(name, example)
    return written


@pytest.mark.parametrize(
    ("args", "code", "names"),
    [
        (("-l", "team=payroll,stage=prod"), 0, ["db"]),
        (("--selector", "team=payroll"), 1, ["db", "files"]),
        (("--all",), 1, ["db", "files"]),
        (("-l", "team=other"), 124, []),
    ],
)
def test_selection(plugin: Plugin, team: Written, args: tuple[str, ...], code: int, names: list[str]) -> None:
    """Watches that match a selector or `--all` are treated like watches that are named."""
    done = plugin("wait", *args, "--timeout", "2s")
    assert done.returncode == code
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [f"{CALLED}/{name}" for name in names]


@pytest.mark.parametrize("args", [("-l", "team=none"), ("--all",)])
def test_nothing_selected(plugin: Plugin, written: Written, args: tuple[str, ...]) -> None:
    """If no watch matches, the exit code is 3, because nothing has succeeded."""
    for command in ("wait", "tasks"):
        done = plugin(command, *args)
        assert (done.returncode, done.stdout) == (3, "")
        assert f"in the namespace {written.namespace}. Check with `kubectl get bjw" in done.stderr


def test_selection_is_kept(plugin: Plugin, written: Written, control_plane: ControlPlane) -> None:
    """The watches are selected once. Later watches, edited labels and deletions do not change the selection."""
    for name in ("db", "files"):
        written.create(name, {"team": "payroll"})
    waited = Waited(plugin, control_plane, "-l", "team=payroll", "--timeout", "60s")
    assert waited.process.stderr is not None
    lines = iter(waited.process.stderr.readline, "")
    assert any("files  Unseen" in line for line in lines)
    written.create("late", {"team": "payroll"})
    written.become("late", FAILED)
    written.become("db", DONE)
    written.label("files", team="other")
    written.become("files", DONE)
    status, out, _ = waited.end()
    assert (status, len(out.splitlines())) == (0, 2)

    written.create("more", {"team": "payroll"})
    waited = Waited(plugin, control_plane, "-l", "team=payroll", "--timeout", "60s")
    assert waited.process.stderr is not None
    assert any("more  Unseen" in line for line in iter(waited.process.stderr.readline, ""))
    written.delete("more")
    assert waited.end()[0] == 1


def test_selection_during_an_outage(plugin: Plugin, team: Written, faults: Faults) -> None:
    """The command waits for an API server that is down at the start before it selects watches."""
    faults.gone(spare="^e2e-test")
    done = plugin("wait", "--all", "--timeout", "2s")
    assert (done.returncode, done.stdout) == (124, "")
    assert "could not be listed within 2 s" in done.stderr
    process = plugin.start("wait", "-l", "team=payroll", "--timeout", "60s")
    assert process.stderr is not None
    assert "retrying" in process.stderr.readline()
    faults.back()
    assert ended(process)[0] == 1


def test_names_of_standard_input(plugin: Plugin, team: Written, kubectl: Kubectl) -> None:
    """`-` reads the output of `-o name`. Without names the exit code is 3: the command before the pipe failed."""
    names = kubectl("get", "bjw", "-n", team.namespace, "-l", "team=payroll", "-o", "name").stdout
    done = plugin("wait", "-", stdin=names)
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 2)
    assert plugin("tasks", "-", stdin=names).returncode == 0
    done = plugin("wait", "-", stdin="\n")
    assert (done.returncode, done.stdout) == (3, "")
    assert "Standard input has no names. Check the command before the pipe." in done.stderr


def test_wait_for_creation(plugin: Plugin, written: Written) -> None:
    """With `--wait-for-creation` a watch may be created later. If it never is, the wait times out."""
    process = plugin.start("wait", "nightly", "--wait-for-creation", "--timeout", "60s")
    assert process.stderr is not None
    assert "Waiting for its creation." in process.stderr.readline()
    written.create("nightly")
    assert any("Unseen" in line for line in iter(process.stderr.readline, ""))
    written.become("nightly", FAILED)
    assert ended(process)[0] == 1
    done = plugin("wait", "weekly", "nightly", "--wait-for-creation", "--timeout", "2s")
    assert done.returncode == 1
    assert f"{CALLED}/weekly: not created within 2 s" in done.stderr
    assert plugin("wait", "weekly", "--wait-for-creation", "--timeout", "1s").returncode == 124


def test_deleted_while_waiting_for_creation(plugin: Plugin, written: Written) -> None:
    """The command does not wait again for the creation of a watch that was deleted."""
    process = plugin.start("wait", "nightly", "--wait-for-creation", "--timeout", "60s")
    assert process.stderr is not None
    assert "Waiting for its creation." in process.stderr.readline()
    written.create("nightly")
    assert any("Unseen" in line for line in iter(process.stderr.readline, ""))
    written.delete("nightly")
    code, _, said = ended(process)
    assert (code, "was deleted before it had ended" in said) == (3, True)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "NAME is missing. Pass the name of a watch, --selector or --all."),
        (("a", "--all"), "NAME, --selector and --all exclude each other. Use one of them."),
        (("-l", "a=b", "--all"), "NAME, --selector and --all exclude each other. Use one of them."),
        (("-l", " "), "--selector is empty."),
        (("pod/nightly",), "pod/nightly is not a BackupJobWatch. Write NAME or bjw/NAME."),
        (("BJW/nightly",), "BJW/nightly is not a BackupJobWatch."),
        (("bjw/",), "bjw/ is not a BackupJobWatch."),
        (("",), "An empty name is not a BackupJobWatch."),
        (("a", "--wait-for-creation", "--timeout", "0"), "needs a --timeout greater than 0"),
        (("--all", "--wait-for-creation"), "--wait-for-creation needs names"),
    ],
)
def test_wrong_usage(plugin: Plugin, args: tuple[str, ...], words: str) -> None:
    """Wrong usage exits with 3, and the message says what to write instead."""
    done = plugin("wait", *args)
    assert (done.returncode, done.stdout) == (3, "")
    assert words in done.stderr
