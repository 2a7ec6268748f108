"""The parts of the demo: kubectl on the embedded cluster, the operator process, and short jobs."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from demo.controlplane import Kubectl, kubectl_path
from demo.controlplane.processes import guard
from demo.simulator import SimulatedClock
from demo.simulator.jobs import (
    COMPLETED_WITH_WARNINGS,
    DEMO_JOBS,
    DOCUMENTED,
    FAILED,
    RESOURCE_GROUP,
    RESTORE,
    SUBSCRIPTION_ID,
    VAULT,
    protect_demo_items,
)
from demo.simulator.timeline import Transfer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from demo.controlplane import Cluster
    from demo.simulator import AzureSimulator, Vault
    from demo.simulator.timeline import Job

ROOT: Final = Path(__file__).parent.parent
NAMESPACE: Final = "demo"
TOKEN: Final = "demo-token"  # noqa: S105 -- a token of the simulator, not of Azure
PROGRAMS: Final = Path(sys.executable).parent
"""The directory of ``backupjobwatch`` and the kubectl plugin."""
PLAYED: Final = timedelta(hours=1)
"""How far in the past the simulated clock starts. No job of the demo is older."""

_COPY: Final = Transfer(begins=5.0, ends=84.0, gigabytes=3.1, task_id="Transfer data from vault")
_SHORT_RESTORE: Final = replace(
    RESTORE,
    timeline=tuple(
        replace(state, after=after, transfer=_COPY) for state, after in zip(RESTORE.timeline, (0.0, 88.0), strict=True)
    ),
)
_REMAINING: Final = ((COMPLETED_WITH_WARNINGS, 15.0), (DOCUMENTED, 8.0), (FAILED, 6.0))
"""Jobs that run when the demo starts besides the restore, and the seconds until each job ends."""
ON_DEMAND_BACKUP: Final = 8.0
"""The duration of a backup that the operator requests, in seconds."""
_STOP_TIMEOUT: Final = 30.0


def exit_on_signals() -> None:
    """Let SIGTERM and SIGHUP unwind the stack, as Ctrl-C does, so that all programs stop and no files remain."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit)


def _exit(number: int, _frame: object) -> NoReturn:
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)  # another signal would interrupt the cleanup
    sys.exit(128 + number)


class Stage:
    """Shows commands and their output."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        # kubectl finds the plugin `kubectl bjw` on PATH.
        search = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
        self.settings = environment
        self.environment = {**os.environ, **environment, "PATH": search}
        self._kubectl = str(kubectl_path())

    def kubectl(self, command: str, *, expect: int = 0, quiet: bool = False) -> None:
        """Run ``kubectl command``. Exit if its exit code is not *expect*."""
        if not quiet:
            print(f"$ kubectl {command}", flush=True)
        done = subprocess.run(
            [self._kubectl, *shlex.split(command)],
            env=self.environment,
            cwd=ROOT,
            check=False,
            stdout=subprocess.DEVNULL if quiet else None,
        )
        if done.returncode != expect:
            sys.exit(f"kubectl {command}: exit code {done.returncode}, expected {expect}")
        if not quiet and expect:
            print(f"(exit code {expect})", flush=True)

    def read(self, command: str) -> str:
        """Return the output of ``kubectl command``."""
        words = [self._kubectl, *shlex.split(command)]
        done = subprocess.run(words, env=self.environment, cwd=ROOT, check=True, capture_output=True, text=True)
        return done.stdout

    @contextlib.contextmanager
    def watching(self, command: str) -> Iterator[None]:
        """Show the output of ``kubectl command`` until the block ends."""
        print(f"$ kubectl {command}", flush=True)
        process = subprocess.Popen([self._kubectl, *shlex.split(command)], env=self.environment, cwd=ROOT)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def staged(cluster: Cluster, *, quiet: bool = False) -> Stage:
    """Install the CRD, and create the namespace of the demo."""
    stage = Stage(cluster.environment)
    stage.kubectl("apply -f crds/backupjobwatches.azurebackup.dev.yaml", quiet=quiet)
    Kubectl(cluster).wait_established("crd/backupjobwatches.azurebackup.dev")
    stage.kubectl(f"create namespace {NAMESPACE}", quiet=quiet)
    stage.kubectl(f"config set-context --current --namespace={NAMESPACE}", quiet=True)
    return stage


def azure_settings(azure: str) -> dict[str, str]:
    """Return the settings that point the operator and ``backupjobwatch watch`` at the simulator."""
    return {
        "BACKUPJOBWATCH_AZURE_ENDPOINT": azure,
        "BACKUPJOBWATCH_DEVELOPMENT": "true",
        "BACKUPJOBWATCH_DEVELOPMENT_TOKEN": TOKEN,
    }


@contextlib.contextmanager
def running_operator(stage: Stage, azure: str, *, metrics_port: int = 0, log: Path | None = None) -> Iterator[None]:
    """Run ``backupjobwatch run`` against *azure* and the stage's cluster, and write its log to *log*."""
    environment = {
        **stage.environment,
        **azure_settings(azure),
        "BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES": NAMESPACE,
        "BACKUPJOBWATCH_ON_DEMAND_NAMESPACES": NAMESPACE,
        "BACKUPJOBWATCH_PROBE_PORT": "0",
        "BACKUPJOBWATCH_METRICS_PORT": str(metrics_port),
    }
    with contextlib.ExitStack() as files:
        output = None if log is None else files.enter_context(log.open("w", encoding="utf-8"))
        command = [sys.executable, "-m", "backupjobwatch", "run"]
        process = subprocess.Popen(
            [*guard(), *command],
            env=environment,
            cwd=ROOT,
            stdout=output,
            stderr=output,
            start_new_session=True,  # signals of the terminal reach only this process, which stops the operator
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.returncode not in (0, -signal.SIGTERM):  # SIGTERM: it had not started yet
                sys.exit(f"The operator exited with code {process.returncode}" + (f": see {log}" if log else ""))


def demo_clock() -> SimulatedClock:
    """Return a real-time clock that starts in the past, so that the demo can start its jobs in the past."""
    return SimulatedClock(start=datetime.now(UTC) - PLAYED)


def start_jobs(azure: AzureSimulator, *, restore: float = 17.0) -> Vault:
    """Add a vault with the demo's jobs and advance the clock to now. Four jobs are running.

    *restore* is the number of seconds until the restore ends. The other three end within 15 seconds.
    """
    vault = azure.add_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, VAULT)
    protect_demo_items(vault)
    vault.protection.duration = ON_DEMAND_BACKUP
    running = (*_REMAINING, (_SHORT_RESTORE, restore))
    for job, remaining in sorted(running, key=lambda each: _age(*each), reverse=True):
        _advance(azure.clock, datetime.now(UTC) - timedelta(seconds=_age(job, remaining)))
        vault.add_job(replace(job, start_time=None))
    _advance(azure.clock, datetime.now(UTC))
    started = {job.name for job, _ in running}
    for job in DEMO_JOBS:
        if job.name not in started:
            vault.add_job(job, starts="when asked")
    return vault


def _age(job: Job, remaining: float) -> float:
    return job.timeline[-1].after - remaining


def _advance(clock: SimulatedClock, to: datetime) -> None:
    clock.advance(max((to - clock.now()).total_seconds(), 0.0))
