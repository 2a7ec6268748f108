"""``backupjobwatch watch`` on a terminal: the live view, signals and closed pipes."""

from __future__ import annotations

import fcntl
import re
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo.pictures.terminal import PATIENCE
from demo.simulator import ManualClock, running_simulator
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT, payload
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload, running_payload
from tests.support.canary import TOKEN
from tests.support.commands import ROOT, Command
from tests.support.operator_process import clean_environment
from tests.support.watching import Watching, WatchTerminal, watch_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.simulator import AzureSimulator, Vault

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
"""Escape sequences that hide and show the cursor."""


@pytest.fixture
def sim() -> Iterator[AzureSimulator]:
    with running_simulator(clock=ManualClock(), tokens={TOKEN: "somebody"}) as simulator:
        yield simulator


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    return sim.add_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, VAULT)


@pytest.fixture
def going(vault: Vault) -> str:
    """The resource ID of a running restore job."""
    return vault.set_job(JOB_NAME, payload("job-iaasvm-restore-inprogress-progress"))


def test_a_terminal_has_a_live_view(sim: AzureSimulator, vault: Vault, going: str) -> None:
    """A terminal shows jobs and tasks in a live view. The last view stays, and the cursor returns."""
    done = vault.set_job(OTHER_JOB_NAME, job_payload(entityFriendlyName="vm-done"))
    with WatchTerminal(watch_settings(sim.url), going, done, "--interval", "10s") as terminal:
        terminal.until(lambda words: "42 %" in words and "Backup of vm-done" in words)
        assert HIDE in terminal.seen
        assert "\x1b[36mRunning" in terminal.seen
        shown = terminal.words.count("Transfer data from vault")
        terminal.until(lambda words: words.count("Transfer data from vault") > shown + 2)
        vault.set_job(JOB_NAME, job_payload(operation="Restore"))
        assert terminal.wait() == 0
        assert terminal.seen.rindex(SHOW) > terminal.seen.rindex(HIDE)
        assert re.search(r"Succeeded +Restore of uttestvmub1", terminal.words)


def test_no_color_disables_colors(sim: AzureSimulator, vault: Vault) -> None:
    """NO_COLOR removes the colors but not the text."""
    job = vault.set_job(JOB_NAME, job_payload())
    with WatchTerminal({**watch_settings(sim.url), "NO_COLOR": "1"}, job) as terminal:
        assert terminal.wait() == 0
        assert "Succeeded" in terminal.words
        assert "\x1b[1;32m" not in terminal.seen
        assert "\x1b[36m" not in terminal.seen


def test_a_dumb_terminal(sim: AzureSimulator, vault: Vault) -> None:
    """A dumb terminal gets plain lines."""
    job = vault.set_job(JOB_NAME, job_payload())
    with WatchTerminal({**watch_settings(sim.url), "TERM": "dumb"}, job) as terminal:
        assert terminal.wait() == 0
        assert "\x1b" not in terminal.seen
        assert f"{JOB_NAME}  Succeeded  Backup of uttestvmub1  20m23s" in terminal.seen


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_the_terminal_clean(sim: AzureSimulator, going: str, number: signal.Signals, code: int) -> None:
    """A signal ends the live view with a visible cursor and without a traceback."""
    with WatchTerminal(watch_settings(sim.url), going) as terminal:
        terminal.until(lambda words: "42 %" in words)
        terminal.send(number)
        assert terminal.wait() == code
        assert terminal.seen.rindex(SHOW) > terminal.seen.rindex(HIDE)
        assert "Traceback" not in terminal.words


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_command_at_once(sim: AzureSimulator, going: str, number: signal.Signals, code: int) -> None:
    """While a request hangs, a signal ends the command at once, without output."""
    sim.hold()
    watching = Watching(watch_settings(sim.url), going, "--output", "json")
    sim.wait_requests(1, timeout=PATIENCE)
    time.sleep(0.2)
    begun = time.monotonic()
    watching.process.send_signal(number)
    done = watching.wait()
    assert (done.code, done.out, done.err) == (code, "", "")
    assert time.monotonic() - begun < 30


def test_interrupted_before_it_begins(sim: AzureSimulator) -> None:
    """Ctrl-C while the command reads standard input exits with 130."""
    watching = Watching(watch_settings(sim.url), "-", words="")
    pipe = watching.process.stdin
    assert pipe is not None
    pipe.write("a name\n")
    pipe.flush()
    unread, deadline = b"\1", time.monotonic() + PATIENCE
    while any(unread) and time.monotonic() < deadline:
        unread = fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))
        time.sleep(0.02)
    watching.process.send_signal(signal.SIGINT)
    assert watching.process.wait(PATIENCE) == 130
    done = watching.wait()
    assert (done.out, done.err.strip()) == ("", "")


def test_a_closed_pipe(sim: AzureSimulator, vault: Vault) -> None:
    """If the reader closes the pipe early, the command exits with 3 and without a traceback."""
    watching = Watching(watch_settings(sim.url), vault.set_job(JOB_NAME, running_payload()), "--interval", "10s")
    assert watching.process.stdout is not None
    watching.process.stdout.readline()
    watching.process.stdout.close()
    vault.set_job(JOB_NAME, job_payload())
    with watching.process as process:
        assert process.wait(PATIENCE) == 3
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_disk_that_is_full(sim: AzureSimulator, vault: Vault, tmp_path: Path, output: str) -> None:
    """If the output cannot be written, the command exits with 3, even if the job succeeded."""
    job = vault.set_job(JOB_NAME, job_payload())
    with Path("/dev/full").open("w") as full, (tmp_path / "err").open("w") as errors:
        process = Command(
            *("backupjobwatch", "watch", job, "--output", output),
            environment=watch_settings(sim.url),
            output=full,
            errors=errors,
        )
    with process:
        assert process.wait(PATIENCE) == 3
    said = (tmp_path / "err").read_text().splitlines()
    assert said[-1] == "The output could not be written: [Errno 28] No space left on device"


def test_the_operator_does_not_import_the_terminal() -> None:
    """The operator does not import the terminal modules."""
    code = (
        "import sys; from backupjobwatch.cli import main; main(['run', '--help'], standalone_mode=False); "
        "print(*{name.partition('.terminal')[0] + '.' for name in sys.modules if '.terminal' in name or name == 'rich'}, "
        "'backupjobwatch.app' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1].strip() == "True"
