"""The child processes of a control plane."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

STOP_TIMEOUT = 5
LOG_TAIL = 2000


def guard() -> list[str]:
    """
    Return the start of a command line that makes the kernel stop the program when its parent is killed.

    This is setpriv of util-linux. Popen's preexec_fn is unsafe here, because other threads may be running.
    """
    return ["setpriv", "--pdeathsig=TERM", "--"] if shutil.which("setpriv") else []


class Processes:
    """Programs that run in *directory* and log there. They end together with this process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def spawn(self, program: Path, *args: str) -> None:
        """Start a program. Call this in the longest-lived thread: the kernel treats that thread as the parent."""
        with self._log(program.name).open("wb") as log:
            self._running[program.name] = subprocess.Popen(
                [*guard(), program, *args],
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches only this process, which stops the program
            )

    def exit_report(self) -> str:
        """Return the name and the last output of a program that exited by itself, or an empty string."""
        for name, process in self._running.items():
            if process.poll() is not None:
                return f"{name} ended with exit status {process.returncode}:\n{self.recent_output(name)}"
        return ""

    def recent_output(self, *names: str) -> str:
        logs = [self._log(name) for name in names or self._running]
        return "\n".join(log.read_text(errors="replace")[-LOG_TAIL:].strip() for log in logs if log.exists())

    @property
    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self._running.items()}

    async def stop(self) -> None:
        """Stop the programs in reverse order."""
        for process in reversed(self._running.values()):
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _log(self, name: str) -> Path:
        return self._directory / f"{name}.log"
