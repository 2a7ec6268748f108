"""``make demo``: six watches follow simulated Azure Backup jobs.

A real Kubernetes API server, kubectl and the operator run here. Only Azure is simulated. ``--keep`` keeps everything running
until Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import sys
import time
from typing import TYPE_CHECKING, Final

from demo.controlplane import ControlPlaneUnavailable, running_control_plane
from demo.simulator import running_simulator
from demo.simulator.jobs import SQL_FULL_BACKUP
from demo.stage import (
    PROGRAMS,
    ROOT,
    TOKEN,
    Stage,
    azure_settings,
    demo_clock,
    exit_on_signals,
    running_operator,
    staged,
    start_jobs,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.simulator import AzureSimulator

STEPS: Final = 6
WIDTH: Final = 116
"""Columns of the widest table of ``kubectl get bjw`` in the demo."""
NARROW: Final = "NAME:.metadata.name,PHASE:.status.phase,REASON:.status.reason"
NEXT_RELEASE: Final = """patch bjw before-upgrade --type=merge -p '{"spec":{"revision":"v1.4.3"}}'"""
INTERRUPTED: Final = 130
"""The exit code for Ctrl-C: 128 and the number of SIGINT."""
OUTPUT: Final = ROOT / "build" / "demo"
LOG: Final = OUTPUT / "operator.log"
ENVIRONMENT: Final = OUTPUT / "environment"


def bold(text: str) -> str:
    """Return *text* in bold if it goes to a terminal that has colors."""
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else text


def step(number: int, title: str, *lines: str) -> None:
    """Print the heading of a step and the *lines* that explain it."""
    print(f"\n{bold(f'[{number}/{STEPS}] {title}')}", *lines, sep="\n", flush=True)


def play(stage: Stage) -> list[str]:
    """Run the steps that need the operator and running jobs. Return the phases of the finished watches."""
    step(
        3,
        "Create six watches",
        "Four watches follow Azure Backup jobs that are running. The fifth watch names a",
        "job that does not exist. For the sixth watch, the operator takes a backup.",
    )
    stage.kubectl("apply -f demo/watches.yaml -f demo/on-demand.yaml")
    stage.kubectl("wait bjw --all --for=jsonpath={.status.phase} --timeout=60s", quiet=True)
    step(
        4,
        "Follow the jobs",
        "The operator polls Azure every 10 seconds and mirrors each job into the",
        "status of its watch. All watches finish within about 20 seconds.",
    )
    # At a terminal the plugin refreshes its table in place. kubectl adds a row for each change.
    with stage.watching("bjw list --watch" if sys.stdout.isatty() else "get bjw --watch"):
        stage.kubectl("wait bjw --all --for=condition=finished --timeout=180s", quiet=True)
        time.sleep(0.5)  # kubectl prints the last change
    phases = stage.read("get bjw -o jsonpath={.items[*].status.phase}").split()
    step(5, "Read the results", "PHASE says how a watch ended, and REASON says why.")
    is_wide = shutil.get_terminal_size((WIDTH, 24)).columns >= WIDTH
    stage.kubectl("get bjw" if is_wide else f"get bjw -o custom-columns={NARROW}")
    print()
    stage.kubectl("bjw tasks broken-agent")
    step(
        6,
        "Gate on a watch",
        "kubectl wait, Flux, Argo CD and Argo Workflows wait for a condition of the",
        "watch. This gate opens on success only.",
    )
    stage.kubectl("wait bjw/nightly-backup --for=condition=complete --timeout=0")
    stage.kubectl("wait bjw/broken-agent --for=condition=complete --timeout=0", expect=1)
    print("The operator took the backup of before-upgrade. A new revision closes its gate:", flush=True)
    stage.kubectl("wait bjw/before-upgrade --for=condition=complete --timeout=0")
    stage.kubectl(NEXT_RELEASE)
    stage.kubectl("wait bjw/before-upgrade --for=condition=complete --timeout=0", expect=1)
    print("The API server rejects a watch with a mistake, and says how to fix it:", flush=True)
    stage.kubectl("apply -f demo/refused.yaml", expect=1)
    return phases


def summarize(phases: Sequence[str], azure: AzureSimulator, seconds: float) -> None:
    """Print the summary of the demo. *phases* are those of the finished watches."""
    print(
        f"\n{bold('Summary')}",
        f"- {phases.count('Succeeded')} watches succeeded and {phases.count('Failed')} failed: one job failed, and one does not exist.",
        "- The gate of each failed watch stayed closed.",
        "- The gate of before-upgrade opened for v1.4.2. It is closed until the backup for v1.4.3 has succeeded.",
        f"- The operator sent {len(azure.requests)} requests to the simulated Azure.",
        f"- The demo took {seconds:.0f} s. The log of the operator is {LOG.relative_to(ROOT)}.",
        sep="\n",
        flush=True,
    )


def keep(stage: Stage, azure: AzureSimulator, job_id: str) -> None:
    """Explain how to use the running programs, and wait for Ctrl-C."""
    variables = {**stage.settings, **azure_settings(azure.url)}
    lines = [f'export PATH={shlex.quote(str(PROGRAMS))}:"$PATH"']
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    ENVIRONMENT.write_text("\n".join([*lines, ""]), encoding="utf-8")
    print(
        f"\n{bold('Everything keeps running. In another terminal:')}",
        *lines,
        f"\nor, in short: source {shlex.quote(str(ENVIRONMENT))}\n",
        "Then try, for example:",
        "  kubectl bjw list --watch",
        "  kubectl describe bjw nightly-backup",
        f"  kubectl {NEXT_RELEASE.replace('v1.4.3', 'v1.4.4')}",
        f"  backupjobwatch watch {job_id}",
        "",
        "The third command requests another backup. The last one follows a two-minute job",
        "without using the cluster. Ctrl-C in this terminal stops everything.",
        sep="\n",
        flush=True,
    )
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(1)  # signal.pause() would miss a signal that arrives just before it


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--keep", action="store_true", help="keep everything running until Ctrl-C")
    is_kept = parser.parse_args().keep
    exit_on_signals()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    print(
        bold(f"BackupJobWatch demo: {STEPS} steps, less than a minute"),
        "The API server, kubectl and the operator are real. Azure is simulated.",
        sep="\n",
    )
    step(
        1,
        "Start a Kubernetes API server and the Azure simulator",
        "The cluster has no nodes and runs no pods: the operator runs as a local process.",
        "The first start builds the API server, which takes 3 to 5 minutes.",
    )
    try:
        with (
            running_control_plane() as cluster,
            running_simulator(clock=demo_clock(), tokens={TOKEN: "demo"}) as azure,
        ):
            step(2, "Install the CRD and start the operator", f"The operator logs to {LOG.relative_to(ROOT)}.")
            stage = staged(cluster)
            with running_operator(stage, azure.url, log=LOG):
                vault = start_jobs(azure)
                phases = play(stage)
                summarize(phases, azure, time.monotonic() - began)
                if is_kept:
                    keep(stage, azure, vault.job_id(SQL_FULL_BACKUP.name))
                else:
                    print("\nNext: explore it with `make demo KEEP=1`, or install it: see README.md.")
    except ControlPlaneUnavailable as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
