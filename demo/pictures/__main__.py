"""``make pictures``: draw the pictures in docs/pictures from real programs that query the simulator.

Each function draws one picture and gives the file its name.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from demo.controlplane import kubectl_path, running_control_plane
from demo.pictures.drawing import draw
from demo.pictures.terminal import Terminal, program
from demo.simulator import SimulatedClock, running_simulator
from demo.simulator.jobs import COMPLETED_WITH_WARNINGS, FAILED, RESTORE
from demo.stage import demo_clock, exit_on_signals, running_operator, staged, start_jobs

ROOT: Final = Path(__file__).parents[2]
PICTURES: Final = ROOT / "docs" / "pictures"
LIST: Final = ("kubectl bjw list", 120)
TASKS: Final = ("kubectl bjw tasks restore", 100)
"""The commands, and the columns of their terminals."""
TOKEN: Final = "demo-token"  # noqa: S105 -- a token of the simulator, not of Azure


def watch() -> str:
    """Draw ``backupjobwatch watch`` with a running restore, a running backup and a failed backup."""
    prompt = "backupjobwatch watch - < jobs.txt"
    ages = (timedelta(minutes=21), timedelta(minutes=11), timedelta(minutes=7))
    clock = SimulatedClock(start=datetime.now(UTC) - ages[0])
    with running_simulator(clock=clock, tokens={TOKEN: "somebody"}) as azure, tempfile.TemporaryFile("w+") as words:
        vault = azure.add_vault("00000000-0000-0000-0000-000000000000", "rg-harbour", "rsv-harbour")
        ids = []
        for job, age in zip((FAILED, RESTORE, COMPLETED_WITH_WARNINGS), ages, strict=True):
            clock.advance(max((datetime.now(UTC) - age - clock.now()).total_seconds(), 0))
            ids.append(vault.add_job(job))
        clock.advance(ages[-1].total_seconds())
        words.write("\n".join(ids[1:] + ids[:1]))
        words.seek(0)
        command = [str(Path(sys.executable).with_name("backupjobwatch")), *prompt.split()[1:3]]
        with Terminal(program(command, environment=_environment(azure.url), folder=ROOT, stdin=words)) as terminal:
            terminal.until(lambda seen: "Transfer data from vault" in seen and "UserErrorGuestAgent" in seen)
            terminal.send(signal.SIGINT)
            terminal.wait()
            shown = next(frame for frame in reversed(terminal.frames) if "Running" in frame)
    return draw("watch", "backupjobwatch watch", prompt, shown)


def bjw_list() -> str:
    """Draw ``kubectl bjw list`` with the watches of ``make demo``, some of them finished."""
    prompt, columns = LIST
    return draw("bjw-list", "kubectl bjw list", prompt, _plugin()[LIST], columns=columns)


def bjw_tasks() -> str:
    """Draw ``kubectl bjw tasks`` with the running restore of ``make demo``."""
    prompt, columns = TASKS
    return draw("bjw-tasks", "kubectl bjw tasks", prompt, _plugin()[TASKS], columns=columns)


@functools.cache
def _plugin() -> dict[tuple[str, int], str]:
    """Run each command of the plugin on its own terminal, and return their outputs."""
    shown = {}
    with running_control_plane() as cluster, running_simulator(clock=demo_clock(), tokens={TOKEN: "demo"}) as azure:
        stage = staged(cluster)
        search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**cluster.environment, "PATH": search, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        with running_operator(stage, azure.url):
            start_jobs(azure, restore=60.0)
            stage.kubectl("apply -f demo/watches.yaml -f demo/on-demand.yaml", quiet=True)
            for each, name in (
                (TASKS, "bjw/broken-agent"),  # the restore takes longer
                (LIST, "bjw/nightly-backup"),
            ):
                stage.kubectl(f"wait {name} --for=condition=finished --timeout=180s", quiet=True)
                prompt, columns = each
                command = [str(kubectl_path()), *prompt.split()[1:]]
                with Terminal(program(command, environment=environment, folder=ROOT), columns=columns) as terminal:
                    terminal.wait()
                    shown[each] = terminal.frames[-1]
    return shown


def _environment(azure: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "BACKUPJOBWATCH_AZURE_ENDPOINT": azure,
        "BACKUPJOBWATCH_DEVELOPMENT": "true",
        "BACKUPJOBWATCH_DEVELOPMENT_TOKEN": TOKEN,
    }


ALL: Final = (watch, bjw_list, bjw_tasks)
"""The functions that draw the pictures."""


def main() -> None:
    """Draw all pictures."""
    exit_on_signals()
    PICTURES.mkdir(exist_ok=True)
    for picture in ALL:
        path = PICTURES / f"{picture.__name__}.svg"
        path.write_text(picture(), encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
