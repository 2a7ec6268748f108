"""Exit codes and output of `kubectl bjw wait` on a real API server."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from demo.ports import reserved_port
from tests.support.commands import closed_pipe
from tests.support.plugin import AGENT, Plugin, Screen, Waited, Written, ended
from tests.support.watches import until

if TYPE_CHECKING:
    from pathlib import Path

    from demo.controlplane import ControlPlane, Faults

DONE = "job-iaasvm-completed"
FAILED = "job-iaasvm-failed"
WARNED = "job-iaasvm-completedwithwarnings"
RUNNING = "job-iaasvm-inprogress"


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
    """The exit code is the job's outcome. One line says how the job ended."""
    written.create("nightly", **spec)
    body = written.become("nightly", example)
    done = plugin("wait", "nightly", *args)
    status = body["status"]
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout == f"backupjobwatch.azurebackup.dev/nightly: {status['phase']}: {status['message']}\n"


@pytest.mark.parametrize(("example", "code"), [(DONE, 0), (FAILED, 1)])
def test_return_on_both(plugin: Plugin, written: Written, control_plane: ControlPlane, example: str, code: int) -> None:
    """The command returns when the job succeeds or fails, and writes its progress to standard error."""
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
    """If the job does not end before the timeout, the exit code is 124. A timeout of 0 checks once."""
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
    """An invalid timeout is refused, and the message says what to write."""
    done = plugin("wait", "nightly", "--timeout", "1 hour")
    assert done.returncode == 3
    assert "must be a duration such as 30s, 5m or 1h30m" in done.stderr


def test_an_unreachable_api_server(plugin: Plugin, control_plane: ControlPlane, tmp_path: Path) -> None:
    """A check without an API server exits with 3, not 124: after a timeout, a script may wait again."""
    config = yaml.safe_load(control_plane.kubeconfig.read_text(encoding="utf-8"))
    path = tmp_path / "kubeconfig"
    with reserved_port() as closed:
        for each in config["clusters"]:
            each["cluster"]["server"] = f"https://127.0.0.1:{closed}"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        done = plugin("wait", "nightly", "--timeout", "0", "--kubeconfig", str(path))
    assert (done.returncode, done.stdout) == (3, "")
    assert "no answer within 15 s" in done.stderr


def test_old_outcome_does_not_answer(plugin: Plugin, written: Written, control_plane: ControlPlane) -> None:
    """The command ignores the status of an earlier spec, and waits for the status of the new spec."""
    written.create("nightly")
    written.become("nightly", DONE)
    written.edit("nightly", pollInterval="1m")
    assert plugin("wait", "nightly", "--timeout", "0").returncode == 124
    written.edit("nightly", jobResourceId=written.create("other")["spec"]["jobResourceId"])
    waited = Waited(plugin, control_plane, "nightly", "--timeout", "60s")
    written.become("nightly", FAILED)
    assert waited.end()[0] == 1


def test_missing(plugin: Plugin, written: Written) -> None:
    """The command exits with 3 at once if the watch does not exist."""
    done = plugin("wait", "nightly")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        f"backupjobwatch.azurebackup.dev/nightly: not found in the namespace {written.namespace}. Check the name, or pass "
        "--wait-for-creation.\n"
    )


@pytest.mark.parametrize("again", [False, True], ids=["deleted", "deleted and recreated"])
def test_deleted(plugin: Plugin, written: Written, control_plane: ControlPlane, again: bool) -> None:  # noqa: FBT001
    """The command exits with 3 if the watch is deleted, even if it is recreated."""
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
    """The command detects a recreation during an outage of the API server by the UID."""
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
    """The command retries if the API server is unreachable from the start."""
    written.create("nightly")
    written.become("nightly", DONE)
    faults.gone(spare="^e2e-test")
    process = plugin.start("wait", "nightly", "--timeout", "60s")
    assert process.stderr is not None
    assert "retrying" in process.stderr.readline()
    faults.back()
    assert ended(process)[0] == 0
    faults.gone(spare="^e2e-test")
    done = plugin("wait", "nightly", "--timeout", "3s")
    assert done.returncode == 124
    assert len([line for line in done.stderr.splitlines() if "retrying" in line]) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_temporary_refusals(plugin: Plugin, written: Written, faults: Faults, status: int) -> None:
    """The command retries after temporary refusals."""
    from demo.controlplane import Fault

    written.create("nightly")
    written.become("nightly", DONE)
    faults.add(Fault(path="/backupjobwatches", agent=AGENT, status=status, times=2))
    assert plugin("wait", "nightly", "--timeout", "60s").returncode == 0


def test_no_access(plugin: Plugin, written: Written, faults: Faults) -> None:
    """The command exits with 3 at once after a permanent refusal, with the API server's message."""
    from demo.controlplane import Fault

    written.create("nightly")
    faults.add(Fault(path="/backupjobwatches", agent=AGENT, status=403, message="cannot list resource"))
    done = plugin("wait", "nightly")
    assert (done.returncode, done.stdout) == (3, "")
    assert "cannot list resource" in done.stderr


def test_access_that_expired(plugin: Plugin, written: Written, faults: Faults) -> None:
    """The command renews an expired token once."""
    from demo.controlplane import Fault

    written.create("nightly")
    written.become("nightly", DONE)
    faults.add(Fault(path="/backupjobwatches", agent=AGENT, status=401, times=1))
    assert plugin("wait", "nightly", "--timeout", "60s").returncode == 0
    faults.add(Fault(path="/backupjobwatches", agent=AGENT, status=401, times=2))
    assert plugin("wait", "nightly", "--timeout", "60s").returncode == 3


def test_suspended(plugin: Plugin, written: Written, control_plane: ControlPlane) -> None:
    """The command waits for a suspended watch, with a message, until it is resumed and ends."""
    written.create("nightly", suspend=True)
    waited = Waited(plugin, control_plane, "nightly", "--timeout", "60s")
    assert waited.process.stderr is not None
    assert any("is suspended" in line for line in iter(waited.process.stderr.readline, ""))
    written.edit("nightly", suspend=False)
    written.become("nightly", DONE)
    assert waited.end()[0] == 0


def test_several(plugin: Plugin, written: Written) -> None:
    """The worst outcome counts: failed, unknown, timed out, warnings, succeeded."""
    for name, example in (("done", DONE), ("failed", FAILED), ("running", RUNNING)):
        written.create(name)
        written.become(name, example)
    for names, code in (
        (("done", "done"), 0),
        (("done", "running"), 124),
        (("running", "missing", "done"), 3),
        (("missing", "failed", "running"), 1),
    ):
        assert plugin("wait", *names, "--timeout", "0").returncode == code


def test_closed_pipe(plugin: Plugin, written: Written) -> None:
    """If the reader closes the pipe, the exit code is 3, because the job did not fail."""
    written.create("nightly")
    written.become("nightly", DONE)
    with closed_pipe() as closed:
        process = plugin.start("wait", "nightly", output=closed)
    code, _, said = ended(process)
    assert code == 3
    assert "Traceback" not in said


@pytest.mark.parametrize("key", ["Ctrl-C at a terminal", "SIGINT"])
def test_interrupted(plugin: Plugin, written: Written, control_plane: ControlPlane, key: str) -> None:
    """Ctrl-C ends the command with 130 and no traceback."""
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
        with Screen(plugin, "wait", "nightly", by_kubectl=True) as screen:
            screen.until("Unseen")
            assert screen.interrupt() == 130
            said = screen.text
    assert "Traceback" not in said
