"""``make demo``: the main job done, before your eyes, with real parts but for Azure.

A real Kubernetes API server, the Azure simulator at sixty times the clock, the operator as a process of its own, and
kubectl. Ends by itself; ``--keep`` leaves it all running until Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from demo.controlplane import ControlPlaneUnavailable, kubectl_path, running_control_plane
from demo.simulator import SimulatedClock, running_simulator
from demo.simulator.jobs import add_demo_jobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from demo.controlplane import Cluster

ROOT = Path(__file__).parent.parent
NAMESPACE = "demo"
TOKEN = "demo-token"  # noqa: S105 -- the simulator's, which is on this machine
SPEED = 60


class Stage:
    """Shows commands and what they answer."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = {**os.environ, **environment}
        self._kubectl = str(kubectl_path())

    def say(self, text: str) -> None:
        print(f"\n\033[1m# {text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)

    def kubectl(self, command: str, *, expect: int | None = 0, quiet: bool = False) -> None:
        """Run ``kubectl command``; exit where its exit code is not the expected one (None: any)."""
        if not quiet:
            print(f"$ kubectl {command}", flush=True)
        done = subprocess.run([self._kubectl, *shlex.split(command)], env=self.environment, cwd=ROOT, check=False)
        if expect is not None and done.returncode != expect:
            sys.exit(f"kubectl {command}: exit code {done.returncode}, not {expect}")
        if done.returncode != 0:
            print(f"(exit code {done.returncode})", flush=True)

    @contextlib.contextmanager
    def watching(self, command: str) -> Iterator[None]:
        """Show what ``kubectl command`` goes on to say in the meantime."""
        print(f"$ kubectl {command}", flush=True)
        process = subprocess.Popen([self._kubectl, *shlex.split(command)], env=self.environment, cwd=ROOT)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def staged(cluster: Cluster) -> Stage:
    """Install the CRD, and make the namespace that everything happens in."""
    stage = Stage(cluster.environment)
    stage.kubectl("apply -f crds/backupjobwatches.azurebackup.dev.yaml")
    stage.kubectl("wait crd/backupjobwatches.azurebackup.dev --for=condition=established", quiet=True)
    stage.kubectl(f"create namespace {NAMESPACE}")
    stage.kubectl(f"config set-context --current --namespace={NAMESPACE}", quiet=True)
    return stage


@contextlib.contextmanager
def running_operator(stage: Stage, azure: str, *, metrics_port: int = 0) -> Iterator[None]:
    """Run ``backupjobwatch run`` against *azure* and the stage's cluster."""
    environment = {
        **stage.environment,
        "BACKUPJOBWATCH_AZURE_ENDPOINT": azure,
        "BACKUPJOBWATCH_DEVELOPMENT": "true",
        "BACKUPJOBWATCH_DEVELOPMENT_TOKEN": TOKEN,
        "BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES": NAMESPACE,
        "BACKUPJOBWATCH_PROBE_PORT": "0",
        "BACKUPJOBWATCH_METRICS_PORT": str(metrics_port),
    }
    process = subprocess.Popen([sys.executable, "-m", "backupjobwatch", "run"], env=environment, cwd=ROOT)
    try:
        yield
    finally:
        process.terminate()
        if process.wait(30) != 0:
            sys.exit(f"the operator ended with exit code {process.returncode}")


def play(stage: Stage) -> None:
    """Show what a person would look at."""
    started = time.monotonic()
    stage.say("Somebody has started backup and restore jobs. These objects follow them:")
    stage.kubectl("apply -f demo/watches.yaml")
    with stage.watching("get backupjobwatches -w"):
        stage.kubectl("wait bjw --all --for=condition=finished --timeout=180s", quiet=True)
    stage.say("All have finished. What there is to know:")
    stage.kubectl("get backupjobwatches -o wide")
    stage.kubectl("describe backupjobwatch nightly-backup")
    stage.say("A gate opens on success only:")
    stage.kubectl("wait bjw/nightly-backup --for=condition=complete --timeout=0")
    stage.kubectl("wait bjw/broken-agent --for=condition=complete --timeout=0", expect=1)
    stage.kubectl("get bjw --field-selector status.phase=Failed")
    stage.say("A wrong object is refused, and told what to write instead:")
    stage.kubectl("apply -f demo/refused.yaml", expect=1)
    stage.say(f"Done in {time.monotonic() - started:.0f} s.")


def main() -> None:
    """Set the stage and play."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--keep", action="store_true", help="keep everything running, to play with")
    keep = parser.parse_args().keep
    print("Starting a Kubernetes API server (the first time, it is built: some minutes)…", flush=True)
    # Jobs that began an hour ago: at sixty times the clock, younger ones would end in the future.
    clock = SimulatedClock(speed=SPEED, start=datetime.now(UTC) - timedelta(hours=1))
    try:
        with (
            running_control_plane() as cluster,
            running_simulator(clock=clock, tokens={TOKEN: "demo"}) as azure,
        ):
            add_demo_jobs(azure, starts="when asked")
            stage = staged(cluster)
            with running_operator(stage, azure.url):
                play(stage)
                if keep:
                    stage.say("Still running. In another terminal:")
                    print(*(f"export {name}={value}" for name, value in cluster.environment.items()), sep="\n")
                    print("kubectl get bjw\nHere, Ctrl-C ends it.", flush=True)
                    with contextlib.suppress(KeyboardInterrupt):
                        signal.pause()
                else:
                    print("`make demo KEEP=1` leaves it running, to play with.")
    except ControlPlaneUnavailable as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
