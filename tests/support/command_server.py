"""Run commands in forks of a process that has imported them, which takes only milliseconds.

``python -m tests.support.command_server SOCKET LIFELINE`` reads requests from a socket until the pipe LIFELINE is closed.
Each request carries the standard streams of the command and a socket for its process ID and exit code.
:mod:`tests.support.commands` sends them.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import json
import os
import pkgutil
import select
import signal
import socket
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import time_machine

import backupjobwatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from coverage import Coverage

COMMANDS: Final = {
    "backupjobwatch": ("backupjobwatch.cli", "main"),
    "kubectl-bjw": ("backupjobwatch.kubectl.main", "main"),
    "kubectl_complete-bjw": ("backupjobwatch.kubectl.complete", "main"),
    "movable": ("tests.support.movable_process", "main"),
}
"""The module and function of each entry point."""
REQUEST_BYTES: Final = 200_000
_LIBRARIES: Final = ("kubernetes.aio.client", "kubernetes.aio.config")
"""What the package imports only when it needs it."""
_READ_KUBECONFIG: Final = (
    "kubernetes.config.kube_config",
    "kubernetes.aio.config.kube_config",
    "backupjobwatch.kube.client",
)
"""Modules that keep the value of KUBECONFIG from their import."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    The arguments of a command, its environment, its working directory and how far its wall clock is ahead.

    Coverage measures the command only if *measured* is set.
    """

    command: str
    arguments: list[str]
    environment: dict[str, str]
    folder: str
    measured: bool
    seconds_ahead: float


def serve(requests: socket.socket, lifeline: int) -> Request:
    """Fork for each request. Return only in the fork that runs the command."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the forks that wait for commands
    while True:
        if lifeline in select.select([requests.fileno(), lifeline], [], [])[0]:
            os._exit(0)
        message, descriptors, _, _ = socket.recv_fds(requests, REQUEST_BYTES, 4)
        if os.fork() == 0 and _is_command(descriptors):
            requests.close()
            os.close(lifeline)
            return Request(**json.loads(message))
        for descriptor in descriptors:
            os.close(descriptor)


def _is_command(descriptors: list[int]) -> bool:
    """Fork and return in the command's process. Its parent reports the process ID and the exit code."""
    *streams, reply = descriptors
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Shells start background jobs with SIGINT ignored. Children inherit that, and Ctrl-C would have no effect.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process_id = os.fork()
    if process_id == 0:
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        for descriptor in descriptors:
            os.close(descriptor)
        if os.isatty(0):
            os.setsid()  # Ctrl-C interrupts all processes of a terminal
        return True
    for number in (0, 1, 2, *streams):
        os.close(number)  # lets readers of the command's output see its end
    os.write(reply, str(process_id).encode())
    _, status = os.waitpid(process_id, 0)
    os.write(reply, str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


class QuickExit:
    """Ends a command without the teardown of its modules, which would take longer than most commands.

    Python calls exit handlers in reverse order, so create this before importing modules that register their own.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        atexit.register(self._exit)

    def run(self, command: Callable[[], None]) -> None:
        """Run *command*, and note its exit code, unless an exception ends it."""
        try:
            command()
            self.code = 0
        except SystemExit as end:
            self.code = end.code if isinstance(end.code, int) else None
            raise

    def _exit(self) -> None:
        if self.code is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self.code)


def _main() -> None:
    quick_exit = QuickExit()
    sys.modules["kubernetes_validate"] = None  # type: ignore[assignment] # kubernetes imports it if installed: a test tool
    _import_all()
    measuring = _measuring()
    if measuring is not None:
        measuring.save()  # otherwise, each fork would save the lines of these imports again
    gc.freeze()  # the garbage collector of a fork would copy the memory pages of all modules
    request = serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))
    if measuring is not None and not request.measured:
        measuring.stop()
        measuring = None
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    for module in sys.modules.keys() & {*_READ_KUBECONFIG}:
        path = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
        vars(sys.modules[module])["KUBE_CONFIG_DEFAULT_LOCATION"] = path
    if isinstance(sys.stdout, io.TextIOWrapper) and os.isatty(1):
        sys.stdout.reconfigure(line_buffering=True)  # as in a process that starts on a terminal
    sys.argv = [request.command, *request.arguments]
    sys.modules["__main__"].__package__ = None  # as in an installed program, whose name click finds in sys.argv
    if request.seconds_ahead:
        time_machine.travel(datetime.now(UTC) + timedelta(seconds=request.seconds_ahead), tick=True).start()
    module, function = COMMANDS[request.command]
    try:
        quick_exit.run(getattr(importlib.import_module(module), function))
    finally:
        if measuring is not None:
            measuring.switch_context("")  # saves the lines of the command only, which is faster than save()


def _import_all() -> None:
    for module in (*(module for module, _ in COMMANDS.values()), *_LIBRARIES):
        importlib.import_module(module)
    for each in pkgutil.walk_packages(backupjobwatch.__path__, f"{backupjobwatch.__name__}."):
        if not each.name.endswith(".__main__"):
            importlib.import_module(each.name)


def _measuring() -> Coverage | None:
    coverage = sys.modules.get("coverage")
    return None if coverage is None else coverage.Coverage.current()


if __name__ == "__main__":
    _main()
