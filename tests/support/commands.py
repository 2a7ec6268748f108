"""Run the project's commands as separate processes, forked from a server that has imported them."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NamedTuple, Self, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).parents[2]
_START: Final = 120.0


def is_measured() -> bool:
    """Return whether coverage measures this process, and therefore also the processes that it starts."""
    coverage = sys.modules.get("coverage")
    return coverage is not None and coverage.Coverage.current() is not None


def are_commands_measured() -> bool:
    """Return whether coverage measures commands, even if it does not measure this process."""
    return is_measured() or "MEASURE_COMMANDS" in os.environ


class Done(NamedTuple):
    """The result of a finished command."""

    returncode: int
    stdout: str
    stderr: str


class Command:
    """A running command with the interface of ``subprocess.Popen``."""

    def __init__(
        self,
        command: str,
        *arguments: str,
        environment: Mapping[str, str],
        output: IO[str] | None = None,
        stdin: bool = False,
        terminal: int | None = None,
        measured: bool | None = None,
        seconds_ahead: float = 0.0,
    ) -> None:
        """
        Start a command with its output in the file *output*, or in pipes.

        With *stdin*, its input is a pipe too. The descriptor *terminal* replaces all three. The wall clock of the
        command is *seconds_ahead*.
        """
        measured = are_commands_measured() if measured is None else measured
        request = {
            "command": command,
            "arguments": arguments,
            "environment": dict(environment),
            "folder": str(ROOT),
            "seconds_ahead": seconds_ahead,
        }
        self.stdin: TextIO | None = None
        self.stdout: IO[str] | None = None
        self.stderr: IO[str] | None = None
        self.returncode: int | None = None
        self._reply, reply = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with contextlib.ExitStack() as theirs:
            theirs.enter_context(reply)
            source = os.open(os.devnull, os.O_RDONLY) if terminal is None else os.dup(terminal)
            if stdin:
                os.close(source)
                source, ours = os.pipe()
                self.stdin = os.fdopen(ours, "w")
            theirs.callback(os.close, source)
            if terminal is not None:
                out = err = terminal
            elif output is None:
                (out, own_out), (err, own_err) = (os.pipe()[::-1] for _ in range(2))
                self.stdout, self.stderr = os.fdopen(own_out), os.fdopen(own_err)
                theirs.callback(os.close, out)
                theirs.callback(os.close, err)
            else:
                out = err = output.fileno()
            server = _server(environment.get("KUBECONFIG", ""), measured=measured)
            socket.send_fds(server, [json.dumps(request).encode()], [source, out, err, reply.fileno()])
        self.pid = int(self._read(_START))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()

    def poll(self) -> int | None:
        """Return the exit code, or None while the command runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code. Raise TimeoutExpired after *timeout* seconds."""
        if self.returncode is None:
            self.returncode = int(self._read(timeout))
            self._reply.close()
        return self.returncode

    def communicate(self, words: str | bytes | None = None, timeout: float | None = None) -> tuple[str, str]:
        """Write *words* to the command's input, wait for its end, and return its output and errors."""
        with ThreadPoolExecutor(2) as pool:
            out, err = (pool.submit(stream.read) if stream else None for stream in (self.stdout, self.stderr))
            if self.stdin is not None:
                with contextlib.suppress(BrokenPipeError), self.stdin:
                    self.stdin.buffer.write(words.encode() if isinstance(words, str) else words or b"")
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        found = out.result() if out else "", err.result() if err else ""
        self.__exit__()
        return found

    def send_signal(self, number: int) -> None:
        """Send a signal if the command is still running."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # the command just ended
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _read(self, timeout: float | None) -> str:
        if not select.select([self._reply], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("the command", timeout or 0)
        return self._reply.recv(64).decode()


@functools.cache
def _server(kubeconfig: str, *, measured: bool) -> socket.socket:
    """Return the server's socket. Each KUBECONFIG needs a server, because kubernetes reads it on import."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    measuring = ("-m", "coverage", "run") if measured else ()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, *measuring, "-m", "tests.support.command_server", str(theirs.fileno())],
            env={**os.environ, "KUBECONFIG": kubeconfig},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )

    def stop() -> None:
        ours.close()
        process.wait()

    atexit.register(stop)
    return ours
