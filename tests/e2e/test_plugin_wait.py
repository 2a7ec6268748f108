"""How `kubectl bjw wait` ends, on a real API server. Tests at a terminal use the real kubectl."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.operator import free_port
from tests.support.plugin import AGENT, Plugin, Screen, Written, ended
from tests.support.watches import until

if TYPE_CHECKING:
    from pathlib import Path

    from demo.controlplane import ControlPlane, Faults, Kubectl

CALLED = "backupjobwatch.azurebackup.dev"
DONE = "job-iaasvm-completed"
FAILED = "job-iaasvm-failed"
WARNED = "job-iaasvm-completedwithwarnings"
RUNNING = "job-iaasvm-inprogress"


class Waited:
    """`kubectl bjw wait` under way: it has begun to look."""

    def __init__(self, plugin: Plugin, control_plane: ControlPlane, *args: str) -> None:
        before = len(control_plane.requests.where(agent=AGENT))
        self.process = plugin.start("wait", *args)
        until(lambda: len(control_plane.requests.where(agent=AGENT)) > before)

    def end(self) -> tuple[int, str, str]:
        return ended(self.process)


@pytest.mark.parametrize(
    ("example", "spec", "args", "code"),
    [
        (DONE, {}, (), 0),
        (DONE, {}, ("--warnings-as-errors",), 0),
        (FAILED, {}, (), 1),
        ("job-iaasvm-cancelled", {}, (), 1),
        (WARNED, {"completedWithWarnings": "Succeeded"}, (), 0),
        (WARNED, {"completedWithWarnings": "Succeeded"}, ("--warnings-as-errors",), 2),
        (WARNED, {}, (), 2),
    ],
)
def test_codes(
    plugin: Plugin, written: Written, *, example: str, spec: dict[str, Any], args: tuple[str, ...], code: int
) -> None:
    """The exit code is the job's outcome; one line says how it ended."""
    written.create("nightly", **spec)
    body = written.become("nightly", example)
    done = plugin("wait", "nightly", *args)
    status = body["status"]
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout == f"backupjobwatch.azurebackup.dev/nightly: {status['phase']}: {status['message']}\n"


@pytest.mark.parametrize(("example", "code"), [(DONE, 0), (FAILED, 1)])
def test_return_on_both(plugin: Plugin, written: Written, control_plane: ControlPlane, example: str, code: int) -> None:
    """It returns when the job ends, well or badly, and tells meanwhile what happens, on standard error."""
    written.create("nightly")
    waited = Waited(plugin, control_plane, "nightly", "--timeout", "60s")
    written.become("nightly", RUNNING)
    assert waited.process.stderr is not None
    assert any("Running" in line for line in iter(waited.process.stderr.readline, ""))
    written.become("nightly", example)
    status, out, _ = waited.end()
    assert status == code
    assert len(out.splitlines()) == 1


def test_timeout(plugin: Plugin, written: Written) -> None:
    """What has not ended in time is 124, not earlier; a time-out of 0 looks once."""
    written.create("nightly")
    written.become("nightly", RUNNING)
    started = time.monotonic()
    done = plugin("wait", "nightly", "--timeout", "2s")
    assert (done.returncode, done.stdout) == (124, "")
    assert "not ended within 2 s" in done.stderr
    assert time.monotonic() - started > 2
    done = plugin("wait", "nightly", "--timeout", "0")
    assert (done.returncode, done.stdout) == (124, "")


def test_wrong_timeout(plugin: Plugin) -> None:
    """A time-out that is no duration is refused with what to write."""
    done = plugin("wait", "nightly", "--timeout", "1 hour")
    assert done.returncode == 3
    assert "write a duration such as 30s, 5m or 1h30m" in done.stderr


def test_a_look_that_nobody_answers(plugin: Plugin, control_plane: ControlPlane, tmp_path: Path) -> None:
    """One look without an API server says nothing of the job: that is no time-out, after which a script would wait on."""
    config = yaml.safe_load(control_plane.kubeconfig.read_text(encoding="utf-8"))
    for each in config["clusters"]:
        each["cluster"]["server"] = f"https://127.0.0.1:{free_port()}"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    done = plugin("wait", "nightly", "--timeout", "0", "--kubeconfig", str(path))
    assert (done.returncode, done.stdout) == (3, "")
    assert "no answer within 15 s" in done.stderr


def test_old_outcome_does_not_answer(plugin: Plugin, written: Written, control_plane: ControlPlane) -> None:
    """A status of an earlier spec is none: not the success of the old job, not before the operator has seen the edit."""
    written.create("nightly")
    written.become("nightly", DONE)
    written.edit("nightly", pollInterval="1m")
    assert plugin("wait", "nightly", "--timeout", "0").returncode == 124
    written.edit("nightly", jobResourceId=written.create("other")["spec"]["jobResourceId"])
    waited = Waited(plugin, control_plane, "nightly", "--timeout", "60s")
    written.become("nightly", FAILED)
    assert waited.end()[0] == 1


def test_missing(plugin: Plugin, written: Written) -> None:
    """A watch that is not there is 3, at once."""
    done = plugin("wait", "nightly")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        f"backupjobwatch.azurebackup.dev/nightly: not found in the namespace {written.namespace}. Check the name, or pass "
        "--wait-for-creation.\n"
    )


@pytest.mark.parametrize("again", [False, True], ids=["deleted", "deleted and made anew"])
def test_deleted(plugin: Plugin, written: Written, control_plane: ControlPlane, again: bool) -> None:  # noqa: FBT001
    """A watch that is deleted is 3, and a new one of its name does not answer for it."""
    written.create("nightly")
    waited = Waited(plugin, control_plane, "nightly", "--timeout", "60s")
    written.delete("nightly")
    if again:
        written.create("nightly")
        written.become("nightly", DONE)
    status, out, said = waited.end()
    assert (status, out) == (3, "")
    assert "was deleted" in said


def test_deleted_during_an_outage(
    plugin: Plugin, written: Written, control_plane: ControlPlane, faults: Faults
) -> None:
    """The same where the API server was gone meanwhile: the uid tells."""
    written.create("nightly")
    before = len(control_plane.requests.where(verb="watch", agent=AGENT))
    waited = Waited(plugin, control_plane, "nightly", "--timeout", "60s")
    until(lambda: len(control_plane.requests.where(verb="watch", agent=AGENT)) > before)
    faults.gone(spare="^e2e-test")
    written.delete("nightly")
    written.create("nightly")
    written.become("nightly", DONE)
    faults.back()
    status, out, said = waited.end()
    assert (status, out) == (3, "")
    assert "was deleted and recreated" in said


def test_outage(plugin: Plugin, written: Written, faults: Faults) -> None:
    """An API server that is gone, from the first on, is waited for."""
    written.create("nightly")
    written.become("nightly", DONE)
    faults.gone(spare="^e2e-test")
    process = plugin.start("wait", "nightly", "--timeout", "60s")
    assert process.stderr is not None
    assert "trying again" in process.stderr.readline()
    faults.back()
    assert ended(process)[0] == 0
    faults.gone(spare="^e2e-test")
    done = plugin("wait", "nightly", "--timeout", "3s")
    assert done.returncode == 124
    assert len([line for line in done.stderr.splitlines() if "trying again" in line]) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_trouble(plugin: Plugin, written: Written, faults: Faults, status: int) -> None:
    """Refusals that pass are borne."""
    from demo.controlplane import Fault

    written.create("nightly")
    written.become("nightly", DONE)
    faults.add(Fault(path="/backupjobwatches", agent=AGENT, status=status, times=2))
    assert plugin("wait", "nightly", "--timeout", "60s").returncode == 0


def test_no_access(plugin: Plugin, written: Written, faults: Faults) -> None:
    """A refusal that does not pass is 3, at once, in the API server's words."""
    from demo.controlplane import Fault

    written.create("nightly")
    faults.add(Fault(path="/backupjobwatches", agent=AGENT, status=403, message="cannot list resource"))
    done = plugin("wait", "nightly")
    assert (done.returncode, done.stdout) == (3, "")
    assert "cannot list resource" in done.stderr


def test_access_that_expired(plugin: Plugin, written: Written, faults: Faults) -> None:
    """A token that expired meanwhile is asked for anew, once."""
    from demo.controlplane import Fault

    written.create("nightly")
    written.become("nightly", DONE)
    faults.add(Fault(path="/backupjobwatches", agent=AGENT, status=401, times=1))
    assert plugin("wait", "nightly", "--timeout", "60s").returncode == 0
    faults.add(Fault(path="/backupjobwatches", agent=AGENT, status=401, times=2))
    assert plugin("wait", "nightly", "--timeout", "60s").returncode == 3


def test_suspended(plugin: Plugin, written: Written, control_plane: ControlPlane) -> None:
    """A suspended watch is waited for, and is said to be one; it counts once it is resumed."""
    written.create("nightly", suspend=True)
    waited = Waited(plugin, control_plane, "nightly", "--timeout", "60s")
    assert waited.process.stderr is not None
    assert any("is suspended" in line for line in iter(waited.process.stderr.readline, ""))
    written.edit("nightly", suspend=False)
    written.become("nightly", DONE)
    assert waited.end()[0] == 0


def test_several(plugin: Plugin, written: Written) -> None:
    """Of several the worst counts: failed, could not tell, timed out, warnings, succeeded."""
    for name, example in (("done", DONE), ("failed", FAILED), ("running", RUNNING)):
        written.create(name)
        written.become(name, example)
    for names, code in (
        (("done", "done"), 0),
        (("done", "running"), 124),
        (("running", "missing", "done"), 3),
        (("missing", "failed", "running"), 1),
    ):
        assert plugin("wait", *names, "--timeout", "2s").returncode == code


@pytest.mark.parametrize(
    "kind",
    [
        *("bjw", "backupjobwatch", "backupjobwatches", "backupjobwatch.azurebackup.dev"),
        *("backupjobwatches.azurebackup.dev", "backupjobwatches.v1alpha1.azurebackup.dev"),
    ],
)
def test_types(plugin: Plugin, written: Written, kubectl: Kubectl, kind: str) -> None:
    """TYPE/NAME is read as kubectl reads it: what `kubectl get` accepts, the plugin accepts."""
    written.create("nightly")
    written.become("nightly", DONE)
    assert kubectl("get", f"{kind}/nightly", "-n", written.namespace, "-o", "name").stdout == f"{CALLED}/nightly\n"
    assert plugin("wait", f"{kind}/nightly", "nightly").stdout.startswith(f"{CALLED}/nightly: Succeeded: ")


@pytest.fixture
def team(written: Written) -> Written:
    """Two watches of a team, one of which failed, and one that runs, of another team."""
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
    """The watches that a selector or `--all` matches count as if they were named."""
    done = plugin("wait", *args, "--timeout", "2s")
    assert done.returncode == code
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [f"{CALLED}/{name}" for name in names]


@pytest.mark.parametrize("args", [("-l", "team=none"), ("--all",)])
def test_nothing_selected(plugin: Plugin, written: Written, args: tuple[str, ...]) -> None:
    """A selection without watches is 3: nothing has succeeded."""
    for command in ("wait", "tasks"):
        done = plugin(command, *args)
        assert (done.returncode, done.stdout) == (3, "")
        assert f"in the namespace {written.namespace}. Check with `kubectl get bjw" in done.stderr


def test_selection_is_kept(plugin: Plugin, written: Written, control_plane: ControlPlane) -> None:
    """The watches are selected once: later ones do not count, and neither edited labels nor deletions drop any."""
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
    """An API server that is down at the start is waited for, also to list the selected watches."""
    faults.gone(spare="^e2e-test")
    done = plugin("wait", "--all", "--timeout", "2s")
    assert (done.returncode, done.stdout) == (124, "")
    assert "could not be listed within 2 s" in done.stderr
    process = plugin.start("wait", "-l", "team=payroll", "--timeout", "60s")
    assert process.stderr is not None
    assert "trying again" in process.stderr.readline()
    faults.back()
    assert ended(process)[0] == 1


def test_names_of_standard_input(plugin: Plugin, team: Written, kubectl: Kubectl) -> None:
    """`-` reads what `-o name` prints. No names at all is 3: the command before the pipe failed."""
    names = kubectl("get", "bjw", "-n", team.namespace, "-l", "team=payroll", "-o", "name").stdout
    done = plugin("wait", "-", stdin=names)
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 2)
    assert plugin("tasks", "-", stdin=names).returncode == 0
    done = plugin("wait", "-", stdin="\n")
    assert (done.returncode, done.stdout) == (3, "")
    assert "Standard input has no names. Check the command before the pipe." in done.stderr


def test_wait_for_creation(plugin: Plugin, written: Written) -> None:
    """With `--wait-for-creation` a watch may be created later. Without its creation the wait times out."""
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
    """A watch that was created and deleted is not waited for again."""
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
    """Wrong usage is 3, with what to write instead."""
    done = plugin("wait", *args)
    assert (done.returncode, done.stdout) == (3, "")
    assert words in done.stderr


def test_reader_that_left(plugin: Plugin, written: Written) -> None:
    """Where nobody reads how it ended, it is no failure of the job's: 3."""
    written.create("nightly")
    written.become("nightly", DONE)
    process = plugin.start("wait", "nightly")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    code, _, said = ended(process)
    assert code == 3
    assert "Traceback" not in said


@pytest.mark.parametrize("key", ["Ctrl-C at a terminal", "SIGINT"])
def test_interrupted(plugin: Plugin, written: Written, control_plane: ControlPlane, key: str) -> None:
    """Ctrl-C ends it with 130, without a traceback."""
    written.create("nightly")
    if key == "SIGINT":
        waited = Waited(plugin, control_plane, "nightly")
        assert waited.process.stderr is not None
        said = waited.process.stderr.readline()
        waited.process.send_signal(signal.SIGINT)
        status, out, rest = waited.end()
        assert (status, out) == (130, "")
        said += rest
    else:
        with Screen(plugin, "wait", "nightly") as screen:
            screen.until("Unseen")
            assert screen.interrupt() == 130
            said = screen.text
    assert "Traceback" not in said
