"""Run an image with the restrictions of the pod in manifests/base. This needs root but no container runtime."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import requests

from tests.support.canary import scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILES: Final = "/mnt"
"""The path in the image where the test's files are mounted read-only."""
PATIENCE: Final = 120.0

_ENTER: Final = str(Path(__file__).with_name("enter.sh"))
_NAMESPACES: Final = ("--mount", "--pid", "--fork", "--kill-child", "--propagation=private")
_LIMITS: Final = ("--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs")


class Container:
    """Runs processes in the root file system of an image, with the user and environment of its configuration."""

    def __init__(self, root: Path, config: Mapping[str, Any], files: Path) -> None:
        self._root = root
        self._config = config
        self._files = files

    def command(self, *command: str, environment: Mapping[str, str] | None = None) -> list[str]:
        """Return the command line that runs *command* as process 1, as a container runtime does."""
        user, group = self._config["User"].split(":")
        # Container runtimes set HOME to / if /etc/passwd does not have the user.
        variables = [
            "HOME=/",
            *self._config["Env"],
            *(f"{name}={value}" for name, value in (environment or {}).items()),
        ]
        return [
            *("unshare", *_NAMESPACES, "sh", _ENTER, str(self._root), str(self._files)),
            *("env", "-i", *variables, str(shutil.which("chroot")), str(self._root)),
            *("/usr/bin/setpriv", f"--reuid={user}", f"--regid={group}", *_LIMITS, "--", *command),
        ]

    def run(self, *command: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command and wait for it to exit."""
        done = subprocess.run(
            self.command(*command, environment=environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        scan("a command in the image", done.stdout + done.stderr)
        return done

    @contextlib.contextmanager
    def running(self, environment: Mapping[str, str], log: Path) -> Iterator[Running]:
        """Run the entry point with its default arguments. Its output goes to the file *log*."""
        command = self.command(*self._config["Entrypoint"], *self._config["Cmd"], environment=environment)
        with log.open("w") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            yield Running(process, log)
        finally:
            process.kill()
            process.wait()
            scan("the log of the image", log.read_text("utf-8"))


class Running:
    """A running entry point of an image."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def log(self) -> str:
        """The output so far."""
        return self._log.read_text("utf-8")

    def wait_ready(self, port: int) -> None:
        """Wait until the readiness probe succeeds."""
        deadline = time.monotonic() + PATIENCE
        while not _is_ready(port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"not ready ({self._process.returncode}):\n{self.log}")
            time.sleep(0.1)

    def status(self) -> dict[str, str]:
        """Return ``/proc/PID/status`` of the entry point."""
        lines = Path(f"/proc/{self._pid}/status").read_text("utf-8").splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def terminate(self) -> int:
        """Send SIGTERM to the entry point, wait for it to exit, and return its exit code."""
        os.kill(self._pid, signal.SIGTERM)
        return self._process.wait(PATIENCE)

    @property
    def _pid(self) -> int:
        unshare = self._process.pid
        (child,) = Path(f"/proc/{unshare}/task/{unshare}/children").read_text("utf-8").split()
        return int(child)


def _is_ready(port: int) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=30).ok
    return False
